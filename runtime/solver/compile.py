"""From dials to a plan: every argument checked, the sampler traced, the result cached."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from .levels import Grid, check_spacing, levels_of
from .plan import Plan
from .process import PREDICTIONS, Process
from .samplers import SAMPLERS
from .tracing import Trace

Spacing = str | Sequence[float] | Mapping[str, Any]
STEPS = 1000
GIVEN = ("denoise", "x", "levels", "noise", "process")
"""Parameters of sampler functions that are not dials."""


def compile_plan(
    sampler: str,
    spacing: Spacing,
    steps: int,
    process: Process,
    prediction: str,
    guidance: float | Sequence[float] = 1.0,
    eta: float | None = None,
    denoise: float = 1.0,
    **options: Any,
) -> Plan:
    """A sampler with all its dials as a `Plan`.

    sampler     a name in SAMPLERS
    spacing     a name in SPACINGS; {"name": ..., option: value}; noise ratios sigma / alpha (steps + 1 of them, falling;
                infinity is flow's t = 1); or {"times": [...]}, what the model is told (steps of them, the clean end is
                added, or steps + 1)
    steps       1 to 1000
    prediction  what the model's output means: epsilon, v, x0 or flow
    guidance    1 is none and costs no second evaluation; a sequence gives each evaluation its own
    eta         fresh noise of a stochastic sampler; None for the sampler's own default
    denoise     above 0 to 1: how much of the noise range is run; below 1 the run starts from the image
    options     the sampler's own dials
    """
    _check_names(sampler, prediction, steps, denoise)
    settings = _settings(sampler, eta, options)
    strengths = _guidance(guidance)
    return _compiled(
        sampler, check_spacing(spacing, steps), steps, process, prediction, strengths, float(denoise), settings
    )


@lru_cache(maxsize=1024)
def _compiled(
    sampler: str,
    grid: Grid,
    steps: int,
    process: Process,
    prediction: str,
    guidance: tuple[float, ...],
    denoise: float,
    settings: tuple[tuple[str, Any], ...],
) -> Plan:
    levels = levels_of(grid, steps, process, denoise)
    trace = Trace(prediction, guidance)
    x = trace.start(
        process.start_scale(levels[0]) if denoise == 1.0 else levels[0].sigma, levels[0].alpha if denoise < 1.0 else 0.0
    )
    function = SAMPLERS[sampler].run
    given: dict[str, Any] = {"noise": trace.noise, "process": process}
    wanted = inspect.signature(function).parameters
    result = function(trace.denoise, x, levels, **{k: v for k, v in given.items() if k in wanted}, **dict(settings))
    return trace.plan(result, levels[-1])


def _check_names(sampler: object, prediction: object, steps: object, denoise: object) -> None:
    if sampler not in SAMPLERS:
        raise Unknown("sampler", sampler, SAMPLERS)
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


def _guidance(guidance: object) -> tuple[float, ...]:
    if isinstance(guidance, Sequence) and not isinstance(guidance, str) and guidance:
        return tuple(_number("guidance", g) for g in guidance)
    return (_number("guidance", guidance),)


def dials(sampler: str) -> dict[str, Any]:
    """A sampler's own dials with their defaults."""
    parameters = inspect.signature(SAMPLERS[sampler].run).parameters
    return {name: p.default for name, p in parameters.items() if name not in GIVEN}


def _settings(sampler: str, eta: object, options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    known = dials(sampler)
    asked = dict(options) if eta is None else {**options, "eta": eta}
    for name, value in asked.items():
        if name not in known:
            raise (
                Unknown(name, value, known or ["(none)"])
                if name != "eta"
                else Refusal(
                    "unknown",
                    "eta",
                    f"{sampler!r} adds no noise and has no eta",
                    "leave it out or take a stochastic sampler",
                )
            )
        default = known[name]
        if isinstance(default, float):
            asked[name] = _number(name, value)
            if not 0 <= asked[name] <= (1 if sampler == "tcd" else 10):
                raise OutOfRange(name, value, "a number from 0 to " + ("1" if sampler == "tcd" else "10"))
        elif type(default) is not type(value):
            raise WrongType(name, value, type(default).__name__)
    return tuple(sorted({**known, **asked}.items()))
