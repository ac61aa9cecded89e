"""From what a caller says about noise levels to the levels of a run: every spacing, option and number checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...assets.refusal import OutOfRange, Unknown, WrongType
from .names import resolve_spacing
from .process import Level, Process, pairs
from .spacings import SPACINGS

SIGNED = ("mu",)
"""Options that may be negative."""
NEAREST = 1e-9
"""Of two levels, in log SNR: multistep methods divide by it, and their weights are differences of numbers that near."""
LEAST = 1e-12
"""Of noise ratios between no noise and pure noise: squares and exponentials of them have room in a float."""
FINEST = 100_000
"""Steps that a named spacing is laid out for at most, where a small denoise runs a few of them."""


@dataclass(frozen=True)
class Grid:
    """A checked spacing: a name with its options, or explicit `ratios` or `times`. Hashable, so plans are cached by it."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    numbers: tuple[float, ...] = ()


@lru_cache(maxsize=256)
def _options(spacing: Any) -> dict[str, Any]:
    return {key: p.default for key, p in list(inspect.signature(spacing).parameters.items())[2:]}


def options_of(name: str) -> dict[str, Any]:
    """A spacing's own options with their defaults."""
    return _options(SPACINGS[name])


def check_spacing(spacing: object, steps: int) -> Grid:
    """The grid of a name, {"name": ..., option: value}, {"times": [...]} or a list of noise ratios; or a refusal."""
    if isinstance(spacing, str):
        return _named(spacing, {})
    if isinstance(spacing, Mapping):
        if isinstance(spacing.get("name"), str):
            return _named(spacing["name"], {key: value for key, value in spacing.items() if key != "name"})
        if list(spacing) == ["times"]:
            return _explicit("times", spacing["times"], steps)
        raise WrongType("spacing", dict(spacing), 'a mapping with "name" and options, or with the one key "times"')
    return _explicit("ratios", spacing, steps)


def levels_of(grid: Grid, steps: int, process: Process, denoise: float) -> list[Level]:
    """The levels of a run, clean at the end. With denoise below 1 a named spacing is laid out for steps / denoise steps
    and its last `steps` are run; of an explicit list the last share `denoise` is, begun between two of its levels where that
    is no whole number of steps."""
    if grid.numbers:
        levels = [process.at(t) if grid.name == "times" else process.level(t) for t in grid.numbers]
        if grid.name == "times" and len(levels) == steps:
            levels.append(process.clean)
        run = _last_share(levels, denoise * (len(levels) - 1), process)
        if not all(LEAST <= level.noise_ratio <= 1 / LEAST or level.alpha * level.sigma == 0 for level in levels + run):
            raise OutOfRange("spacing", list(grid.numbers), f"noise ratios from {LEAST:g} to {1 / LEAST:g}, or 0")
        if not (_fall(levels) and _fall(run)):
            raise OutOfRange("spacing", list(grid.numbers), "numbers further apart: two of these are one level here")
        return run
    if steps / denoise > FINEST:
        raise OutOfRange("denoise", denoise, f"at least {steps / FINEST:g}, which for {steps} steps lays out {FINEST}")
    levels = _laid_out(grid, max(steps, round(steps / denoise)), process)[-(steps + 1) :]
    if not (levels and _fall(levels)):
        raise OutOfRange("steps", steps, f"fewer, or other options of spacing {grid.name!r}: its levels would not fall")
    return levels


def _laid_out(grid: Grid, steps: int, process: Process) -> list[Level]:
    """A named spacing's levels, none where an option takes a number beyond what a float holds."""
    try:
        with np.errstate(all="ignore"):
            return SPACINGS[grid.name](process, steps, **dict(grid.options))
    except ArithmeticError:
        return []


def _fall(levels: Sequence[Level]) -> bool:
    return all(a.sigma > b.sigma and b.log_snr - a.log_snr > NEAREST for a, b in pairs(levels))


def _last_share(levels: list[Level], wanted: float, process: Process) -> list[Level]:
    """The last `wanted` steps of levels; a part of a step is its end, in proportion to the share of noise, sigma / (alpha + sigma)."""
    whole = max(1, math.ceil(wanted - 1e-9))
    kept = levels[-(whole + 1) :]
    part = wanted - (whole - 1)
    if part < 1 - 1e-9:
        high, low = (level.sigma / (level.alpha + level.sigma) for level in kept[:2])
        share = low + part * (high - low)
        kept[0] = process.level(share / (1 - share))
    return kept


def _named(name: str, asked: Mapping[str, Any]) -> Grid:
    name = resolve_spacing(name)
    known = options_of(name)
    for key, value in asked.items():
        if key not in known:
            raise Unknown(f"spacing.{key}", key, known or ["(none)"])
        _check(f"spacing.{key}", value, known[key], key in SIGNED)
    given = {key: type(known[key])(value) for key, value in asked.items()}
    return Grid(name, tuple(sorted({**known, **given}.items())))


def _check(field: str, value: object, default: object, signed: bool) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, float) and number:
        if not (math.isfinite(value) and (signed or 0 < value <= 1e4)):  # type: ignore[arg-type,operator]
            raise OutOfRange(field, value, "a finite number" if signed else "a number above 0 and at most 10000")
    elif type(default) is not type(value):
        raise WrongType(field, value, type(default).__name__)
    elif type(value) is int and not 0 <= value <= 10**6:
        raise OutOfRange(field, value, "a whole number from 0 to 1000000")


def _explicit(kind: str, numbers: object, steps: int) -> Grid:
    try:
        values = tuple(float(v) for v in numbers)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise WrongType("spacing", numbers, "the name of a spacing or a list of numbers") from None
    lengths = (steps, steps + 1) if kind == "times" else (steps + 1,)
    if len(values) not in lengths:
        expected = f"a list of {' or '.join(map(str, lengths))} for {steps} steps"
        raise OutOfRange("spacing", f"a list of {len(values)}", expected)
    if any(math.isnan(v) or v < 0 for v in values) or any(a <= b for a, b in zip(values, values[1:], strict=False)):
        raise OutOfRange("spacing", list(values), "numbers from 0 up, each below the one before")
    if values[0] == 0:
        raise OutOfRange("spacing", list(values), "a first level above 0")
    return Grid(kind, numbers=values)
