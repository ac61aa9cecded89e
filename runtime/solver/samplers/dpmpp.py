"""DPM-Solver++: exponential methods on the clean estimate.

Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2022,
https://arxiv.org/abs/2211.01095; the stochastic forms were written by Katherine Crowson for k-diffusion after its section 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from ..process import Level, Process, pairs
from ..tracing import Denoise, Noise, Vector
from .dials import Between
from .euler import back
from .quadrature import Past, fade, from_data

SolverType = Literal["midpoint", "heun"]


def between(process: Process, here: Level, there: Level, part: float) -> Level:
    """The level at a part, 0 to 1, of the way in log SNR."""
    return process.level(here.noise_ratio ** (1.0 - part) * there.noise_ratio**part)


def fresh(x: Vector, here: Level, there: Level, noise: Noise, eta: float) -> Vector:
    """x with the noise of the SDE over a step: sigma' sqrt(1 - e^(-2 eta h)) of it, by Ito's isometry."""
    return x + (there.sigma * math.sqrt(1.0 - fade(here, there) ** (2.0 * eta))) * noise(here, there) if eta > 0 else x


def dpmpp_2s(denoise: Denoise, x: Vector, levels: Sequence[Level], process: Process) -> Vector:
    """DPM-Solver++ 2S: the midpoint method in log SNR, algorithm 1 of the paper. Order 2.

    A step from pure noise or to the clean end has no middle and is first order. Lu et al. 2022,
    https://arxiv.org/abs/2211.01095
    """
    for here, there in pairs(levels):
        past: Past = [(here, denoise(x, here))]
        if fade(here, there) > 0:
            middle = between(process, here, there, 0.5)
            ahead = from_data(x, here, middle, past)
            past = [(middle, denoise(ahead, middle))]
        x = from_data(x, here, there, past)
    return x


def dpmpp_sde(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: float = 1.0,
    r: Annotated[float, Between(0.05, 1.0)] = 0.5,
) -> Vector:
    """DPM-Solver++ SDE: two ancestral steps from one place, the second with the estimate at the part r of the way.

    Order 2 at eta 0. A step from pure noise or to the clean end is first order. After Lu et al. 2022,
    https://arxiv.org/abs/2211.01095, by Katherine Crowson for k-diffusion.
    """
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        if fade(here, there) > 0:
            middle = between(process, here, there, r)
            ahead = back(x, here, middle, denoised, noise, eta)
            part = 1.0 / (2.0 * r)
            denoised = (1.0 - part) * denoised + part * denoise(ahead, middle)
        x = back(x, here, there, denoised, noise, eta)
    return x


def dpmpp_2m(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Second-order multistep, algorithm 2 of the paper. Order 2, one evaluation a step; the last step is first order.

    Lu et al. 2022, https://arxiv.org/abs/2211.01095
    """
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, denoise(x, here)), *past][:2]
        x = midpoint_step(x, here, there, past)
    return x


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    eta: float = 1.0,
    solver_type: SolverType = "midpoint",
) -> Vector:
    """The stochastic second-order multistep method; eta 0 with midpoint is dpmpp_2m. `solver_type`: midpoint or heun,
    where heun integrates the line through both estimates exactly. After Lu et al. 2022, https://arxiv.org/abs/2211.01095, by
    Katherine Crowson for k-diffusion.
    """
    step = midpoint_step if solver_type == "midpoint" else from_data
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, denoise(x, here)), *past][:2]
        x = fresh(step(x, here, there, past, eta), here, there, noise, eta if there.sigma > 0 else 0.0)
    return x


def dpmpp_2m_sde_heun(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 1.0) -> Vector:
    """dpmpp_2m_sde with solver_type heun; eta 0 is res_multistep. Lu et al. 2022, https://arxiv.org/abs/2211.01095"""
    return dpmpp_2m_sde(denoise, x, levels, noise, eta, "heun")


def dpmpp_3m_sde(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 1.0) -> Vector:
    """The stochastic third-order multistep method: the parabola through three estimates, integrated exactly. Each step has
    order 3 at eta 0, the run 2, as its first step is Euler's.

    The published formula (DPM-Solver++, k-diffusion, diffusers) has half of the parabola's second-order term: steps of order
    2. After Lu et al. 2022, https://arxiv.org/abs/2211.01095
    """
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, denoise(x, here)), *past][:3]
        x = fresh(from_data(x, here, there, past, eta), here, there, noise, eta if there.sigma > 0 else 0.0)
    return x


def midpoint_step(x: Vector, here: Level, there: Level, past: Past, eta: float = 0.0) -> Vector:
    """`from_data` for up to two values, with the second's part as the midpoint rule has it instead of exactly."""
    first = from_data(x, here, there, past[:1], eta)
    left = fade(here, there)
    if len(past) == 1 or left == 0.0 or past[1][0].alpha == 0.0:
        return first
    h, h_old = there.log_snr - here.log_snr, here.log_snr - past[1][0].log_snr
    gain = float(there.alpha * (1.0 - left ** (1.0 + eta)))
    return first + (gain * h / (2.0 * h_old)) * (past[0][1] - past[1][1])
