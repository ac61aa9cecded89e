"""Real game music: Freedoom's MIDI, read from the WAD that the wheel `vizdoom` carries, as pieces of the five streams.

Freedoom is free content under a BSD licence (exporters/embedded/NOTICE), https://freedoom.github.io. A song is cut into stretches of
eight bars. Of each the key is found, the channels are given to streams, a chord is found for every half bar, and pitches become
steps of the scale, so that every piece stands in all keys at once. What is not in the scale is left out, what is too far from it
drops the stretch. Style comes from tempo, mode and drums; intensity and density are those of the composer's pieces that are as busy.

python -m cadenza.exporters.music.freedoom
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...assets.music.score import SCALES
from ...runtime.music.conditions import BPM, SIGNATURES, Conditions
from ...runtime.music.tokens import (
    ARPEGGIO,
    BASS,
    CHORDS,
    CRASH,
    DRUM,
    FIRST,
    HAT,
    HOLD,
    KICK,
    LEAD,
    LOWEST,
    OPEN,
    RIDE,
    SHAPES,
    SNARE,
    STEPS,
    TOM,
    Tokens,
    chord,
    onset,
    step_of,
)
from ..embedded.freedoom import find_wad, read_wad
from .composer import piece
from .midi import DRUM_CHANNEL, File, Played, read

BARS, HOP = 8, 4
"""Bars of a stretch, and from one to the next."""
OFF_GRID = 0.15
"""A file with a larger share of onsets off the grid is played by hand, and not used."""
IN_SCALE = 0.9
"""Share of the sound (seconds times notes) that must lie in the scale."""
HELD_OUT = ("D_RUNNIN", "D_STLKS2")
"""Songs that are not trained on."""

STRIKES: dict[int, int] = {
    **dict.fromkeys((35, 36), KICK),
    **dict.fromkeys((37, 38, 39, 40), SNARE),
    **dict.fromkeys((42, 44, 54, 69, 70, 82), HAT),
    46: OPEN,
    **dict.fromkeys((41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64, 65, 66), TOM),
    **dict.fromkeys((49, 52, 55, 57), CRASH),
    **dict.fromkeys((51, 53, 59), RIDE),
}
"""Which of the model's drums stands for a General MIDI percussion number; the others are left out."""
NOT_PITCHED = range(112, 128)
"""Programs of percussion and noises."""


@dataclass(frozen=True)
class Key:
    tonic: int
    scale: str
    share: float


def songs() -> dict[str, bytes]:
    """Freedoom's music by the name of its lump."""
    return {name: data for name, data in read_wad(find_wad()).lumps if name.startswith("D_") and data[:4] == b"MThd"}


def pieces(names: Sequence[str] = ()) -> Iterator[tuple[Conditions, Tokens]]:
    """All stretches of these songs, or of all that are not held out, that the streams can hold."""
    scale = busyness()
    for name, data in songs().items():
        if name in names or (not names and name not in HELD_OUT):
            yield from stretches(read(data), scale)


