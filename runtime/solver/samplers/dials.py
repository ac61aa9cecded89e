"""The dials of samplers: read off their functions, checked against the types and ranges written there."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from ....assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from ..tracing import GIVEN


@dataclass(frozen=True)
class Between:
    """The valid range of a number, both ends included; written as Annotated[float, Between(0, 1)]."""

    low: float
    high: float


DEFAULT = {float: Between(0.0, 10.0), int: Between(1, 100)}
RANGES = {"s_churn": Between(0.0, 1000.0), "s_tmin": Between(0.0, 1e6), "s_tmax": Between(0.0, 1e6)}
S_NOISE = inspect.Parameter("s_noise", inspect.Parameter.KEYWORD_ONLY, default=1.0, annotation=float)
"""Every sampler that draws noise has it: a factor on each draw; 1 gives the right variance."""


@lru_cache(maxsize=256)
def parameters(run: Any) -> dict[str, inspect.Parameter]:
    """A sampler function's dials with their defaults and types."""
    found = inspect.signature(run, eval_str=True).parameters
    own = {name: p for name, p in found.items() if name not in GIVEN}
    return {**own, "s_noise": S_NOISE} if "noise" in found else own


def settings(sampler: str, run: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Every dial of the sampler: what was asked, checked, else its default."""
    known = parameters(run)
    for name in asked:
        if name == "eta" and name not in known:
            remedy = "leave it out or take a stochastic sampler"
            raise Refusal("unknown", "eta", f"{sampler!r} has no eta", remedy)
        if name not in known:
            raise Unknown(name, name, known or ["(none)"])
    return {name: _checked(p, asked[name]) if name in asked else p.default for name, p in known.items()}


def _checked(parameter: inspect.Parameter, value: Any) -> Any:
    name, kind = parameter.name, parameter.annotation
    if get_origin(kind) is Literal:
        if value not in get_args(kind) or isinstance(value, bool):
            raise Unknown(name, value, map(str, get_args(kind)))
        return next(each for each in get_args(kind) if each == value)  # 2 where 2.0 was written
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(type(each) in (int, float) for each in value):
            raise WrongType(name, value, "a list of numbers")
        if not all(map(math.isfinite, value)):
            raise OutOfRange(name, value, "finite numbers")
        return tuple(map(float, value))
    limits = RANGES.get(name)
    if hasattr(kind, "__metadata__"):
        limits, kind = kind.__metadata__[0], kind.__origin__
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise WrongType(name, value, {float: "a number", int: "a whole number"}.get(kind, kind.__name__))
    limits = limits or DEFAULT.get(kind)
    if limits is not None and not (math.isfinite(value) and limits.low <= value <= limits.high):
        raise OutOfRange(name, value, f"a number from {limits.low:g} to {limits.high:g}")
    return value
