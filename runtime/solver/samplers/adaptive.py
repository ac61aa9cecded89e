"""Samplers that choose their steps by looking at their error; they run live (`solver/live.py`).

Where other samplers call `denoise(x, level)`, these yield (x, level) and are sent the clean estimate, so that whoever runs
one may do other things before it answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from ..process import Level, Process, pairs
from ..tracing import Asking, Attempts, Noise, Vector
from .dials import Between
from .dpm import lower, noise_estimate, step
from .quadrature import from_data

Tolerance = Annotated[float, Between(1e-6, 1.0)]


def dpm_adaptive(
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    attempts: Attempts,
    order: Literal[2, 3] = 3,
    rtol: Tolerance = 0.05,
    atol: Tolerance = 0.0078,
    h_init: Annotated[float, Between(1e-3, 1.0)] = 0.05,
    accept_safety: Annotated[float, Between(0.1, 1.0)] = 0.81,
    eta: Annotated[float, Between(0.0, 1.0)] = 0.0,
) -> Asking[Vector]:
    """DPM-Solver-12 or -23: steps in log SNR whose size follows the distance of two orders, relative to rtol and atol.

    From the first noisy level to the last, as dpm_fast; a rejected step keeps its first evaluation. h_init is the first
    step, accept_safety the least growth of a step that is accepted. Lu et al. 2022, https://arxiv.org/abs/2206.00927,
    with the step control of k-diffusion.
    """
    noisy = [level for level in levels if level.sigma > 0]
    for here, there in pairs(noisy[: 1 + int(noisy[0].alpha == 0)]):
        x = from_data(x, here, there, [(here, (yield x, here))])
    here, end, h = noisy[min(int(noisy[0].alpha == 0), len(noisy) - 1)], noisy[-1], h_init
    previous = x
    while here.log_snr < end.log_snr - 1e-5:
        first = yield from noise_estimate(x, here)
        while True:
            ratio = max(here.noise_ratio * math.exp(-h), end.noise_ratio)
            there = end if ratio <= end.noise_ratio else process.level(ratio)
            down, renewed = lower(here, there, end, process, eta)
            mark = attempts.mark()
            low, high = yield from step(x, here, down, process, order, first)
            error = attempts.error(low, high, previous, atol, rtol)
            growth = 1.0 + math.atan(error ** (-1.0 / (1.5 if eta else order)) - 1.0)
            h *= growth
            if growth >= accept_safety:
                break
            attempts.back_to(mark)
        x, previous = (there.alpha / down.alpha) * high, low
        if renewed > 0:
            x = x + renewed * noise(here, there)
        here = there
    return from_data(x, here, levels[-1], [(here, (yield x, here))]) if levels[-1].sigma == 0 else x
