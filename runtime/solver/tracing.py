"""Tracing: a sampler run once over symbols becomes a table.

A symbol is a vector value: the start, the image, a draw, a raw model output, or something defined as a weighted sum of
symbols. `denoise(x, level)` ends a segment: x is defined as a symbol of its own and read by the model, and the denoised
estimate is defined in the next segment. What a later segment still needs is kept in a slot; what is needed no more
gives its slot up, as registers do in a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from .plan import Plan
from .process import Level, Process, coefficients

Sum = dict[int, float]


class Vector:
    """A weighted sum of symbols; supports + and - with vectors, * and / by numbers."""

    __slots__ = ("terms",)

    def __init__(self, terms: Sum) -> None:
        self.terms = terms

    def __add__(self, other: Vector) -> Vector:
        own, theirs = self.terms, other.terms
        terms = own | theirs
        if len(terms) < len(own) + len(theirs):  # the fast case is that they share none
            for symbol in own.keys() & theirs.keys():
                terms[symbol] = own[symbol] + theirs[symbol]
        return Vector(terms)

    def __iadd__(self, other: Vector) -> Vector:
        """In place, as on arrays: how a form of a sampler changes the latent that the sampler holds."""
        self.terms = (self + other).terms
        return self

    def __sub__(self, other: Vector) -> Vector:
        return self + other * -1.0

    def __mul__(self, factor: float) -> Vector:
        return Vector({symbol: weight * factor for symbol, weight in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Vector:
        return Vector({symbol: weight / divisor for symbol, weight in self.terms.items()})

    def __neg__(self) -> Vector:
        return self * -1.0


Denoise = Callable[[Vector, Level], Vector]
"""denoise(x, level): the clean estimate, under guidance."""
Estimates = Callable[[Vector, Level], tuple[Vector, Vector]]
"""estimates(x, level): the clean estimates under guidance and without the condition."""
Noise = Callable[[Level, Level], Vector]
"""noise(here, there): a fresh unit draw. On the way down, Brownian noise is a function of the two levels; on the way up
(restart, churn) every draw is new, as the same levels may come again."""
Keep = Callable[[Vector], Vector]
"""keep(v): v, remembered as one value, such as an old slope."""

Mark = tuple[int, int]


class Attempts(Protocol):
    """What a live sampler may ask: the error of a step, and to take evaluations back."""

    def mark(self) -> Mark: ...

    def back_to(self, mark: Mark) -> None: ...

    def error(self, low: Vector, high: Vector, previous: Vector, atol: float, rtol: float) -> float: ...


GIVEN = ("denoise", "x", "levels", "noise", "process", "keep", "estimates", "attempts")
"""What a sampler function is given where it names it; its other parameters are its dials."""


class Row(NamedTuple):
    """One evaluation: the symbol that the model reads, the symbols of its outputs; denoised = a x + b raw."""

    read: int
    level: Level
    raw: int
    raw_uncond: int
    a: float
    b: float


@dataclass
class Trace:
    """What a sampler did. `segment[s]` is where a symbol comes to be: 0 before the first row, r + 1 after row r."""

    prediction: str
    guidance: Callable[[Level], float]  # its strength at a level
    rows: list[Row] = field(default_factory=list)
    sums: dict[int, Sum] = field(
        default_factory=dict
    )  # of defined symbols, over what stands in columns in their segment
    segment: list[int] = field(default_factory=lambda: [0, 0])  # symbols 0 and 1 are the start and the image
    draw_of: dict[int, int] = field(default_factory=dict)
    intervals: list[tuple[float, float]] = field(default_factory=list)

    def start(self, noise: float, image: float) -> Vector:
        return Vector({0: noise, 1: image} if image else {0: noise})

    def given(self, process: Process, s_noise: float = 1.0) -> dict[str, Any]:
        """What sampler functions may ask for by name, besides denoise, x and levels; s_noise is a factor on each draw."""

        def noise(higher: Level, lower: Level) -> Vector:
            return s_noise * self.noise(higher, lower)

        return {"noise": noise, "process": process, "keep": self.keep, "estimates": self.estimates}

    def keep(self, value: Vector) -> Vector:
        return Vector({self._define(value.terms): 1.0})

    def noise(self, here: Level, there: Level) -> Vector:
        symbol = self._symbol()
        self.draw_of[symbol] = len(self.intervals)
        self.intervals.append((here.sigma, there.sigma))
        return Vector({symbol: 1.0})

    def denoise(self, x: Vector, level: Level) -> Vector:
        return self._estimate(self._evaluate(x, level), self.guidance(level))

    def estimates(self, x: Vector, level: Level) -> tuple[Vector, Vector]:
        guided = self.denoise(x, level)
        return guided, self._estimate(self.rows[-1], 0.0)

    def plan(self, result: Vector, final: Level) -> Plan:
        last = self._define((result * final.scale).terms)
        return _table(self, [*(row.read for row in self.rows), last])

    def _symbol(self) -> int:
        self.segment.append(len(self.rows))
        return len(self.segment) - 1

    def _define(self, terms: Sum) -> int:
        """A new symbol; parts that were defined in this segment have no column and are replaced by what they are made of."""
        now, sums, total = len(self.rows), self.sums, dict[int, float]()
        for part, weight in terms.items():
            if part in sums and self.segment[part] == now:
                for base, inner in sums[part].items():
                    total[base] = total.get(base, 0.0) + weight * inner
            else:
                total[part] = total.get(part, 0.0) + weight
        symbol = self._symbol()
        sums[symbol] = total if all(total.values()) else {base: weight for base, weight in total.items() if weight}
        return symbol

    def _evaluate(self, x: Vector, level: Level) -> Row:
        read = self._define(x.terms)
        x.terms = {read: 1.0}
        raw = len(self.segment)
        self.rows.append(Row(read, level, raw, raw + 1, *coefficients(self.prediction, level)))
        self.segment += [len(self.rows)] * 2
        return self.rows[-1]

    def _estimate(self, row: Row, guidance: float) -> Vector:
        terms = {row.read: row.a * row.level.scale, row.raw: row.b * guidance, row.raw_uncond: row.b * (1.0 - guidance)}
        return Vector({self._define(terms): 1.0})


def _table(trace: Trace, reads: list[int]) -> Plan:
    """Slot allocation and the numbers of the table; `reads` are the symbols that each row and the result read."""
    rows, draw_of = len(trace.rows), trace.draw_of
    alive, sums = _alive(trace, reads)
    slots = max(map(len, alive))
    drawn = [sorted({s for total in each for s in total if s in draw_of}) if draw_of else [] for each in sums]
    number = {symbol: k for k, symbol in enumerate(sorted({s for each in drawn for s in each}))}
    noise = max(map(len, drawn))
    width = slots + 2 + noise
    head, mix = np.zeros((slots, 2 + noise)), np.zeros((rows, slots, width))
    draws = np.full((rows + 1, noise), -1, np.int64)
    column = {0: 0, 1: 1}
    for r, each in enumerate(sums):
        for k, symbol in enumerate(drawn[r]):
            column[symbol], draws[r, k] = (2 if r == 0 else slots + 2) + k, number[symbol]
        table = head.reshape(-1) if r == 0 else mix[r - 1].reshape(-1)  # a view
        start, across = 0, len(table) // slots
        for total in each:
            for base, weight in total.items():
                table[start + column[base]] = weight
            start += across
        if r < rows:
            column = {symbol: slot for slot, symbol in enumerate(alive[r])}
            column[trace.rows[r].raw], column[trace.rows[r].raw_uncond] = slots, slots + 1
    read = np.zeros((rows, slots))
    read[:, 0] = [row.level.scale for row in trace.rows]
    return Plan(
        head,
        read,
        time=np.array([row.level.time for row in trace.rows]),
        mix=mix,
        draws=draws,
        blend=np.array([[1.0 / row.b, -row.a / row.b] for row in trace.rows]),
        intervals=np.array([trace.intervals[draw_of[symbol]] for symbol in number], np.float64).reshape(-1, 2),
    )


def _alive(trace: Trace, reads: list[int]) -> tuple[list[list[int]], list[list[Sum]]]:
    """Symbols in slots after each segment, first what is read next, then what a later segment needs, oldest first; and
    each as a sum over what stands in columns during the segment: slots, outputs and draws."""
    alive: list[list[int]] = []
    sums: list[list[Sum]] = []
    born, made = trace.segment, trace.sums
    needed: set[int] = set()
    for r in range(len(reads) - 1, -1, -1):
        needed.discard(reads[r])
        alive.append([reads[r], *sorted(needed)])
        sums.append([made[s] if s in made and born[s] == r else {s: 1.0} for s in alive[-1]])
        needed = {base for total in sums[-1] for base in total if born[base] < r}
    return alive[::-1], sums[::-1]
