"""RES: exponential Runge-Kutta and multistep methods that satisfy the order conditions exactly.

Zhang, Song, Chen, "Improved order analysis and design of exponential integrator for diffusion models
sampling", 2023, https://arxiv.org/abs/2308.02157
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..process import Level, Process, pairs
from ..tracing import Denoise, Noise, Vector
from .dpmpp import between
from .forms import split
from .quadrature import fade, from_data, moments


def res_multistep(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Second-order multistep: the line through the last two clean estimates, integrated exactly. Order 2.

    Zhang, Song, Chen 2023, https://arxiv.org/abs/2308.02157
    """
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, denoise(x, here)), *past][:2]
        x = from_data(x, here, there, past)
    return x


def res_multistep_ancestral(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: float = 1.0,
) -> Vector:
    """res_multistep to a lower level and fresh noise back up. Order 2 at eta 0.

    Zhang, Song, Chen 2023, https://arxiv.org/abs/2308.02157. ComfyUI measures the line from the lower level of the step before instead of from where its estimate was made.
    """
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, denoise(x, here)), *past][:2]
        kept, renewed = split(here, there, eta)
        down = there if renewed == 0 else process.level(kept / there.alpha)
        x = from_data(x, here, down, past)
        if renewed > 0:
            x = (there.alpha / down.alpha) * x + renewed * noise(here, there)
    return x


def res_singlestep(
    denoise: Denoise, x: Vector, levels: Sequence[Level], process: Process, order: Literal[2, 3] = 3
) -> Vector:
    """Exponential Runge-Kutta of 2 stages (c2 = 1/2) or 3 (c2 = 1/2, c3 = 1), orders 2 and 3.

    A step from pure noise or to the clean end is first order. Zhang, Song, Chen 2023, https://arxiv.org/abs/2308.02157
    """
    for here, there in pairs(levels):
        first = denoise(x, here)
        if fade(here, there) == 0:
            x = from_data(x, here, there, [(here, first)])
            continue
        middle = between(process, here, there, 0.5)
        ahead = from_data(x, here, middle, [(here, first)])
        second = denoise(ahead, middle)
        if order == 2:
            x = from_data(x, here, there, [(here, first), (middle, second)])
        else:
            x = _third(denoise, x, here, middle, there, first, second)
    return x


def _third(
    denoise: Denoise, x: Vector, here: Level, middle: Level, there: Level, first: Vector, second: Vector
) -> Vector:
    """The last stage and the end of a 3-stage step: gamma = (3 c3^3 - 2 c3) / (c2 (2 - 3 c2)) = 4."""
    h, gamma = there.log_snr - here.log_snr, 4.0
    slope = there.alpha * h * moments(h, 2)[1]  # of a value that grows from 0 to 1 over the step
    half = middle.alpha * (h / 2) * moments(h / 2, 2)[1]
    scale = there.alpha / middle.alpha
    alone = from_data(x, here, there, [(here, first)])
    third = alone + (gamma * scale * half + 2.0 * slope) * (second - first)
    third = denoise(third, there)
    weight = slope / (gamma / 2 + 1.0)
    return alone + (gamma * weight) * (second - first) + weight * (third - first)
