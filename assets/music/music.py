"""Music as a game receives it: a loop of samples, its stems, and the facts by which an engine plays it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import beats_of, loop_samples
from .limiter import decibels, true_peak
from .loudness import loudness
from .score import Score
from .signal import Wave


@dataclass(frozen=True)
class Music:
    """A loop: after its last sample comes its first, tails included; or, where the score does not loop, music that is heard once.

    score     what is played
    rate      samples a second
    audio     float32 (frames, 2), left and right: what to play
    stems     by stream, float32 (frames, 2): added in this order, one after another in float32, they are `mix`, to the last bit
    gain_db   the gain that all stems got
    limited_db  how far the limiter went at most (0 or below); where it is 0, `audio` is `mix`
    soundfont  path of the SoundFont that plays, if one does
    recipe    what it was made from, when that is known
    """

    score: Score
    rate: int
    audio: Wave
    stems: Mapping[str, Wave]
    gain_db: float
    limited_db: float = 0.0
    soundfont: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Samples of the loop, of one channel."""
        return int(self.audio.shape[0])

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    @property
    def body(self) -> int:
        """The sample where the last bar ends, and what comes next may begin; of a loop its length."""
        return loop_samples(self.score, self.rate)

    @property
    def mix(self) -> Wave:
        """The stems added in their order, before the limiter: float32 (frames, 2)."""
        return summed(list(self.stems.values()))

    @cached_property
    def beats(self) -> tuple[int, ...]:
        """The sample of each beat."""
        return tuple(beats_of(self.score, self.rate))

    @property
    def downbeats(self) -> tuple[int, ...]:
        """The sample of each bar's first beat."""
        return self.beats[:: self.score.beats]

    @cached_property
    def loudness(self) -> float:
        """LUFS of `audio`, around the loop."""
        return loudness(np.ascontiguousarray(self.audio.T), self.rate)

    @cached_property
    def true_peak(self) -> float:
        """dBTP of `audio`, around the loop."""
        return decibels(true_peak(np.ascontiguousarray(self.audio.T)))

    @cached_property
    def digest(self) -> str:
        """sha-256 (hex) over the bytes of `audio` and of all stems in order, little-endian float32, interleaved."""
        total = hashlib.sha256()
        for sound in (self.audio, *self.stems.values()):
            total.update(np.ascontiguousarray(sound, "<f4").data)
        return total.hexdigest()


def summed(stems: list[Wave]) -> Wave:
    """The sum in the order given, each partial sum rounded to float32: this order is part of what a recipe promises."""
    total: NDArray[np.float32] = stems[0].copy()
    for stem in stems[1:]:
        total += stem
    return total
