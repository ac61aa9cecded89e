"""The live form: a sampler that looks at its own error runs on the values, and what it did becomes a plan.

The sampler yields what it wants the model to read. Each symbol gets its value as it comes to be, so that an error norm can be
asked for; a step that is rejected is taken back from the trace. What it decides depends on its own latent alone. In the end
there is a result and the `Plan` of the accepted steps, which gives it again like any other plan.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...assets.refusal import Refusal, Unknown
from .allocation import tabulate
from .analytic import exact_model
from .guidance import Guidance, check_guidance, refuse_not_affine
from .levels import check_spacing, levels_of
from .names import resolve_names
from .plan import Model, Plan
from .process import Level, Process
from .samplers import LIVE
from .samplers.dials import settings
from .tracing import Asking, Mark, Row, Trace, Vector

Reals = NDArray[np.float64]
Draw = Callable[[int], ArrayLike]
GRID = 12
"""Steps of the named spacing whose ends a live run takes."""
DRAWS = 10_000
"""More step draws than any run asks for; how many it will be is known afterwards."""


@dataclass(frozen=True)
class LivePlan:
    """What is known of a live run before it: stands where a `Plan` stands, with a guess instead of its counts."""

    sampler: str
    levels: tuple[Level, ...]
    process: Process
    prediction: str
    guidance: Guidance
    denoise: float
    dials: tuple[tuple[str, Any], ...]

    @property
    def rows(self) -> int:
        """Model evaluations in sequence that the same tolerances took on the reference mixture."""
        return _expected(self)

    @property
    def guided(self) -> bool:
        """Whether the first evaluation needs the unconditional one too."""
        return self.guidance.over(self.levels)(self.levels[0]) != 1.0

    @property
    def evaluations(self) -> int:
        return self.rows * (2 if self.guided else 1)

    @property
    def noise_draws(self) -> int:
        return DRAWS if dict(self.dials).get("eta", 0.0) > 0 else 0

    @property
    def intervals(self) -> Reals:
        return np.zeros((0, 2))

    def begin(self, start: ArrayLike, draw: Draw, image: ArrayLike | None = None, mask: Any = None) -> LiveRun:
        """A run from unit-variance noise; `image` and `mask` as `Plan.run` has them."""
        return LiveRun(self, start, draw, image, mask)


def live_plan(
    sampler: str,
    spacing: str | Sequence[float] | Mapping[str, Any],
    process: Process,
    prediction: str,
    guidance: float | Sequence[float] = 1.0,
    steps: int | None = None,
    eta: float | None = None,
    denoise: float = 1.0,
    corrector: str | None = None,
    guidance_interval: tuple[float, float | None] | None = None,
    **options: Any,
) -> LivePlan:
    """Arguments as `compile_plan`'s, where they make sense. Of the spacing the ends are taken, of a named one those of 12
    steps; `steps` is refused unless it is None or 0."""
    named = resolve_names(sampler, spacing if isinstance(spacing, str) else None)
    sampler, options = named.sampler, {**named.options, **options}
    if sampler not in LIVE:
        raise Unknown("sampler", sampler, LIVE)
    if steps not in (None, 0):
        raise refuse_steps(sampler, steps)
    if corrector is not None:
        sentence = f"corrects samplers with a plan, and {sampler!r} has an error control of its own"
        raise Refusal("contradiction", "corrector", sentence, "leave corrector out")
    if isinstance(guidance, Sequence):
        sentence = f"a list goes by steps, and {sampler!r} chooses its own"
        raise Refusal("contradiction", "guidance", sentence, "give one number, or set guidance_interval")
    refuse_not_affine(options)
    count = _count(spacing)
    levels = levels_of(check_spacing(spacing, count), count, process, denoise)
    asked = options if eta is None else {**options, "eta": eta}
    dials = settings(sampler, LIVE[sampler].run, asked)
    strengths = check_guidance(guidance, guidance_interval, 1)
    return LivePlan(sampler, tuple(levels), process, prediction, strengths, float(denoise), tuple(dials.items()))


def _count(spacing: Any) -> int:
    """How many steps the levels of a spacing are; where it is none, a number with which it is refused."""
    times = isinstance(spacing, Mapping)
    if isinstance(spacing, str) or (times and "name" in spacing):
        return GRID
    numbers = spacing.get("times") if times else spacing
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or not numbers:
        return 1
    return max(1, len(numbers) - (0 if times and numbers[-1] != 0 else 1))


class LiveRun:
    """One latent under a live sampler: `inputs` and `time` are for the model, `answer` takes what it said, until there is a
    `latent`."""

    inputs: Reals
    time: float
    guided: bool  # whether the unconditional output is wanted as well
    latent: Reals | None = None

    def __init__(self, plan: LivePlan, start: ArrayLike, draw: Draw, image: ArrayLike | None, mask: Any) -> None:
        levels = list(plan.levels)
        noise = np.asarray(start, np.float64)
        self._image = np.zeros_like(noise) if image is None else np.asarray(image, np.float64)
        self._mask, self._end = mask, levels[-1]
        self._trace = LiveTrace(
            plan.prediction, plan.guidance.over(levels), draw=draw, value={0: noise, 1: self._image}
        )
        dials = dict(plan.dials)
        given = self._trace.given(plan.process, dials.pop("s_noise", 1.0)) | {"attempts": self._trace}
        run = LIVE[plan.sampler].run
        wanted = inspect.signature(run).parameters
        if plan.denoise < 1.0:
            x = self._trace.start(levels[0].sigma, levels[0].alpha)
        else:
            x = self._trace.start(plan.process.start_scale(levels[0]), 0.0)
        self._sampler: Asking[Vector] = run(x, levels, **{k: given[k] for k in given if k in wanted}, **dials)
        self._ask(None)

    def answer(self, raw: ArrayLike, raw_uncond: ArrayLike | None = None) -> None:
        """The model's output for `inputs`, and the unconditional one where it was wanted."""
        self._ask(self._trace.answered(self._row, self._kept(raw), self._kept(raw_uncond)))

    @cached_property
    def plan(self) -> Plan:
        """Of the accepted steps, when there is a latent."""
        return tabulate(self._trace, self._result, self._end)

    def _ask(self, estimate: Vector | None) -> None:
        try:
            x, level = next(self._sampler) if estimate is None else self._sampler.send(estimate)
        except StopIteration as ended:
            self._result: Vector = ended.value
            self.latent = self._trace.of(self._result) * self._end.scale
            return
        self._row, self.inputs = self._trace.asked(x, level)
        self.time, self.guided = level.time, self._trace.guidance(level) != 1.0

    def _kept(self, raw: ArrayLike | None) -> Reals | None:
        """The output, and where the mask keeps the image the one that says so."""
        if raw is None:
            return None
        own = np.asarray(raw, np.float64)
        if self._mask is None:
            return own
        kept = (self._image - self._row.a * self.inputs) / self._row.b
        return np.where(np.asarray(self._mask) > 0, own, kept)


