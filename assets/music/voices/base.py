"""What an instrument is: how to make one of its notes, and what happens when the key is let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..signal import Wave

LAYERS = (54, 92)
"""Velocities at which the next harder layer begins: three layers, 0 is the softest."""


@dataclass(frozen=True)
class Voice:
    """make     (pitch, layer, frames, rate) -> float32 (2, frames), at the level of `signal.LEVEL`, without the end of the key
    release  seconds of the fade when the key is let go
    rings    the key's end changes nothing: the note always lasts `seconds`
    seconds  how long a note can last at most by itself; none where it sounds as long as the key is held
    shared   (pitch, layer, rate): makes what notes of all lengths share, where that is most of a note's work
    """

    make: Callable[[int, int, int, int], Wave]
    release: float = 0.1
    rings: bool = False
    seconds: float | None = None
    shared: Callable[[int, int, int], object] | None = None


def layer_of(velocity: int) -> int:
    return sum(velocity >= edge for edge in LAYERS)
