"""What a piece of music is asked to be, and the numbers that the model hears of it.

Key and tempo are not among what must be learned: pitches are degrees of the scale, so both are exact when notes are made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...assets.music.score import SCALES

Vector = NDArray[np.float32]

STYLES = ("ambient", "exploration", "tense", "combat", "boss", "victory", "town", "dungeon", "menu")
SECTIONS = ("intro", "loop", "fill", "ending", "stinger")
SIGNATURES = {3: "3/4", 4: "4/4", 5: "5/4"}
"""Quarter notes of a bar, and how that is written."""
BPM = (60.0, 200.0)
BARS = range(1, 33)
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

KNOTS = 6
"""A number from 0 to 1 is told as hat functions on this many evenly spaced points, which sum to 1; unknown is all zeros."""
GROUPS: dict[str, int] = {
    "style": len(STYLES),
    "section": len(SECTIONS),
    "scale": len(SCALES),
    "beats": len(SIGNATURES),
    "bpm": KNOTS,
    "density": KNOTS,
    "brightness": KNOTS,
    "intensity": KNOTS,
}
"""Parts of the condition vector in their order, with their sizes. A part that is left out is all zeros."""
STATIC = sum(GROUPS.values())
BAR, PHRASE, LEFT = 4 * max(SIGNATURES), 8, 8
"""One-hot places of a frame: sixteenth of the bar, bar of an eight-bar phrase, bars left (0 to 7 and more)."""
SIZE = STATIC + BAR + PHRASE + LEFT
"""Numbers of a frame's whole condition."""


@dataclass(frozen=True)
class Conditions:
    """`styles` weigh as `weights` say, without them the same; the last one names the sound; tonic 0 to 11 (0 = C), `scale` a name of
    SCALES.

    density, brightness, intensity  0 to 1
    progression  degrees 0 to 6, spread evenly over the bars and repeated; none of them: the model chooses; None: not said
    """

    styles: tuple[str, ...] = ("exploration",)
    weights: tuple[float, ...] = ()
    section: str = "loop"
    bpm: float = 100.0
    tonic: int = 0
    scale: str = "minor"
    density: float = 0.5
    brightness: float = 0.5
    intensity: float = 0.5
    bars: int = 8
    beats: int = 4
    progression: tuple[int, ...] | None = None

    @property
    def frames(self) -> int:
        """Sixteenths of the whole piece."""
        return self.bars * self.beats * 4

    @property
    def key(self) -> str:
        return f"{TONICS[self.tonic]} {self.scale}"


def vector(conditions: Conditions, heard: Collection[str] = tuple(GROUPS)) -> Vector:
    """float32 (STATIC,): the parts that are heard; the others are zeros."""
    parts = []
    for name, size in GROUPS.items():
        part = np.zeros(size, np.float32)
        if name in heard:
            _PARTS[name](conditions, part)
        parts.append(part)
    return np.concatenate(parts)


def places(first: int, count: int, frames: int, beats: int) -> Vector:
    """float32 (count, BAR + PHRASE + LEFT) for the frames `first`... of a loop of so many frames, round and round."""
    at = np.arange(first, first + count) % frames
    bar = at // (4 * beats)
    left = np.minimum(frames // (4 * beats) - 1 - bar, LEFT - 1)
    found = np.zeros((count, BAR + PHRASE + LEFT), np.float32)
    rows = np.arange(count)
    found[rows, at % (4 * beats)] = 1.0
    found[rows, BAR + bar % PHRASE] = 1.0
    found[rows, BAR + PHRASE + left] = 1.0
    return found


def hats(value: float) -> Vector:
    """A number from 0 to 1 as KNOTS hat functions."""
    at = value * (KNOTS - 1)
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(np.arange(KNOTS) - at)), np.float32)


_Fill = Callable[[Conditions, Vector], None]


def _style(conditions: Conditions, part: Vector) -> None:
    weights = conditions.weights or (1.0,) * len(conditions.styles)
    for style, weight in zip(conditions.styles, weights, strict=True):
        part[STYLES.index(style)] += weight / sum(weights)


def _number(name: str, low: float = 0.0, high: float = 1.0) -> _Fill:
    def fill(conditions: Conditions, part: Vector) -> None:
        part[:] = hats((getattr(conditions, name) - low) / (high - low))

    return fill


def _choice(name: str, among: tuple[object, ...]) -> _Fill:
    known = list(among)

    def fill(conditions: Conditions, part: Vector) -> None:
        part[known.index(getattr(conditions, name))] = 1.0

    return fill


_PARTS: dict[str, _Fill] = {
    "style": _style,
    "section": _choice("section", SECTIONS),
    "scale": _choice("scale", tuple(SCALES)),
    "beats": _choice("beats", tuple(SIGNATURES)),
    "bpm": _number("bpm", *BPM),
    "density": _number("density"),
    "brightness": _number("brightness"),
    "intensity": _number("intensity"),
}
