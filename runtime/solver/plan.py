"""A plan: a sampler with all its dials as a table of numbers, and its float64 reference executor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]
Model = Callable[[Reals, float, bool], ArrayLike]


@dataclass(frozen=True, eq=False)
class Plan:
    """One row per model evaluation.

    head       (slots, 2 + noise): slots before the first row = head @ [start, image, noise...]
    read       (rows, slots): the model's input = read . slots
    time       (rows,): what the model is told
    mix        (rows, slots, slots + 2 + noise): slots = mix @ [slots, raw, raw_uncond, noise...]
    draws      (rows + 1, noise): which unit draw fills each noise column, -1 none; first the head's, then each row's
    blend      (rows, 2): where an inpainting mask keeps the image, raw = blend . [image, model input]
    intervals  (noise_draws, 2): the frame sigmas that each draw spans, for Brownian noise; rising where noise is put back
    """

    head: Reals
    read: Reals
    time: Reals
    mix: Reals
    draws: NDArray[np.int64]
    blend: Reals
    intervals: Reals

    def __post_init__(self) -> None:
        rows, slots = self.read.shape
        noise = self.draws.shape[1]
        expected = {
            "head": (slots, 2 + noise),
            "time": (rows,),
            "mix": (rows, slots, slots + 2 + noise),
            "draws": (rows + 1, noise),
            "blend": (rows, 2),
            "intervals": (self.noise_draws, 2),
        }
        for name, shape in expected.items():
            actual = getattr(self, name).shape
            if actual != shape:
                raise ValueError(f"plan: {name} has shape {actual}, expected {shape} for {rows} rows and {slots} slots")
        for name in ("head", "read", "time", "mix"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"plan: {name} has a number that is not finite")

    @property
    def rows(self) -> int:
        return len(self.time)

    @property
    def slots(self) -> int:
        return int(self.read.shape[1])

    @cached_property
    def noise_draws(self) -> int:
        return int(self.draws.max(initial=-1)) + 1

    @property
    def stochastic(self) -> bool:
        return self.noise_draws > 0

    @cached_property
    def guided(self) -> NDArray[np.bool_]:
        """(rows,): whether the unconditional evaluation of a row is used."""
        used: NDArray[np.bool_] = np.any(self.mix[:, :, self.slots + 1] != 0, axis=1)
        return used

    @cached_property
    def evaluations(self) -> int:
        """Model evaluations, a guided row counts two."""
        return self.rows + int(self.guided.sum())

    @cached_property
    def digest(self) -> str:
        """sha-256 over the shapes and the little-endian bytes of every table, in the order of the fields."""
        total = hashlib.sha256()
        for name in ("head", "read", "time", "mix", "draws", "blend", "intervals"):
            array = np.ascontiguousarray(getattr(self, name))
            total.update(f"{name}{array.shape}".encode())
            total.update(array.astype("<i8" if array.dtype.kind == "i" else "<f8").tobytes())
        return total.hexdigest()

    def run(
        self,
        model: Model,
        start: ArrayLike,
        noise: Callable[[int], ArrayLike],
        image: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Reals:
        """The latent, float64: model(x, time, conditional) -> raw output; noise(k) -> the k-th unit draw.

        `start` is unit-variance noise, `image` a clean latent for image-to-image or inpainting, `mask` is 1 where new
        content is wanted and 0 where the image stays; all of one shape.
        """
        start = np.asarray(start, np.float64)
        known = np.zeros_like(start) if image is None else np.asarray(image, np.float64)

        def drawn(row: int) -> list[Reals]:
            return [np.zeros_like(start) if k < 0 else np.asarray(noise(int(k)), np.float64) for k in self.draws[row]]

        slots = combine(self.head, [start, known, *drawn(0)])
        for row in range(self.rows):
            x = combine(self.read[row : row + 1], slots)[0]
            outputs = [np.asarray(model(x, float(self.time[row]), True), np.float64), np.zeros_like(start)]
            if self.guided[row]:
                outputs[1] = np.asarray(model(x, float(self.time[row]), False), np.float64)
            if mask is not None:
                kept = self.blend[row, 0] * known + self.blend[row, 1] * x
                outputs = [mask * raw + (1.0 - np.asarray(mask)) * kept for raw in outputs]
            slots = combine(self.mix[row], [*slots, *outputs, *drawn(row + 1)])
        return slots[0]


def combine(matrix: Reals, columns: list[Reals]) -> list[Reals]:
    """matrix @ columns, summed from left to right over the weights that are not zero."""
    out = []
    for weights in matrix:
        total = np.zeros_like(columns[0])
        for weight, column in zip(weights, columns, strict=True):
            if weight != 0.0:
                total = total + weight * column
        out.append(total)
    return out
