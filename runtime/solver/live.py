"""The live form: a sampler that looks at its own error runs on the values, and what it did becomes a plan.

The sampler is the same kind of function. Each symbol gets its value as it comes to be, so that an error norm can be asked
for; a step that is rejected is taken back from the trace. In the end there is a result and the `Plan` of the accepted steps,
which gives it again like any other plan.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...assets.refusal import Refusal, Unknown
from .analytic import exact_model
from .guidance import check_guidance
from .levels import check_spacing, levels_of
from .plan import Model, Plan
from .process import Level, Process
from .samplers import LIVE
from .samplers.dials import settings
from .tracing import Mark, Row, Trace, Vector

Reals = NDArray[np.float64]
GRID = 12
"""Steps of the spacing whose ends a live run takes."""


def run_live(
    sampler: str,
    spacing: str | Sequence[float],
    process: Process,
    prediction: str,
    model: Model,
    start: ArrayLike,
    noise: Callable[[int], ArrayLike],
    guidance: float = 1.0,
    **options: Any,
) -> tuple[Reals, Plan]:
    """The latent, float64 as `start`, and the plan of the steps that were accepted; arguments as `compile_plan`'s and
    `Plan.run`'s. Of the spacing the ends are taken, of a named one those of 12 steps."""
    if sampler not in LIVE:
        raise Unknown("sampler", sampler, LIVE)
    if "steps" in options:
        raise refuse_steps(sampler, options["steps"])
    steps = GRID if isinstance(spacing, str) else len(spacing) - 1
    levels = levels_of(check_spacing(spacing, steps), steps, process, 1.0)
    dials = settings(sampler, LIVE[sampler].run, options)
    strengths = check_guidance(guidance, None, steps).over(levels)
    trace = LiveTrace(prediction, strengths, model=model, draw=noise, value={0: np.asarray(start, np.float64)})
    given = trace.given(process, dials.pop("s_noise", 1.0)) | {"attempts": trace}
    wanted = inspect.signature(LIVE[sampler].run).parameters
    x = trace.start(process.start_scale(levels[0]), 0.0)
    result = LIVE[sampler].run(trace.denoise, x, levels, **{k: given[k] for k in given if k in wanted}, **dials)
    return trace.of(result) * levels[-1].scale, trace.plan(result, levels[-1])


def refuse_steps(sampler: str, steps: object) -> Refusal:
    """What a caller is told who asks a live sampler for a number of steps: how many it takes."""
    process = Process.ve()
    reference = exact_model(process, "x0")
    _, plan = run_live(sampler, "karras", process, "x0", reference, np.linspace(-2.0, 2.0, 64), lambda k: 0.0)
    used = f"on the reference mixture it used {plan.evaluations} evaluations"
    remedy = f"run it with solver.live.run_live, or take dpm_fast with {plan.evaluations} steps"
    return Refusal(
        "live", "steps", f"{sampler!r} chooses its own steps while it runs and cannot take {steps}; {used}", remedy
    )


@dataclass
class LiveTrace(Trace):
    """A trace whose symbols have values."""

    model: Model = field(kw_only=True)
    draw: Callable[[int], ArrayLike] = field(kw_only=True)
    value: dict[int, Reals] = field(kw_only=True)

    def of(self, vector: Vector) -> Reals:
        """The value of a vector."""
        total = np.zeros_like(self.value[0])
        for symbol, weight in vector.terms.items():
            total += weight * self._value(symbol)
        return total

    def error(self, low: Vector, high: Vector, previous: Vector, atol: float, rtol: float) -> float:
        """Root mean square of low - high, each element relative to max(atol, rtol max(|low|, |previous|))."""
        one, two = self.of(low), self.of(high)
        allowed = np.maximum(atol, rtol * np.maximum(np.abs(one), np.abs(self.of(previous))))
        return max(float(np.sqrt(np.mean(((one - two) / allowed) ** 2))), 1e-8)

    def mark(self) -> Mark:
        return len(self.rows), len(self.segment)

    def back_to(self, mark: Mark) -> None:
        rows, symbols = mark
        del self.rows[rows:], self.segment[symbols:]
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

    def _evaluate(self, x: Vector, level: Level) -> Row:
        row = super()._evaluate(x, level)
        own = self._value(row.read) * level.scale
        self.value[row.raw] = np.asarray(self.model(own, level.time, True), np.float64)
        if self.guidance(level) != 1.0:
            self.value[row.raw_uncond] = np.asarray(self.model(own, level.time, False), np.float64)
        return row
