"""A job: one latent on its way through one plan. All of its state lives here, none in the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..solver import Plan
from ..solver.live import LivePlan
from .network import Network

Latent = NDArray[np.float32]
Draw = Callable[[int], Latent]
"""The k-th unit draw of step noise, float32 (channels, height, width)."""


def _nothing(*_: object) -> None: ...


@dataclass(eq=False)
class Job:
    """The state of one latent of `shape` (channels, height, width); `row` is the next row of the plan.

    `begin` makes the slots, each of `shape`, when the job is first chosen, so that a job that waits costs nothing; it may set
    what else is encoded for it then: condition, image, mask and the arrays under the names of `given`.
    """

    network: Network
    plan: Plan
    shape: tuple[int, int, int]
    begin: Callable[[], list[Latent]]
    condition: NDArray[np.float32]  # (2, K): conditional, unconditional
    draw: Draw
    prepare: Callable[[], None] = _nothing  # called when the model is about to run: what `draw` will give may be begun
    image: Latent | None = None  # a clean latent, where the plan starts from one or a mask keeps parts of it
    mask: Latent | None = None  # (1, height, width): 1 is made anew, 0 stays the image's
    given: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # (2, ...) each: what else its network reads
    priority: int = 0  # higher goes first
    deadline: float = float("inf")  # seconds on the engine's clock
    arrived: float = 0.0
    row: int = 0
    on_row: Callable[[Job], None] = _nothing  # after each row, the last one too
    on_done: Callable[[Job], None] = _nothing  # a tick of its own: decodes and hands over; must not raise
    on_error: Callable[[Job, Exception], None] = _nothing
    model_seconds: float = 0.0  # of the model calls it took part in, shared evenly
    table: Table = field(init=False)
    slots: list[Latent] = field(init=False)

    def __post_init__(self) -> None:
        self.table = table_of(self.plan)

    @property
    def finished(self) -> bool:
        return self.row == self.plan.rows

    @property
    def time(self) -> NDArray[np.float32]:
        """What the model is told at its next row, (1,)."""
        return self.table.time[self.row : self.row + 1]

    @property
    def samples(self) -> int:
        """Model evaluations of its next row: 2 where the unconditional one is used."""
        return 1 + self.table.guided[self.row]

    @property
    def latent(self) -> Latent:
        return self.slots[0]

    def inputs(self) -> Latent:
        """What the model reads at this row, (channels, height, width)."""
        if self.row == 0:
            self.slots = self.begin()
        return combine(self.table.read[self.row], self.slots)

    def advance(self, raw: Latent, raw_uncond: Latent | None) -> None:
        """Applies the row's matrix: slots = mix @ [slots, raw, raw_uncond, noise...], columns summed in order."""
        columns: list[Latent | None] = [*self.slots, self._masked(raw), self._masked(raw_uncond)]
        columns += [None if k < 0 else self.draw(k) for k in self.table.draws[self.row]]
        self.slots = [combine(weights, columns) for weights in self.table.mix[self.row]]
        self.row += 1

    def _masked(self, raw: Latent | None) -> Latent | None:
        """The output, and where the mask keeps the image the one that says so: raw = blend . [image, model input]."""
        if raw is None or self.mask is None or self.image is None:
            return raw
        to_image, to_input = self.table.blend[self.row]
        kept = self.image * to_image + combine(self.table.read[self.row], self.slots) * to_input
        return np.where(self.mask > 0, raw, kept)


class Table:
    """A plan's numbers as the engine uses them: float32, and only the columns whose weight is not zero."""

    def __init__(self, plan: Plan) -> None:
        self.read = _sparse(plan.read)
        self.time = plan.time.astype(np.float32)
        weights = _sparse(plan.mix.reshape(plan.rows * plan.slots, -1))
        self.mix = [weights[at : at + plan.slots] for at in range(0, len(weights), plan.slots)]
        self.blend = plan.blend.astype(np.float32)
        self.draws: list[list[int]] = plan.draws[1:].tolist()
        self.guided: list[bool] = plan.guided.tolist()


@lru_cache(maxsize=256)
def table_of(plan: Plan) -> Table:
    return Table(plan)


Weights = list[tuple[int, Latent]]
"""Columns and their weights, each an array without axes, which numpy takes in half the time of a scalar."""


def _sparse(matrix: NDArray[np.float64]) -> list[Weights]:
    """The weights of each row of a matrix that are not zero, with their columns."""
    rows: list[Weights] = [[] for _ in matrix]
    at = np.nonzero(matrix)
    for row, column, weight in zip(*map(np.ndarray.tolist, at), matrix[at].astype(np.float32), strict=True):
        rows[row].append((column, np.array(weight)))
    return rows


def combine(weights: Weights, columns: Sequence[Latent | None]) -> Latent:
    """The weighted sum in float32, left to right: one multiplication and one addition a term, the same on every machine."""
    total: Latent | None = None
    for column, weight in weights:
        part = columns[column]
        assert part is not None, "a weight that is not zero stands on a column that has no value"
        term = part * weight
        total = term if total is None else np.add(total, term, out=total)
    if total is None:
        some = next(part for part in columns if part is not None)
        return np.zeros_like(some)
    return total


def start(plan: Plan | LivePlan, noise: Latent, image: Latent | None, draw: Draw) -> list[Latent]:
    """The slots before the first row, float32 (channels, height, width) each: head @ [start, image, noise...]."""
    if isinstance(plan, LivePlan):  # which has no head: its sampler makes what it reads
        return [noise, np.zeros_like(noise) if image is None else image]
    columns: list[Latent | None] = [noise, image]
    columns += [None if k < 0 else draw(int(k)) for k in plan.draws[0]]
    return [combine(weights, columns) for weights in _head(plan)]


@lru_cache(maxsize=256)
def _head(plan: Plan) -> list[Weights]:
    return _sparse(plan.head)
