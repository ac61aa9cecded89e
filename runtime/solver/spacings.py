"""Spacings: which noise levels a run of n steps visits. Each returns n + 1 levels, the last one clean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .process import FLOW_STEPS, Level, Process

Spacing = Callable[[Process, int], list[Level]]


def _from_positions(process: Process, positions: np.ndarray) -> list[Level]:
    """Levels at training positions 0 .. T - 1 (flow: (position + 1) / 1000 before the shift; ve: evenly in log ratio)."""
    if process.kind == "vp":
        levels = [process.at(float(p)) for p in positions]
    elif process.kind == "flow":
        t = (positions + 1) / FLOW_STEPS
        levels = [process.at(float(s)) for s in process.shift * t / (1 + (process.shift - 1) * t)]
    else:
        log = np.log(process.low) + (np.log(process.high) - np.log(process.low)) * positions / (FLOW_STEPS - 1)
        levels = [process.level(float(r)) for r in np.exp(log)]
    return [*levels, process.clean]


def _last(process: Process) -> int:
    return len(process.table) - 1 if process.kind == "vp" else FLOW_STEPS - 1


def _range(process: Process) -> tuple[float, float]:
    """Smallest and largest frame sigma of the process's training."""
    if process.kind == "ve":
        return process.low, process.high
    ends = _from_positions(process, np.array([0.0, float(_last(process))]))
    return ends[0].sigma, ends[1].sigma


def _from_sigmas(process: Process, sigmas: np.ndarray) -> list[Level]:
    at = process.at if process.kind == "flow" else process.level
    return [*(at(float(min(s, 1.0)) if process.kind == "flow" else float(s)) for s in sigmas), process.clean]


def normal(process: Process, n: int) -> list[Level]:
    """Evenly over the training steps, both ends included (ComfyUI's `normal`; linspace in diffusers)."""
    return _from_positions(process, np.linspace(_last(process), 0, n))


def simple(process: Process, n: int) -> list[Level]:
    """Every (T / n)-th training step, counted from the noisy end (ComfyUI's `simple`)."""
    last = _last(process)
    return _from_positions(process, np.array([last - int(i * (last + 1) / n) for i in range(n)], float))


def sgm_uniform(process: Process, n: int) -> list[Level]:
    """Evenly over the training steps without the clean end (Stability's generative models; flow: 1, 1 - 1/n, ...)."""
    end = -1 if process.kind == "flow" else 0
    return _from_positions(process, np.linspace(_last(process), end, n + 1)[:-1])


def trailing(process: Process, n: int) -> list[Level]:
    """T - 1, T - 1 - T/n, ...: the grid few-step models are mostly trained on (diffusers' `trailing`)."""
    steps = _last(process) + 1
    return _from_positions(process, np.round(steps - np.arange(n) * steps / n) - 1)


def ddim_uniform(process: Process, n: int) -> list[Level]:
    """Multiples of T // n, plus one (ComfyUI's `ddim_uniform`; diffusers' `leading` with steps_offset 1)."""
    steps = _last(process) + 1
    return _from_positions(process, np.minimum(np.arange(n)[::-1] * (steps // n) + 1, steps - 1).astype(float))


def karras(process: Process, n: int, rho: float = 7.0) -> list[Level]:
    """Evenly in sigma^(1/rho) [Karras et al. 2022, eq. 5, https://arxiv.org/abs/2206.00364]."""
    low, high = _range(process)
    t = np.linspace(0, 1, n) if n > 1 else np.zeros(1)
    return _from_sigmas(process, (high ** (1 / rho) + t * (low ** (1 / rho) - high ** (1 / rho))) ** rho)


def exponential(process: Process, n: int) -> list[Level]:
    """Evenly in log sigma."""
    low, high = _range(process)
    return _from_sigmas(process, np.geomspace(high, low, n) if n > 1 else np.array([high]))


def lcm(process: Process, n: int) -> list[Level]:
    """The grid of latent consistency models: n of 50 original steps [Luo et al. 2023, https://arxiv.org/abs/2310.04378]."""
    grid = np.arange(1, 51)[::-1] * ((_last(process) + 1) // 50) - 1
    return _from_positions(process, grid[np.floor(np.linspace(0, 50, n, endpoint=False)).astype(int)].astype(float))


SPACINGS: dict[str, Spacing] = {
    "normal": normal,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "trailing": trailing,
    "ddim_uniform": ddim_uniform,
    "karras": karras,
    "exponential": exponential,
    "lcm": lcm,
}
MOST = {"lcm": 50}
"""Spacings that have only so many steps to give."""
ALIASES = {"leading": "ddim_uniform", "linspace": "normal"}
