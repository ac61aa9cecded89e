"""Tracing: a sampler run once over symbols becomes a table.

A symbol is a vector value: the start, the image, a draw, a raw model output, or something defined as a weighted sum of
symbols. `denoise(x, level)` ends a segment: x is defined as a symbol of its own and read by the model, and the denoised
estimate is defined in the next segment. What a later segment still needs is kept in a slot; what is needed no more
gives its slot up, as registers do in a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .plan import Plan
from .process import Level, coefficients

Sum = dict[int, float]


class Vector:
    """A weighted sum of symbols; supports + and - with vectors, * and / by numbers."""

    __slots__ = ("terms",)

    def __init__(self, terms: Sum) -> None:
        self.terms = terms

    def _plus(self, other: Vector, sign: float) -> Vector:
        terms = dict(self.terms)
        for symbol, weight in other.terms.items():
            terms[symbol] = terms.get(symbol, 0.0) + sign * weight
        return Vector(terms)

    def __add__(self, other: Vector) -> Vector:
        return self._plus(other, 1.0)

    def __sub__(self, other: Vector) -> Vector:
        return self._plus(other, -1.0)

    def __mul__(self, factor: float) -> Vector:
        return Vector({symbol: weight * factor for symbol, weight in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Vector:
        return Vector({symbol: weight / divisor for symbol, weight in self.terms.items()})

    def __neg__(self) -> Vector:
        return self * -1.0


@dataclass
class Row:
    read: int  # the symbol the model reads
    level: Level
    raw: int
    raw_uncond: int


@dataclass
class Trace:
    """What a sampler did. `segment[s]` is where a symbol comes to be: 0 before the first row, r + 1 after row r."""

    prediction: str
    guidance: Sequence[float]
    rows: list[Row] = field(default_factory=list)
    sums: dict[int, Sum] = field(default_factory=dict)  # of defined symbols
    segment: list[int] = field(default_factory=lambda: [0, 0])  # symbols 0 and 1 are the start and the image
    draw_of: dict[int, int] = field(default_factory=dict)
    intervals: list[tuple[float, float]] = field(default_factory=list)

    def start(self, noise: float, image: float) -> Vector:
        return Vector({0: noise, 1: image} if image else {0: noise})

    def _symbol(self) -> int:
        self.segment.append(len(self.rows))
        return len(self.segment) - 1

    def _define(self, terms: Sum) -> int:
        symbol = self._symbol()
        self.sums[symbol] = {s: w for s, w in terms.items() if w != 0.0}
        return symbol

    def keep(self, value: Vector) -> Vector:
        """A value to be remembered as one, such as an old derivative."""
        return Vector({self._define(value.terms): 1.0})

    def noise(self, here: Level, there: Level) -> Vector:
        symbol = self._symbol()
        self.draw_of[symbol] = len(self.intervals)
        self.intervals.append((here.sigma, there.sigma))
        return Vector({symbol: 1.0})

    def denoise(self, x: Vector, level: Level) -> Vector:
        a, b = coefficients(self.prediction, level)
        guidance = self.guidance[min(len(self.rows), len(self.guidance) - 1)]
        read = self._define(x.terms)
        x.terms = {read: 1.0}
        self.rows.append(Row(read, level, 0, 0))
        raw, raw_uncond = self._symbol(), self._symbol()
        self.rows[-1] = Row(read, level, raw, raw_uncond)
        return Vector({self._define({read: a * level.scale, raw: b * guidance, raw_uncond: b * (1.0 - guidance)}): 1.0})

    def plan(self, result: Vector, final: Level) -> Plan:
        last = self._define((result * final.scale).terms)
        return _Table(self, [*(row.read for row in self.rows), last]).plan()


class _Table:
    """Slot allocation and the numbers of the table."""

    def __init__(self, trace: Trace, reads: list[int]) -> None:
        self.trace, self.reads = trace, reads
        self.bases = [_Bases() for _ in range(len(trace.rows) + 1)]

    def plan(self) -> Plan:
        trace, rows = self.trace, len(self.trace.rows)
        wanted = self._alive()
        slots = max(len(symbols) for symbols in wanted)
        columns = [self._columns(segment, wanted) for segment in range(rows + 1)]
        drawn = [[s for s in used if s in trace.draw_of] for used in columns]
        noise = max(map(len, drawn))
        head, mix = np.zeros((slots, 2 + noise)), np.zeros((rows, slots, slots + 2 + noise))
        draws = np.full((rows + 1, noise), -1, np.int64)
        for segment in range(rows + 1):
            at, matrix = self._places(segment, wanted, slots, head, mix)
            for k, symbol in enumerate(drawn[segment]):
                at[symbol], draws[segment, k] = matrix.shape[1] - noise + k, trace.draw_of[symbol]
            for slot, symbol in enumerate(wanted[segment]):
                for base, weight in self._in_bases(symbol, segment).items():
                    matrix[slot, at[base]] = weight
        read = np.zeros((rows, slots))
        read[:, 0] = [row.level.scale for row in trace.rows]
        ab = [coefficients(trace.prediction, row.level) for row in trace.rows]
        blend = np.array([[1.0 / b, -a / b] for a, b in ab])
        time = np.array([row.level.time for row in trace.rows])
        draws, intervals = _renumbered(draws, trace.intervals)
        return Plan(head, read, time, mix, draws, blend, intervals)

    def _places(
        self, segment: int, wanted: list[list[int]], slots: int, head: np.ndarray, mix: np.ndarray
    ) -> tuple[dict[int, int], np.ndarray]:
        if segment == 0:
            return {0: 0, 1: 1}, head
        row = self.trace.rows[segment - 1]
        at = {symbol: slot for slot, symbol in enumerate(wanted[segment - 1])}
        return {**at, row.raw: slots, row.raw_uncond: slots + 1}, mix[segment - 1]

    def _in_bases(self, symbol: int, segment: int) -> Sum:
        """The symbol over what stands in columns during a segment: slots, outputs and draws."""
        trace, done = self.trace, self.bases[segment].done
        if trace.segment[symbol] < segment or symbol not in trace.sums:
            return {symbol: 1.0}
        if symbol not in done:
            total: Sum = {}
            for part, weight in trace.sums[symbol].items():
                for base, inner in self._in_bases(part, segment).items():
                    total[base] = total.get(base, 0.0) + weight * inner
            done[symbol] = {base: weight for base, weight in total.items() if weight != 0.0}
        return done[symbol]

    def _alive(self) -> list[list[int]]:
        """Symbols in slots after each segment: first what is read next, then what a later segment needs, oldest first."""
        alive: list[list[int]] = [[] for _ in self.reads]
        needed: set[int] = set()
        for segment in range(len(self.reads) - 1, -1, -1):
            first = self.reads[segment]
            alive[segment] = [first, *sorted(needed - {first})]
            bases = {base for symbol in alive[segment] for base in self._in_bases(symbol, segment)}
            needed = {base for base in bases if self.trace.segment[base] < segment}
        return alive

    def _columns(self, segment: int, wanted: list[list[int]]) -> list[int]:
        used = {base for symbol in wanted[segment] for base in self._in_bases(symbol, segment)}
        return sorted(used)


@dataclass
class _Bases:
    done: dict[int, Sum] = field(default_factory=dict)


def _renumbered(draws: np.ndarray, intervals: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Draws that no weight uses are dropped and the others counted from 0 in order."""
    used = sorted({int(k) for k in draws.ravel() if k >= 0})
    number = {k: i for i, k in enumerate(used)}
    renumbered = np.array([[number.get(int(k), -1) for k in row] for row in draws], np.int64).reshape(draws.shape)
    return renumbered, np.array([intervals[k] for k in used], np.float64).reshape(-1, 2)


Denoise = Callable[[Vector, Level], Vector]
Noise = Callable[[Level, Level], Vector]