def stretches(file: File, scale: Mapping[str, NDArray[np.float64]]) -> Iterator[tuple[Conditions, Tokens]]:
    if file.off > OFF_GRID or file.beats not in SIGNATURES or not BPM[0] <= file.bpm <= BPM[1]:
        return
    bar = 4 * file.beats
    for first in range(0, file.frames // bar - BARS + 1, HOP):
        start, end = first * bar, (first + BARS) * bar
        part = {
            channel: [
                Played(note.start - start, min(note.length, end - note.start), note.pitch, note.velocity)
                for note in notes
                if start <= note.start < end
            ]
            for channel, notes in file.tracks.items()
        }
        found = _piece(part, file, bar * BARS)
        if found is not None:
            key, tokens = found
            yield _labelled(tokens, key, file, scale), tokens


def _piece(part: dict[int, list[Played]], file: File, frames: int) -> tuple[Key, Tokens] | None:
    pitched = {
        channel: notes
        for channel, notes in part.items()
        if channel != DRUM_CHANNEL and file.programs.get(channel, 0) not in NOT_PITCHED and len(notes) >= 4
    }
    if not pitched:
        return None
    roles = cast(pitched, file.programs)
    key = key_of([note for notes in pitched.values() for note in notes], roles.get(BASS, []))
    if key.share < IN_SCALE or CHORDS not in roles:
        return None
    tokens = np.zeros((5, frames), np.int64)
    for note in part.get(DRUM_CHANNEL, []):
        tokens[DRUM, note.start] |= STRIKES.get(note.pitch, 0)
    _chords(tokens[CHORDS], [note for notes in pitched.values() for note in notes], roles, key, 2 * file.beats)
    for stream in (BASS, ARPEGGIO, LEAD):
        if stream in roles:
            _melody(tokens, stream, roles[stream], key)
    return key, tokens


def key_of(notes: Sequence[Played], bass: Sequence[Played]) -> Key:
    """The scale that holds most of the sound and whose tonic, third and fifth are heard most, the tonic in the bass above all."""
    heard, low = np.zeros(12), np.zeros(12)
    for note in notes:
        heard[note.pitch % 12] += min(note.length, 8)
    for note in bass:
        low[note.pitch % 12] += min(note.length, 8)
    heard, low = heard / heard.sum(), low / max(1.0, low.sum())
    best, most = Key(0, "minor", 0.0), -1.0
    for tonic in range(12):
        for name, steps in SCALES.items():
            at = [(tonic + step) % 12 for step in steps]
            share = float(heard[at].sum())
            rank = share + 0.3 * heard[tonic] + 0.12 * heard[at[2]] + 0.1 * heard[at[4]] + 0.25 * low[tonic]
            if rank > most:
                best, most = Key(tonic, name, share), rank
    return best


def cast(tracks: Mapping[int, Sequence[Played]], programs: Mapping[int, int]) -> dict[int, list[Played]]:
    """Who plays which stream: the lowest channel the bass, the highest of one voice the lead, the busiest of the others that move by
    leaps the arpeggio; chords are what is left, or everything where nothing is."""
    height = {channel: float(np.mean([note.pitch for note in notes])) for channel, notes in tracks.items()}
    voices = {channel: len(notes) / len({note.start for note in notes}) for channel, notes in tracks.items()}
    left = dict(tracks)
    roles: dict[int, list[Played]] = {}

    def give(stream: int, channel: int) -> None:
        roles[stream] = list(left.pop(channel))

    basses = [channel for channel in left if programs.get(channel, 0) in range(32, 40) or height[channel] < 48]
    if basses:
        give(BASS, min(basses, key=lambda channel: height[channel]))
    single = [channel for channel in left if voices[channel] < 1.25 and height[channel] > 52]
    if single:
        give(LEAD, max(single, key=lambda channel: height[channel]))
    single = [channel for channel in left if voices[channel] < 1.25 and height[channel] > 45]
    if single:
        give(ARPEGGIO, max(single, key=lambda channel: len(left[channel])))
    strummed = [note for channel, notes in left.items() if height[channel] > 38 for note in notes]
    roles[CHORDS] = strummed or [note for notes in roles.values() for note in notes]
    return roles


def _chords(words: Tokens, notes: Sequence[Played], roles: Mapping[int, list[Played]], key: Key, half: int) -> None:
    """A chord for every half bar, struck where it changes and where the players of chords strike."""
    steps = SCALES[key.scale]
    frames = len(words)
    found: list[int] = []
    for start in range(0, frames, half):
        heard = np.zeros(7)
        for note in notes:
            over = min(note.start + note.length, start + half) - max(note.start, start)
            degree = (note.pitch - key.tonic) % 12
            if over > 0 and degree in steps:
                heard[steps.index(degree)] += over
        for note in roles.get(BASS, []):
            over = min(note.start + note.length, start + half) - max(note.start, start)
            degree = (note.pitch - key.tonic) % 12
            if over > 0 and degree in steps:
                heard[steps.index(degree)] += over
        found.append(_best(heard, found[-1] if found else chord(0)))
    strikes = {note.start for note in roles[CHORDS]}
    last = -half
    for frame in range(frames):
        word = found[frame // half]
        changed = frame % half == 0 and (frame == 0 or word != found[frame // half - 1])
        if changed or (frame in strikes and frame - last >= 2):
            words[frame], last = word, frame
        else:
            words[frame] = HOLD


def _best(heard: NDArray[np.float64], before: int) -> int:
    """The chord whose tones are heard most against the others; of nearly equal ones the one before goes on."""
    if heard.sum() == 0:
        return before
    heard = heard / heard.sum()
    ranks = {}
    for degree in range(7):
        for shape, tones in SHAPES.items():
            inside = {(degree + tone) % 7 for tone in tones}
            share = sum(heard[tone] for tone in inside)
            weakest = min(heard[tone] for tone in inside)
            word = chord(degree, shape)
            ranks[word] = share + 0.4 * heard[degree] + 0.3 * weakest - 0.12 * len(inside) + 0.05 * (word == before)
    return max(ranks, key=lambda word: ranks[word])


def _melody(tokens: Tokens, stream: int, notes: Sequence[Played], key: Key) -> None:
    """The highest note of each onset, as steps; octaves are moved so that most lie within the stream's range, the rest folded."""
    scale, frames = SCALES[key.scale], tokens.shape[1]
    governing = _governing(tokens[CHORDS])
    chosen: dict[int, Played] = {}
    for note in notes:
        if (note.pitch - key.tonic) % 12 in scale and (
            note.start not in chosen or chosen[note.start].pitch < note.pitch
        ):
            chosen[note.start] = note
    if not chosen:
        return
    steps = {
        start: step_of(note.pitch, key.tonic, scale) - _root(stream, int(governing[start]))
        for start, note in chosen.items()
    }
    low, count = LOWEST[stream], STEPS[stream]
    middle = float(np.median(list(steps.values())))
    shift = 7 * round((low + count / 2 - middle) / 7)
    usual = float(np.median([note.velocity for note in chosen.values()]))
    for start, note in chosen.items():
        step = steps[start] + shift
        while step < low:
            step += 7
        while step >= low + count:
            step -= 7
        tokens[stream, start : min(start + note.length, frames)] = np.where(
            tokens[stream, start : min(start + note.length, frames)] >= FIRST,
            tokens[stream, start : min(start + note.length, frames)],
            HOLD,
        )
        tokens[stream, start] = onset(stream, step, accent=note.velocity > usual + 8)
    sounding = False
    for frame in range(frames):  # a hold after a rest is none
        word = tokens[stream, frame]
        sounding = word >= FIRST or (word == HOLD and sounding)
        if word == HOLD and not sounding:
            tokens[stream, frame] = 0


def _governing(words: Tokens) -> Tokens:
    onsets = np.nonzero(words >= FIRST)[0]
    return np.asarray(words[onsets[np.searchsorted(onsets, np.arange(len(words)), side="right") - 1]])


def _root(stream: int, word: int) -> int:
    return 0 if stream == LEAD else (word - FIRST) // len(SHAPES)


def busyness(count: int = 400) -> dict[str, NDArray[np.float64]]:
    """Of so many pieces of the composer: onsets a frame of drums, bass and arpeggio, and of chords and lead; intensity; density."""
    rows: list[tuple[float, ...]] = []
    seed = 20_000_000
    while len(rows) < count:
        conditions, tokens = piece(seed)
        seed += 1
        if conditions.section == "loop":
            rows.append((*_busy(tokens), conditions.intensity, conditions.density))
    names = ("band", "spine", "intensity", "density")
    return dict(zip(names, np.array(rows).T, strict=True))


def _busy(tokens: Tokens) -> tuple[float, float]:
    struck = tokens >= FIRST
    drums = sum(int(word).bit_count() for word in tokens[DRUM])
    frames = tokens.shape[1]
    return (drums + int(struck[[BASS, ARPEGGIO]].sum())) / frames, int(struck[[CHORDS, LEAD]].sum()) / frames


def _labelled(tokens: Tokens, key: Key, file: File, scale: Mapping[str, NDArray[np.float64]]) -> Conditions:
    band, spine = _busy(tokens)
    intensity, density = (
        _alike(scale["band"], band, scale["intensity"]),
        _alike(scale["spine"], spine, scale["density"]),
    )
    words = tokens[[ARPEGGIO, LEAD]]
    high = words[words >= FIRST]
    brightness = float(np.clip(((high - FIRST) // 2).mean() / STEPS[LEAD], 0, 1)) if len(high) else 0.3
    return Conditions(
        styles=(style_of(file.bpm, key.scale, intensity, bool(tokens[DRUM].any())),),
        bpm=round(file.bpm),
        scale=key.scale,
        density=round(density, 3),
        brightness=round(brightness, 3),
        intensity=round(intensity, 3),
        bars=tokens.shape[1] // (4 * file.beats),
        beats=file.beats,
    )


def _alike(among: NDArray[np.float64], value: float, levels: NDArray[np.float64]) -> float:
    """The mean level of the pieces that are nearest in how busy they are."""
    return float(levels[np.argsort(np.abs(among - value), kind="stable")[:25]].mean())


def style_of(bpm: float, scale: str, intensity: float, drums: bool) -> str:
    """The style that a listener would name first."""
    bright = scale in ("major", "lydian", "mixolydian")
    if not drums:
        return "ambient" if bright or scale == "dorian" else "dungeon"
    if bright:
        return "victory" if intensity > 0.6 and bpm >= 110 else "exploration"
    if bpm >= 135 and intensity > 0.55:
        return "boss"
    if bpm >= 115 and intensity > 0.45:
        return "combat"
    if intensity < 0.25:
        return "dungeon"
    return "exploration" if scale == "dorian" and intensity < 0.5 else "tense"


if __name__ == "__main__":
    from collections import Counter

    found = list(pieces())
    print(len(found), "stretches of", len(songs()), "songs", dict(Counter(c.styles[0] for c, _ in found)))
