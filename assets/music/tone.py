"""A note as it is played: a stretch of a wave that others play too, and the fades of its end, made only where they are heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np

from .signal import Wave, rise


@dataclass(frozen=True, eq=False)
class Tone:
    """The first `frames` samples of `wave`, float32 (2, samples), which nobody changes.

    fades  (end, frames) of each fade: so many samples before `end` it begins to fall, at `end` there is silence

    `wave` may be shorter than `frames` while only its beginning is heard; it is then exchanged for a longer one in time.
    """

    wave: Wave
    frames: int
    fades: tuple[tuple[int, int], ...] = ()

    def ended(self, at: int, fade: int) -> Self:
        """Silent from sample `at` on, after a fade of `fade` samples."""
        if at >= self.frames:
            return self
        return replace(self, frames=at, fades=(*self.fades, (at, min(fade, at))))

    def piece(self, low: int, high: int) -> Wave:
        """float32 (2, high - low): samples from `low` to `high`, 0 <= low < high <= frames. Look, do not touch."""
        found = self.wave[:, low:high]
        for end, fade in self.fades:
            start = max(low, end - fade)
            if start < high:
                if not found.flags.owndata:
                    found = found.copy()
                found[:, start - low :] *= _fall(fade)[start - (end - fade) : high - (end - fade)]
        return found

    @property
    def whole(self) -> Wave:
        """All of it."""
        return self.piece(0, self.frames)


@lru_cache(maxsize=64)
def _fall(frames: int) -> Wave:
    return np.ascontiguousarray(rise(frames)[::-1])
