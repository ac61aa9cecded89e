"""From dials to a plan: every argument checked, the sampler traced, the result cached."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from .plan import Plan
from .process import PREDICTIONS, Level, Process
from .samplers import SAMPLERS
from .spacings import ALIASES, MOST, SPACINGS
from .tracing import Trace

Spacing = str | Sequence[float] | Mapping[str, Sequence[float]]
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
    spacing     a name in SPACINGS; noise ratios sigma / alpha (steps + 1 of them, falling; infinity is flow's t = 1); or
                {"times": [...]}, what the model is told (steps of them, the clean end is added, or steps + 1)
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
        sampler, _spacing_key(spacing, steps), steps, process, prediction, strengths, float(denoise), settings
    )


@lru_cache(maxsize=1024)
def _compiled(
    sampler: str,
    spacing: str | tuple[str, tuple[float, ...]],
    steps: int,
    process: Process,
    prediction: str,
    guidance: tuple[float, ...],
    denoise: float,
    settings: tuple[tuple[str, Any], ...],
) -> Plan:
    levels = _levels(spacing, steps, process, denoise)
    trace = Trace(prediction, guidance)
    x = trace.start(
        process.start_scale(levels[0]) if denoise == 1.0 else levels[0].sigma, levels[0].alpha if denoise < 1.0 else 0.0
    )
    function = SAMPLERS[sampler].run
    given: dict[str, Any] = {"noise": trace.noise, "process": process}
    wanted = inspect.signature(function).parameters
    result = function(trace.denoise, x, levels, **{k: v for k, v in given.items() if k in wanted}, **dict(settings))
    return trace.plan(result, levels[-1])


def _levels(spacing: str | tuple[str, tuple[float, ...]], steps: int, process: Process, denoise: float) -> list[Level]:
    if not isinstance(spacing, str):
        kind, numbers = spacing
        levels = [process.at(t) if kind == "times" else process.level(t) for t in numbers]
        if kind == "times" and len(levels) == steps:
            levels.append(process.clean)
        return levels[-(max(1, round(denoise * steps)) + 1) :]
    total = max(steps, round(steps / denoise))
    if total > MOST.get(spacing, STEPS * 1000):
        raise OutOfRange("steps", steps, f"at most {MOST[spacing]} for spacing {spacing!r}")
    levels = SPACINGS[spacing](process, total)[-(steps + 1) :]
    if any(a.sigma <= b.sigma for a, b in zip(levels, levels[1:], strict=False)):
        raise OutOfRange("steps", steps, f"fewer steps for spacing {spacing!r}, its levels would not fall")
    return levels


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


def _spacing_key(spacing: object, steps: int) -> str | tuple[str, tuple[float, ...]]:
    if isinstance(spacing, str):
        name = ALIASES.get(spacing, spacing)
        if name not in SPACINGS:
            raise Unknown("spacing", spacing, (*SPACINGS, *ALIASES))
        return name
    kind, numbers = "ratios", spacing
    if isinstance(spacing, Mapping):
        if list(spacing) != ["times"]:
            raise WrongType("spacing", dict(spacing), 'a mapping with the one key "times"')
        kind, numbers = "times", spacing["times"]
    try:
        values = tuple(float(v) for v in numbers)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise WrongType("spacing", spacing, "the name of a spacing or a list of numbers") from None
    lengths = (steps, steps + 1) if kind == "times" else (steps + 1,)
    if len(values) not in lengths:
        raise OutOfRange(
            "spacing", f"a list of {len(values)}", f"a list of {' or '.join(map(str, lengths))} for {steps} steps"
        )
    if any(math.isnan(v) or v < 0 for v in values) or any(a <= b for a, b in zip(values, values[1:], strict=False)):
        raise OutOfRange("spacing", list(values), "numbers from 0 up, each below the one before")
    if values[0] == 0:
        raise OutOfRange("spacing", list(values), "a first level above 0")
    return kind, values