def run_live(
    sampler: str,
    spacing: str | Sequence[float],
    process: Process,
    prediction: str,
    model: Model,
    start: ArrayLike,
    noise: Draw,
    image: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    **dials: Any,
) -> tuple[Reals, Plan]:
    """The latent, float64 as `start`, and the plan of the steps that were accepted; arguments as `live_plan`'s and
    `Plan.run`'s."""
    run = live_plan(sampler, spacing, process, prediction, **dials).begin(start, noise, image, mask)
    _finish(run, model)
    assert run.latent is not None
    return run.latent, run.plan


def _finish(run: LiveRun, model: Model) -> int:
    """How many times the model was asked, rejected steps too."""
    asked = 0
    while run.latent is None:
        free = model(run.inputs, run.time, False) if run.guided else None
        run.answer(model(run.inputs, run.time, True), free)
        asked += 1
    return asked


@lru_cache(maxsize=256)
def _expected(plan: LivePlan) -> int:
    start, nothing = np.linspace(-2.0, 2.0, 64), np.zeros(64)
    return _finish(plan.begin(start, lambda k: nothing), exact_model(plan.process, plan.prediction))


def refuse_steps(sampler: str, steps: object) -> Refusal:
    """What a caller is told who asks a live sampler for a number of steps: how many it takes."""
    used = live_plan(sampler, "karras", Process.ve(), "x0").rows
    return Refusal(
        "live",
        "steps",
        f"{sampler!r} chooses its own steps while it runs and cannot take {steps}; on the reference mixture it used {used} "
        "evaluations",
        f"leave steps out (0 in a recipe) and set rtol, atol or order, or take dpm_fast with {used} steps",
    )


@dataclass
class LiveTrace(Trace):
    """A trace whose symbols have values."""

    draw: Draw = field(kw_only=True)
    value: dict[int, Reals] = field(kw_only=True)

    def asked(self, x: Vector, level: Level) -> tuple[Row, Reals]:
        """The row of an evaluation, and what the model reads there."""
        row = self._evaluate(x, level)
        return row, self._value(row.read) * level.scale

    def answered(self, row: Row, raw: Reals | None, raw_uncond: Reals | None) -> Vector:
        """The clean estimate, under guidance."""
        assert raw is not None
        self.value[row.raw] = raw
        if raw_uncond is not None:
            self.value[row.raw_uncond] = raw_uncond
        return self._estimate(row, self.guidance(row.level))

    def of(self, vector: Vector) -> Reals:
        """The value of a vector."""
        total = np.zeros_like(self.value[0])
        for symbol, weight in vector.terms.items():
            total += weight * self._value(symbol)
        return total

    def error(self, low: Vector, high: Vector, previous: Vector, atol: float, rtol: float) -> float:
        """Root mean square of low - high, each element relative to max(atol, rtol max(|low|, |previous|)).

        Summed exactly and rounded once, so that a step is accepted or not whatever order a machine sums in.
        """
        one, two = self.of(low), self.of(high)
        allowed = np.maximum(atol, rtol * np.maximum(np.abs(one), np.abs(self.of(previous))))
        squares = ((one - two) / allowed) ** 2
        if not np.isfinite(squares).all():  # no step would ever be accepted
            raise Refusal(
                "diverged", "sampler", "the model's output is not finite", "take another precision or sampler"
            )
        return max(math.sqrt(math.fsum(squares.ravel().tolist()) / squares.size), 1e-8)

    def mark(self) -> Mark:
        return len(self.rows), self.symbols

    def back_to(self, mark: Mark) -> None:
        rows, symbols = mark
        del self.rows[rows:]
        self.symbols, self.first = symbols, self.rows[-1].raw if self.rows else 0
        for table in (self.sums, self.value):
            for symbol in [s for s in table if s >= symbols]:
                del table[symbol]

    def _value(self, symbol: int) -> Reals:
        if symbol not in self.value:
            if symbol in self.draw_of:
                self.value[symbol] = np.asarray(self.draw(self.draw_of[symbol]), np.float64)
            else:
                self.value[symbol] = self.of(Vector(self.sums[symbol]))
        return self.value[symbol]
