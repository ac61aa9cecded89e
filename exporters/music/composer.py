"""A rule-based composer: the same seed and conditions, the same piece; its conditions are the labels of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...assets.music.score import SCALES, STREAMS
from ...runtime.music import conditions as c
from ...runtime.music.conditions import Conditions
from ...runtime.music.tokens import (
    ARPEGGIO,
    BASS,
    CHORDS,
    CRASH,
    DRUM,
    HOLD,
    KICK,
    LEAD,
    REST,
    SNARE,
    TOM,
    Tokens,
    onset,
)
from .harmony import changes, comp, weighted
from .lines import arpeggiate, lead
from .rhythm import bass, drum, fill_figure
from .styles import STYLES

BARS: dict[str, dict[int, float]] = {
    "loop": {8: 6, 4: 2, 16: 1, 2: 0.5, 12: 0.3, 6: 0.3},
    "intro": {4: 2, 2: 1, 8: 2},
    "fill": {1: 2, 2: 1},
    "ending": {4: 2, 2: 1, 8: 1},
    "stinger": {1: 1, 2: 1},
}
SECTION_WEIGHTS = {"loop": 0.76, "intro": 0.08, "fill": 0.05, "ending": 0.06, "stinger": 0.05}


def invent(rng: np.random.Generator) -> Conditions:
    """Conditions as people ask for them: mostly what is usual for the style, sometimes anything."""
    names = [str(rng.choice(c.STYLES))]
    if rng.random() < 0.2:
        names.append(str(rng.choice([name for name in c.STYLES if name != names[0]])))
    style = STYLES[names[-1]]
    section = weighted(rng, SECTION_WEIGHTS)

    def number(low: float, high: float) -> float:
        low, high = (0.0, 1.0) if rng.random() < 0.4 else (low, high)
        return round(float(rng.uniform(low, high)), 3)

    bpm = rng.uniform(*(c.BPM if rng.random() < 0.15 else style.bpm))
    return Conditions(
        styles=tuple(names),
        section=section,
        bpm=round(float(bpm)),
        tonic=0,
        scale=weighted(rng, style.scales) if rng.random() < 0.75 else str(rng.choice(list(SCALES))),
        density=number(*style.density),
        brightness=round(float(rng.random()), 3),
        intensity=number(*style.intensity),
        bars=weighted(rng, BARS[section]),
        beats=weighted(rng, style.signatures),
    )


def compose(conditions: Conditions, rng: np.random.Generator) -> Tokens:
    """A piece, tokens (5, frames). Harmony and melody are of the first style named, rhythm of the last."""
    tokens = np.zeros((len(STREAMS), conditions.frames), np.int64)
    tune, beat = STYLES[conditions.styles[0]], STYLES[conditions.styles[-1]]
    spine, band = rng.spawn(2)  # intensity draws nothing from the spine: chords and lead stay where it changes
    parts = changes(conditions, tune, spine)
    comp(tokens, parts, conditions, _level(tune.comping, conditions.density, spine))
    if spine.random() < tune.lead * (0.55 + 0.5 * conditions.density):
        lead(tokens, parts, conditions, spine)
    bass(tokens, parts, conditions, _level(beat.bass, conditions.intensity, band), band)
    arpeggiate(tokens, parts, conditions, _one(beat.arpeggios, band), band)
    drum(tokens, conditions, _one(beat.groove, band), band)
    SHAPED[conditions.section](tokens, conditions, band)
    return tokens


def _one(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _level(options: tuple[str, ...], level: float, rng: np.random.Generator) -> str:
    """An option of a list from calm to busy, near the level."""
    at = round(level * (len(options) - 1) + float(rng.uniform(-0.35, 0.35)))
    return options[min(max(at, 0), len(options) - 1)]


def _loop(tokens: Tokens, conditions: Conditions, rng: np.random.Generator) -> None: ...


def _intro(tokens: Tokens, conditions: Conditions, rng: np.random.Generator) -> None:
    """Streams enter one after the other, drums last, with a fill into what follows."""
    frames, bar = tokens.shape[1], 4 * conditions.beats
    for stream, share in ((BASS, 0.25), (ARPEGGIO, 0.0), (DRUM, 0.5), (LEAD, 0.75)):
        _silence(tokens, stream, 0, int(frames * share) // bar * bar)
    if conditions.intensity > 0.2:
        tokens[DRUM, -8:] = fill_figure(rng)


def _fill(tokens: Tokens, conditions: Conditions, rng: np.random.Generator) -> None:
    """The drums' own bars."""
    tokens[LEAD] = REST
    frames = tokens.shape[1]
    while True:
        tokens[DRUM, max(0, frames - 8) : frames] = fill_figure(rng)[-min(8, frames) :]
        frames -= 8
        if frames <= 0 or conditions.intensity < 0.3:
            break
    tokens[DRUM, 0] |= KICK


def _ending(tokens: Tokens, conditions: Conditions, rng: np.random.Generator) -> None:
    """Everyone lands on the first beat of the last bar and lets it ring."""
    last = tokens.shape[1] - 4 * conditions.beats
    word = tokens[CHORDS, last]
    for stream in (BASS, CHORDS, LEAD):
        sounding = tokens[stream].any()
        tokens[stream, last:] = HOLD if sounding else REST
    tokens[CHORDS, last] = word
    tokens[BASS, last] = onset(BASS, 0, accent=True)
    if tokens[LEAD].any():
        tokens[LEAD, last] = onset(LEAD, 7 if conditions.brightness > 0.4 else 0, accent=True)
    tokens[ARPEGGIO, last:] = REST
    tokens[DRUM, last:] = 0
    if conditions.intensity > 0.15:
        tokens[DRUM, last] = CRASH | KICK


def _stinger(tokens: Tokens, conditions: Conditions, rng: np.random.Generator) -> None:
    """A hit, and a short run up to the tonic or down to it."""
    word = tokens[CHORDS, 0]
    frames = tokens.shape[1]
    if conditions.bars == 1:
        tokens[CHORDS] = HOLD
        tokens[CHORDS, 0] = word
    tokens[DRUM] = 0
    tokens[DRUM, 0] = (CRASH if conditions.intensity > 0.3 else TOM) | KICK
    if conditions.intensity > 0.6:
        tokens[DRUM, frames // 2] = SNARE
    run = [0, 2, 4, 7] if conditions.brightness > 0.5 else [7, 4, 2, 0]
    if rng.random() < 0.5:
        run = run[-3:]
    every = 1 if conditions.density > 0.6 else 2
    tokens[LEAD] = REST
    for number, step in enumerate(run):
        at = number * every
        long = every if number < len(run) - 1 else min(8, frames - at)
        tokens[LEAD, at : at + long] = HOLD
        tokens[LEAD, at] = onset(LEAD, step, accent=number == 0)


SHAPED: dict[str, Callable[[Tokens, Conditions, np.random.Generator], None]] = {
    "loop": _loop,
    "intro": _intro,
    "fill": _fill,
    "ending": _ending,
    "stinger": _stinger,
}


def _silence(tokens: Tokens, stream: int, start: int, end: int) -> None:
    """No note of the stream in these frames; one that began before is cut, one held into what follows is taken out."""
    tokens[stream, start:end] = REST
    while stream != DRUM and end < tokens.shape[1] and tokens[stream, end] == HOLD:
        tokens[stream, end] = REST
        end += 1


def piece(seed: int) -> tuple[Conditions, Tokens]:
    """The piece of a seed, conditions included."""
    rng = np.random.default_rng(seed)
    conditions = invent(rng)
    return conditions, compose(conditions, rng)
