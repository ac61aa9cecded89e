"""From dials to a plan: every argument checked, the sampler traced, the result cached."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...assets.refusal import OutOfRange, Unknown, WrongType
from .allocation import tabulate
from .guidance import Guidance, check_guidance, refuse_not_affine
from .levels import Grid, check_spacing, levels_of
from .live import refuse_steps
from .names import resolve_names
from .plan import Plan
from .process import PREDICTIONS, Process
from .samplers import LIVE, SAMPLERS
from .samplers.dials import parameters, settings
from .samplers.unipc import unic
from .tracing import Trace

Spacing = str | Sequence[float] | Mapping[str, Any]
STEPS = 1000
CORRECTORS = {"unic": unic}
"""Forms of any deterministic sampler that use the evaluation at a step's end to make the step again."""


def compile_plan(
    sampler: str,
    spacing: Spacing,
    steps: int,
    process: Process,
    prediction: str,
    guidance: float | Sequence[float] = 1.0,
    eta: float | None = None,
    denoise: float = 1.0,
    corrector: str | None = None,
    guidance_interval: tuple[float, float | None] | None = None,
    **options: Any,
) -> Plan:
    """A sampler with all its dials as a `Plan`.

    sampler     any of its names; one that ends with a spacing's must agree with `spacing`
    spacing     any of its names; {"name": ..., option: value}; noise ratios sigma / alpha (steps + 1 of them, falling;
                infinity is flow's t = 1); or {"times": [...]}, what the model is told (steps of them, the clean end is
                added, or steps + 1)
    steps       1 to 1000
    prediction  what the model's output means: epsilon, v, x0 or flow
    guidance    1 is none and costs no second evaluation; a sequence gives each step its own
    eta         fresh noise of a stochastic sampler; None for the sampler's own default
    denoise     above 0 to 1: how much of the noise range is run; below 1 the run starts from the image
    corrector   "unic" raises the order of a deterministic sampler by one without another evaluation
    guidance_interval  (lowest, highest) noise ratio that guidance works at, the highest None for no end; outside it is 1
    options     the sampler's own dials
    """
    named = resolve_names(sampler, spacing if isinstance(spacing, str) else None)
    sampler, options = named.sampler, {**named.options, **options}
    if sampler in LIVE:
        raise refuse_steps(sampler, steps)
    _check(prediction, steps, denoise)
    if corrector is not None and corrector not in CORRECTORS:
        raise Unknown("corrector", corrector, CORRECTORS)
    refuse_not_affine(options)
    asked = dict(options) if eta is None else {**options, "eta": eta}
    dials = tuple(settings(sampler, SAMPLERS[sampler].run, asked).items())
    strengths = check_guidance(guidance, guidance_interval, steps)
    return _compiled(
        sampler, check_spacing(spacing, steps), steps, process, prediction, strengths, float(denoise), corrector, dials
    )


@lru_cache(maxsize=1024)
def _compiled(
    sampler: str,
    grid: Grid,
    steps: int,
    process: Process,
    prediction: str,
    guidance: Guidance,
    denoise: float,
    corrector: str | None,
    dials: tuple[tuple[str, Any], ...],
) -> Plan:
    levels = levels_of(grid, steps, process, denoise)
    trace = Trace(prediction, guidance.over(levels))
    x = trace.start(
        process.start_scale(levels[0]) if denoise == 1.0 else levels[0].sigma, levels[0].alpha if denoise < 1.0 else 0.0
    )
    run = SAMPLERS[sampler].run
    own = dict(dials)
    given = trace.given(process, own.pop("s_noise", 1.0))
    wanted = _arguments(run)
    if corrector is not None:
        run = CORRECTORS[corrector](run, SAMPLERS[sampler].order or 1, trace.keep)
    result = run(trace.denoise, x, levels, **{name: given[name] for name in given if name in wanted}, **own)
    return tabulate(trace, result, levels[-1])


@lru_cache(maxsize=256)
def _arguments(run: Any) -> frozenset[str]:
    """The names of a sampler function's arguments."""
    return frozenset(inspect.signature(run).parameters)


def _check(prediction: object, steps: object, denoise: object) -> None:
    if prediction not in PREDICTIONS:
        raise Unknown("prediction", prediction, PREDICTIONS)
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise WrongType("steps", steps, "a whole number")
    if not 1 <= steps <= STEPS:
        raise OutOfRange("steps", steps, f"a whole number from 1 to {STEPS}")
    _number("denoise", denoise)
    if not 0 < denoise <= 1:  # type: ignore[operator]
        raise OutOfRange("denoise", denoise, "a number above 0 and at most 1")


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(field, value, "a number")
    if not math.isfinite(value):
        raise OutOfRange(field, value, "a finite number")
    return float(value)


def dials(sampler: str) -> dict[str, Any]:
    """A sampler's own dials with their defaults."""
    return {name: p.default for name, p in parameters(SAMPLERS[sampler].run).items()}
