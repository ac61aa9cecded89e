"""Where things lie in samples: the loop's length is rounded once, and every place is an exact fraction of it, so nothing drifts."""

from __future__ import annotations

import math
from fractions import Fraction

from ..refusal import OutOfRange, Refusal, Unknown, WrongType
from .score import SCALES, STREAMS, Score

RATES = (48000, 44100)
LONGEST = 600
"""Seconds that a loop may last."""
PERCUSSION = (35, 81)
"""The lowest and highest General MIDI percussion number."""


def loop_samples(score: Score, rate: int) -> int:
    """Samples of the whole loop: bars * beats * 60 * rate / bpm, exact in rationals, then rounded half up, once."""
    return math.floor(Fraction(score.bars * score.beats * 60 * rate) / Fraction(score.bpm) + Fraction(1, 2))


def sample_of(sixteenth: int, score: Score, rate: int) -> int:
    """The sample where a sixteenth begins; those past the loop's end go on with the same steps."""
    total = loop_samples(score, rate)
    return (2 * sixteenth * total + score.frames) // (2 * score.frames)


def beats_of(score: Score, rate: int) -> list[int]:
    """The samples of all beats; every `score.beats`-th is a downbeat."""
    return [sample_of(4 * beat, score, rate) for beat in range(score.bars * score.beats)]


def check_rate(rate: int) -> int:
    if rate not in RATES or isinstance(rate, bool):
        raise OutOfRange("rate", rate, " or ".join(map(str, RATES)))
    return rate


def check_score(score: Score, styles: tuple[str, ...]) -> Score:
    """The score, if every number in it can be played; otherwise a refusal that names the first that cannot."""
    for field, value, low, high in (
        ("bars", score.bars, 1, 512),
        ("beats", score.beats, 1, 16),
        ("tonic", score.tonic, 0, 11),
    ):
        _whole(f"score.{field}", value, low, high)
    if isinstance(score.bpm, bool) or not isinstance(score.bpm, int | float):
        raise WrongType("score.bpm", score.bpm, "a number")
    if not 20 <= score.bpm <= 400:
        raise OutOfRange("score.bpm", score.bpm, "a number from 20 to 400")
    if score.scale not in SCALES:
        raise Unknown("score.scale", score.scale, SCALES)
    if score.style not in styles:
        raise Unknown("score.style", score.style, styles)
    seconds = score.bars * score.beats * 60 / score.bpm
    if seconds > LONGEST:
        raise OutOfRange("score.bars", score.bars, f"a loop of at most {LONGEST} s", f"this one lasts {seconds:.0f} s")
    for number, note in enumerate(score.notes):
        where = f"score.notes[{number}]"
        _whole(f"{where}.stream", note.stream, 0, len(STREAMS) - 1)
        _whole(f"{where}.start", note.start, 0, score.frames - 1)
        _whole(f"{where}.length", note.length, 1, score.frames)
        _whole(f"{where}.velocity", note.velocity, 1, 127)
        low, high = PERCUSSION if note.stream == 0 else (0, 127)
        _whole(f"{where}.pitch", note.pitch, low, high)
    if not score.notes:
        raise Refusal("empty", "score.notes", "there is not one note, so there is nothing to hear", "add a note")
    return score


def _whole(field: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(field, value, f"a whole number from {low} to {high}")
    if not low <= value <= high:
        raise OutOfRange(field, value, f"a whole number from {low} to {high}")
