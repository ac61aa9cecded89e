"""From a score to sound: `render` makes the whole loop, `stream.Stream` the same bytes bar by bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..refusal import OutOfRange, Refusal, Unknown, WrongType
from .grid import check_rate, check_score
from .kits import STYLES
from .limiter import MARGIN, bordered, decibels, gain_for
from .loudness import loudness as measured
from .music import Music, summed
from .score import STREAMS, Score
from .signal import Wave, fade_out
from .soundfont import FontBank
from .stage import Stage

PRESETS = {"broadcast": -23.0, "game": -16.0, "loud": -14.0}
"""LUFS by name: EBU R 128's; what console makers ask of games for handhelds and rooms (-16 is usual); what music services play at."""
GUARD = 0.1
"""dB that the limiter stays below the ceiling: meters that look closer than four times find up to this much more."""


AUDIBLE = 3e-4
"""Part of the peak, -70 dB, below which the end of what is heard once is cut off."""


@dataclass(frozen=True)
class Master:
    """How stems become the mix: the streams that sound, in order, their gain in dB, and the limiter's ceiling in dBTP."""

    streams: tuple[str, ...]
    gain_db: float
    ceiling_db: float = -1.0

    def stems(self, stage: Stage, start: int, end: int) -> list[Wave]:
        """float32 (2, end - start) of each stream; start and end may lie outside of the loop, which goes round."""
        factor = np.float32(10 ** (self.gain_db / 20))
        return [_cyclic(stage, stream, start, end) * factor for stream in self.streams]

    def limit(self, wide: Wave) -> tuple[Wave, float]:
        """The stretch within MARGIN samples on each side, limited, and the deepest gain in dB."""
        inner = wide[:, MARGIN : wide.shape[1] - MARGIN]
        gain = gain_for(wide, 10 ** ((self.ceiling_db - GUARD) / 20))
        return (inner, 0.0) if gain is None else (inner * gain, decibels(float(gain.min())))


def render(
    score: Score,
    rate: int = 48000,
    *,
    loudness: float | str = -23.0,
    gain_db: float | None = None,
    ceiling_db: float = -1.0,
    only: Sequence[str] = (),
    mute: Sequence[str] = (),
    soundfont: str | None = None,
) -> Music:
    """The music of a score: a loop, or where it does not loop its bars and what rings after them.

    rate        48000 or 44100 samples a second
    loudness    LUFS, -40 to -10, or a name of PRESETS; of what sounds, around the loop
    gain_db     a gain instead of a loudness: that of another rendering, so that parts fit together
    ceiling_db  dBTP, -12 to 0, that the limiter keeps
    only, mute  names of STREAMS
    soundfont   path of a .sf2, .sf3 or .sfo file whose instruments play instead of the built-in ones (package tinysoundfont)
    """
    stage = staged(score, rate, soundfont)
    streams = sounding(score, only, mute)
    check_ceiling(ceiling_db)
    raw = {}
    for stream in streams:
        raw[stream] = stage.stem(stream, 0, stage.samples)
        stage.forget(stream)
    if not score.loops:
        raw = heard_once(raw, stage)
    if gain_db is None:
        gain_db = gain_to(summed(list(raw.values())), rate, check_loudness(loudness), ceiling_db, score.loops)
    master = Master(streams, gain_db, ceiling_db)
    factor = np.float32(10 ** (gain_db / 20))
    for stem in raw.values():
        stem *= factor
    mix = summed(list(raw.values()))
    audio, limited = master.limit(bordered(mix, score.loops))
    del mix
    stems = {stream: interleaved(raw.pop(stream)) for stream in streams}  # of no two there are copies at one time
    return Music(score, rate, interleaved(audio), stems, gain_db, limited, soundfont)


def staged(score: Score, rate: int, soundfont: str | None = None) -> Stage:
    """The checked score on its stage."""
    check_rate(rate)
    check_score(score, STYLES)
    return Stage(score, rate, bank=font_bank(soundfont) if soundfont else None)


def font_bank(path: str) -> FontBank:
    """The bank of a SoundFont, kept until the file changes or two others were used."""
    file = Path(path)
    return _font_bank(path, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=2)
def _font_bank(path: str, changed: int) -> FontBank:
    return FontBank(path)


def sounding(score: Score, only: Sequence[str], mute: Sequence[str]) -> tuple[str, ...]:
    """The streams that have notes and are wanted, in the order of STREAMS; refused when nothing is left."""
    for field, names in (("only", only), ("mute", mute)):
        for name in names:
            if name not in STREAMS:
                raise Unknown(field, name, STREAMS)
    wanted = tuple(s for s in STREAMS if (not only or s in only) and s not in mute)
    if not any(STREAMS[note.stream] in wanted for note in score.notes):
        sentence = f"no note of {', '.join(wanted) or 'no stream'} is in the score"
        raise Refusal("empty", "only" if only else "mute", sentence, "let another stream sound, or feature one")
    return wanted


def heard_once(stems: Mapping[str, Wave], stage: Stage) -> dict[str, Wave]:
    """The stems up to where nothing is heard any more, at the earliest the end of the last bar."""
    loud = np.abs(summed(list(stems.values()))).max(axis=0)
    end = (
        max(stage.body, int(np.flatnonzero(loud > AUDIBLE * loud.max(initial=0))[-1]) + 1) if loud.any() else stage.body
    )
    return {name: fade_out(stem[:, :end].copy(), stage.rate // 20) for name, stem in stems.items()}


def gain_to(mix: Wave, rate: int, target: float, ceiling_db: float, loops: bool = True) -> float:
    """The gain in dB by which the mix (2, frames), limited, has the target's loudness, within 0.1 LU where the limiter lets it."""
    loud = measured(mix, rate)
    if loud == -math.inf:
        raise Refusal("silent", "score.notes", "what sounds is too quiet to measure", "give it notes that last longer")
    gain = target - loud
    for _ in range(6):
        trial = bordered(mix, loops) * np.float32(10 ** (gain / 20))
        audio, limited = Master((), gain, ceiling_db).limit(trial)
        if limited == 0:
            break
        short = target - measured(np.ascontiguousarray(audio), rate)
        if abs(short) < 0.1:
            break
        gain += short
    return gain


def check_loudness(value: float | str) -> float:
    if isinstance(value, str):
        if value not in PRESETS:
            raise Unknown("loudness", value, PRESETS)
        return PRESETS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType("loudness", value, f"LUFS from -40 to -10, or one of {', '.join(PRESETS)}")
    if not -40 <= value <= -10:
        raise OutOfRange("loudness", value, f"LUFS from -40 to -10, or one of {', '.join(PRESETS)}")
    return float(value)


def check_ceiling(value: float) -> None:
    if isinstance(value, bool) or not -12 <= value <= 0:
        raise OutOfRange("ceiling_db", value, "dBTP from -12 to 0")


def interleaved(sound: Wave) -> Wave:
    """(2, frames) as (frames, 2), contiguous."""
    return np.ascontiguousarray(sound.T)


def _cyclic(stage: Stage, stream: str, start: int, end: int) -> Wave:
    """A stretch of a stem in the loop that goes round."""
    pieces, at = [], start
    while at < end:
        low = at % stage.samples
        high = min(stage.samples, low + end - at)
        pieces.append(stage.stem(stream, low, high))
        at += high - low
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
