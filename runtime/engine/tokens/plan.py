"""A token plan: a table that says what the model reads and how its outputs become words, as a `Plan` does for latents.

It has rows: evaluations of the model that differ in what they hear and see; a stream's logits are a weighted sum over the
rows. Guidance is two rows and two weights, double guidance three; a stream that must not depend on others is read from a
row that does not see them. The engine runs every such table and knows none of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .sampling import Sampling


@dataclass(frozen=True, eq=False)
class TokenPlan:
    """sizes      words of each stream
    delays     steps by which each stream comes late
    frames     how many words each stream gets
    conditions float32 (rows, steps, C), steps = frames + the longest delay
    sees       (rows, streams): which streams a row is told of; the others are unseen words
    mix        float64 (streams, rows): weights of the rows in a stream's logits
    sampling   one for each stream
    allowed    by stream, bool (frames, words): words that may be said, where not all may
    """

    sizes: tuple[int, ...]
    delays: tuple[int, ...]
    frames: int
    conditions: NDArray[np.float32]
    sees: NDArray[np.bool_]
    mix: NDArray[np.float64]
    sampling: tuple[Sampling, ...]
    allowed: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    evaluations: int = field(init=False)

    def __post_init__(self) -> None:
        streams, (rows, steps, _) = len(self.sizes), self.conditions.shape
        shapes = {"sees": (rows, streams), "mix": (streams, rows)}
        for name, expected in shapes.items():
            if getattr(self, name).shape != expected:
                raise ValueError(f"{name} has the shape {getattr(self, name).shape}, expected {expected}")
        if steps != self.steps or len(self.sampling) != streams or len(self.delays) != streams:
            raise ValueError(f"{steps} steps of conditions, expected {self.steps}; or not one entry a stream")
        for stream, words in self.allowed.items():
            if words.shape != (self.frames, self.sizes[stream]) or not words.any(1).all():
                raise ValueError(f"allowed[{stream}] must leave a word in each of {self.frames} frames")
        object.__setattr__(self, "evaluations", rows * steps)

    @property
    def steps(self) -> int:
        return self.frames + max(self.delays)

    @property
    def rows(self) -> int:
        """Model calls in sequence, as of any plan."""
        return self.steps

    @property
    def width(self) -> int:
        """Rows of one model call."""
        return len(self.conditions)

    @property
    def digest(self) -> str:
        total = hashlib.sha256(repr((self.sizes, self.delays, self.frames, self.sampling)).encode())
        for array in (self.conditions, self.sees, self.mix, *self.allowed.values()):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()
