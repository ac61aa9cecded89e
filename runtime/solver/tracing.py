"""Tracing: a sampler run once over symbols becomes a table.

A symbol is a vector value: the start, the image, a draw, a raw model output, or something defined as a weighted sum of
symbols. `denoise(x, level)` ends a segment: x is defined as a symbol of its own and read by the model, and the denoised
estimate is defined in the next segment. `allocation` makes the table.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

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
        terms = self.terms.copy()
        for symbol, weight in other.terms.items():
            terms[symbol] = terms[symbol] - weight if symbol in terms else -weight
        return Vector(terms)

    def __mul__(self, factor: float) -> Vector:
        terms = self.terms.copy()
        for symbol in terms:
            terms[symbol] *= factor
        return Vector(terms)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Vector:
        terms = self.terms.copy()
        for symbol in terms:
            terms[symbol] /= divisor
        return Vector(terms)

    def __neg__(self) -> Vector:
        return self * -1.0


def plus(x: Vector, weights: Iterable[float], values: Iterable[Vector]) -> Vector:
    """x + sum of weights * values, added in their order. On symbols in one go, which is most of what tracing does."""
    if type(x) is not Vector:  # a sampler may be run on arrays, too
        for weight, value in zip(weights, values, strict=True):
            x = x + weight * value
        return x
    terms = x.terms.copy()
    before = terms.get
    for weight, value in zip(weights, values, strict=True):
        for symbol, part in value.terms.items():
            terms[symbol] = before(symbol, 0.0) + part * weight
    return Vector(terms)


def slope(x: Vector, denoised: Vector, ratio: float) -> Vector:
    """(x - denoised) / ratio; on symbols in one go, as `plus`."""
    if type(x) is not Vector:
        return (x - denoised) / ratio
    terms = x.terms.copy()
    for symbol, weight in denoised.terms.items():
        terms[symbol] = terms[symbol] - weight if symbol in terms else -weight
    for symbol in terms:
        terms[symbol] /= ratio
    return Vector(terms)


Denoise = Callable[[Vector, Level], Vector]
"""denoise(x, level): the clean estimate, under guidance."""
Estimates = Callable[[Vector, Level], tuple[Vector, Vector]]
"""estimates(x, level): the clean estimates under guidance and without the condition."""
Noise = Callable[[Level, Level], Vector]
"""noise(here, there): a fresh unit draw. On the way down, Brownian noise is a function of the two levels; on the way up
(restart, churn) every draw is new, as the same levels may come again."""
Keep = Callable[[Vector], Vector]
"""keep(v): v itself, from then on one value that is remembered, such as an old slope."""

Result = TypeVar("Result")
Asking = Generator[tuple[Vector, Level], Vector, Result]
"""A part of a sampler that yields (x, level) and is sent the clean estimate."""


def drive(asking: Asking[Result], denoise: Denoise) -> Result:
    """Its result, every question answered by `denoise` at once."""
    try:
        question = next(asking)
        while True:
            question = asking.send(denoise(*question))
    except StopIteration as ended:
        result: Result = ended.value
        return result


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
    """What a sampler did. Symbols are numbered as they come to be; those of the present segment, since the newest row,
    are numbered from `first`."""

    prediction: str
    guidance: Callable[[Level], float]  # its strength at a level
    rows: list[Row] = field(default_factory=list)
    sums: dict[int, Sum] = field(
        default_factory=dict
    )  # of defined symbols, over what stands in columns in their segment
    symbols: int = 2  # how many there are; 0 and 1 are the start and the image
    first: int = 0
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
        value.terms = {self.define(value.terms): 1.0}
        return value

    def noise(self, here: Level, there: Level) -> Vector:
        symbol = self.symbols
        self.symbols = symbol + 1
        self.draw_of[symbol] = len(self.intervals)
        self.intervals.append((here.sigma, there.sigma))
        return Vector({symbol: 1.0})

    def denoise(self, x: Vector, level: Level) -> Vector:
        return self._estimate(self._evaluate(x, level), self.guidance(level))

    def estimates(self, x: Vector, level: Level) -> tuple[Vector, Vector]:
        guided = self.denoise(x, level)
        return guided, self._estimate(self.rows[-1], 0.0)

    def define(self, terms: Sum) -> int:
        """A new symbol; parts that were defined in this segment have no column and are replaced by what they are made of.
        `terms` is taken over."""
        first, sums = self.first, self.sums
        for part in terms:
            if part >= first:
                terms = self._spelt_out(terms)
                break
        symbol = self.symbols
        self.symbols = symbol + 1
        sums[symbol] = terms if all(terms.values()) else {base: weight for base, weight in terms.items() if weight}
        return symbol

    def _spelt_out(self, terms: Sum) -> Sum:
        first, sums = self.first, self.sums
        total: Sum = {}
        for part, weight in terms.items():
            if part < first:
                total[part] = total[part] + weight if part in total else weight
            elif part in sums:
                for base, inner in sums[part].items():
                    total[base] = total[base] + weight * inner if base in total else weight * inner
            else:
                total[part] = weight
        return total

    def _evaluate(self, x: Vector, level: Level) -> Row:
        read = self.define(x.terms)
        x.terms = {read: 1.0}
        raw = self.first = self.symbols
        self.symbols = raw + 2
        a, b = coefficients(self.prediction, level)
        row = Row(read, level, raw, raw + 1, a, b)
        self.rows.append(row)
        return row

    def _estimate(self, row: Row, guidance: float) -> Vector:
        read, level, raw, raw_uncond, a, b = row
        terms = {read: a * level.scale, raw: b * guidance, raw_uncond: b * (1.0 - guidance)}
        symbol = self.symbols
        self.symbols = symbol + 1
        self.sums[symbol] = terms if all(terms.values()) else {base: weight for base, weight in terms.items() if weight}
        return Vector({symbol: 1.0})
