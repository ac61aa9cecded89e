"""The noise of one recipe: its initial field and its step draws, by address."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .brownian import brownian
from .masks import cells_of
from .noise import GRAIN, INITIAL, STEP, evens, normals
from .recipe import Recipe
from .solver import Plan
from .solver.live import LivePlan
from .worker import Later, Worker

Field = NDArray[np.float32]
Made = tuple[range, Sequence[Field] | Field, Field | None]
"""Which draws, the draws, and the decoder's noise where it was made with them."""
BLOCK_NUMBERS = 1 << 18
"""Draws are made several at a time, up to this many numbers: one call for a few-step plan, bounded memory for a long one."""


def initial(recipe: Recipe, shape: tuple[int, int, int]) -> Field:
    """The unit-variance start (channels, height, width)."""
    field: Field = _turned(recipe, lambda seed: normals(seed, INITIAL, [0], *shape, **_corner(recipe, shape)))[0]
    return field


def grain(recipe: Recipe, shape: tuple[int, int, int] | None, cells: tuple[int, int]) -> Field | None:
    """The decoder's noise (channels, height, width), for bundles whose decoder takes some; `cells` of the latent (h, w).

    Where a mask keeps the image, so does this: what is kept would look and sound another otherwise.
    """
    if shape is None:
        return None
    own = _turned(recipe, lambda seed: evens(seed, GRAIN, 0, *shape, **_corner(recipe, shape)))
    if recipe.mask is None or not isinstance(recipe.image, Recipe):
        return own
    width = cells[1] * recipe.image.width // recipe.width  # of a sound that is gone on with, fewer
    fine = shape[1] // cells[0]
    theirs = grain(recipe.image, (*shape[:2], width * fine), (cells[0], width))
    assert theirs is not None
    kept = cells_of(recipe.mask, *cells, recipe.width // cells[1])[0, :, :width] == 0
    made = own.copy()
    np.copyto(made[:, :, : width * fine], theirs, where=kept.repeat(fine, 0).repeat(fine, 1))
    return made


def _turned(recipe: Recipe, of: Callable[[int], Field]) -> Field:
    """The seed's noise, turned towards the variation seed's by the strength: at 1 it is the other's, bit for bit.

    Normal fields of two seeds are at right angles, so the spherical interpolation has the fixed angle pi / 2. The two
    weights are rounded to 12 decimals, where every machine's sine agrees.
    """
    if recipe.variation_strength == 0.0 or recipe.variation_seed == recipe.seed:
        return of(recipe.seed)
    if recipe.variation_strength == 1.0:
        return of(recipe.variation_seed)
    angle = recipe.variation_strength * math.pi / 2
    keep, turn = np.float32(round(math.cos(angle), 12)), np.float32(round(math.sin(angle), 12))
    return of(recipe.seed) * keep + of(recipe.variation_seed) * turn


def _corner(recipe: Recipe, shape: tuple[int, int, int]) -> dict[str, int]:
    """The window's top left corner in cells."""
    factor = recipe.width // shape[2]
    return {"x": recipe.x // factor, "y": recipe.y // factor}


class StepDraws:
    """The k-th unit draw of a plan's step noise, made in blocks and kept until the next block is wanted; and the grain.

    With `ahead` each block is made there while the model runs, so that its numbers are ready when they are wanted, and with
    the first the decoder's noise, of shape `grain`: one task, as two would get into each other's way between two rows.
    """

    def __init__(
        self,
        recipe: Recipe,
        plan: Plan | LivePlan,
        shape: tuple[int, int, int],
        ahead: Worker | None = None,
        grain: tuple[int, int, int] | None = None,
    ) -> None:
        self._recipe, self._plan, self._shape, self._ahead = recipe, plan, shape, ahead
        self._block = max(1, BLOCK_NUMBERS // math.prod(shape))
        self._made: dict[int, Field] = {}
        self._stop = 0  # the first draw after the block made
        self._grain_shape = grain
        self._grain: Field | None = None
        self._coming: Later[Made] | None = None

    def initial(self) -> Field:
        """The start, as `initial` gives it."""
        return initial(self._recipe, self._shape)

    def prepare(self) -> None:
        """To be called when the model is about to run: begins what is not made or begun already."""
        if self._ahead is None or self._coming is not None:
            return
        wanted, shape = self._wanted(self._stop), None if self._grain is not None else self._grain_shape
        if wanted or shape is not None:
            self._coming = self._ahead.make(self._make, wanted, shape)

    def __call__(self, k: int) -> Field:
        if k not in self._made and self._coming is not None:
            self._take(self._coming.result())
        if k not in self._made:
            self._take(self._make(self._wanted(k), None))
        return self._made[k]

    def grain(self) -> Field | None:
        """The decoder's noise, as `grain` gives it."""
        if self._grain is None and self._coming is not None:
            self._take(self._coming.result())
        return self._grained(self._grain_shape) if self._grain is None else self._grain

    def _take(self, made: Made) -> None:
        wanted, fields, grained = made
        self._coming, self._made, self._stop = None, dict(zip(wanted, fields, strict=True)), wanted.stop
        self._grain = self._grain if grained is None else grained

    def _wanted(self, first: int) -> range:
        return range(first, min(first + self._block, self._plan.noise_draws))

    def _make(self, wanted: range, grained: tuple[int, int, int] | None) -> Made:
        self._recipe.told()  # wanted with the result, and quickly
        return wanted, self._steps(wanted) if wanted else (), self._grained(grained)

    def _grained(self, shape: tuple[int, int, int] | None) -> Field | None:
        return grain(self._recipe, shape, self._shape[1:])

    def _steps(self, wanted: range) -> Field:
        intervals = [(float(here), float(there)) for here, there in self._plan.intervals[wanted.start : wanted.stop]]
        corner = _corner(self._recipe, self._shape)

        def fields(seed: int) -> Field:
            if self._recipe.noise != "brownian":
                return normals(seed, STEP, wanted, *self._shape, **corner)
            path = brownian(seed, intervals, *self._shape, **corner)
            rising = [k for k, (here, there) in enumerate(intervals) if here < there]  # restart, churn: not on the path
            if rising:
                path[rising] = normals(seed, STEP, [wanted[k] for k in rising], *self._shape, **corner)
            return path

        return _turned(self._recipe, fields)
