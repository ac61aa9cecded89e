"""DPM-Solver: exponential one-step methods on the noise estimate, and k-diffusion's dpm_2.

Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps",
2022, https://arxiv.org/abs/2206.00927
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from ..process import Level, Process, pairs
from ..tracing import Asking, Denoise, Noise, Vector, drive
from .dials import Between
from .dpmpp import between
from .forms import split
from .quadrature import from_data, from_noise


def dpm_2(denoise: Denoise, x: Vector, levels: Sequence[Level], process: Process) -> Vector:
    """The midpoint method with its middle at the geometric mean of sigma; the last step to no noise is Euler's. Order 2.

    Written by Katherine Crowson for k-diffusion after DPM-Solver-2, https://arxiv.org/abs/2206.00927
    """
    for here, there in pairs(levels):
        slope = (x - denoise(x, here)) / here.sigma
        if there.sigma > 0:
            middle = process.inside(math.sqrt(here.sigma * there.sigma))
            ahead = x + (middle.sigma - here.sigma) * slope
            slope = (ahead - denoise(ahead, middle)) / middle.sigma
        x = x + (there.sigma - here.sigma) * slope
    return x


def dpm_fast(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: Annotated[float, Between(0.0, 1.0)] = 0.0,
) -> Vector:
    """DPM-Solver-fast: as many steps of order 3 as the evaluations allow, then one of order 2 or 1. Order 3 at eta 0.

    One evaluation for each step asked. Of the spacing it takes the ends and lays its own steps evenly in log SNR between
    them; a first step from pure noise and a last one to the clean end are Euler's. Lu et al. 2022,
    https://arxiv.org/abs/2206.00927
    """
    first, last = int(levels[0].alpha == 0), len(levels) - 1 - int(levels[-1].sigma == 0)
    if first == 1:
        x = from_data(x, levels[0], levels[1], [(levels[0], denoise(x, levels[0]))])
    x = _fast(denoise, x, levels[first], levels[last], last - first, noise, process, eta)
    if last < len(levels) - 1 and last >= first:
        x = from_data(x, levels[last], levels[-1], [(levels[last], denoise(x, levels[last]))])
    return x


def _fast(
    denoise: Denoise, x: Vector, start: Level, end: Level, evaluations: int, noise: Noise, process: Process, eta: float
) -> Vector:
    if evaluations <= 0:
        return x
    count = evaluations // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if evaluations % 3 == 0 else [3] * (count - 1) + [evaluations % 3]
    levels = [start, *(between(process, start, end, k / count) for k in range(1, count)), end]
    for order, (here, there) in zip(orders, pairs(levels), strict=True):
        down, renewed = lower(here, there, end, process, eta)
        first = drive(noise_estimate(x, here), denoise)
        x = drive(step(x, here, down, process, order, first), denoise)[1]
        if renewed > 0:
            x = (there.alpha / down.alpha) * x + renewed * noise(here, there)
    return x


def lower(here: Level, there: Level, end: Level, process: Process, eta: float) -> tuple[Level, float]:
    """The level that a step with fresh noise goes down to, not below `end`, the last noisy one, and the deviation of the noise."""
    kept, renewed = split(here, there, eta)
    if renewed == 0:
        return there, 0.0
    if (ratio := kept / there.alpha) > end.noise_ratio:
        return process.level(ratio), renewed
    scale = there.alpha / end.alpha
    return end, math.sqrt(max(there.sigma**2 - (scale * end.sigma) ** 2, 0.0))


def step(
    x: Vector, here: Level, there: Level, process: Process, order: int, first: Vector
) -> Asking[tuple[Vector, Vector]]:
    """(x one order lower, x) at `there`, from the noise estimate `first` at `here`: DPM-Solver-1, -2 (stage at 1/2) or -3
    (stages at 1/3 and 2/3)."""
    low = from_noise(x, here, there, [(here, first)])
    if order == 1:
        return x, low
    part = 1 / order
    stop = between(process, here, there, part)
    second = yield from noise_estimate(from_noise(x, here, stop, [(here, first)]), stop)
    mixed = first + (second - first) / (2 * part)
    if order == 2:
        return low, from_noise(x, here, there, [(here, mixed)])
    low = from_noise(x, here, there, [(here, mixed)])
    later = between(process, here, there, 2 / 3)
    third = yield from noise_estimate(from_noise(x, here, later, [(stop, second), (here, first)]), later)
    return low, from_noise(x, here, there, [(later, third), (here, first)])


def noise_estimate(x: Vector, level: Level) -> Asking[Vector]:
    denoised = yield x, level
    return (x - level.alpha * denoised) / level.sigma
