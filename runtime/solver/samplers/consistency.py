"""Samplers of consistency models: jump to the clean estimate, noise it to the next level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from ..process import Level, Process, pairs
from ..tracing import Denoise, Noise, Vector
from .dials import Between


def lcm(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, boundary: bool = False) -> Vector:
    """Latent consistency models. `boundary` adds their boundary scaling, c_skip x + c_out denoised with sigma_data 0.5
    and timesteps times 10; models distilled without it (most, and flow models: ping-pong sampling) need none.

    Luo, Tan, Huang, Li, Zhao, "Latent consistency models", 2023, https://arxiv.org/abs/2310.04378
    """
    for here, there in pairs(levels):
        clean = denoise(x, here)
        if boundary:
            scaled = here.time * 10.0 / 0.5
            skip, out = 1.0 / (scaled**2 + 1.0), scaled / math.sqrt(scaled**2 + 1.0)
            clean = (skip * here.scale) * x + out * clean
        x = there.alpha * clean
        if there.sigma > 0:
            x = x + there.sigma * noise(here, there)
    return x


def pingpong(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise) -> Vector:
    """Ping-pong sampling of distilled flow models: the clean estimate and all the noise new; lcm without its boundary.

    Novack et al., "Fast text-to-audio generation with adversarial post-training", 2025, https://arxiv.org/abs/2505.08175
    """
    return lcm(denoise, x, levels, noise)


def scm(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise) -> Vector:
    """Continuous-time consistency models: the same step on the angles of `Process.trig` with prediction v.

    Lu, Song, "Simplifying, stabilizing and scaling continuous-time consistency models", 2024,
    https://arxiv.org/abs/2410.11081
    """
    return lcm(denoise, x, levels, noise)


def tcd(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: Annotated[float, Between(0, 1)] = 0.3,
) -> Vector:
    """Trajectory consistency distillation: the ODE to time (1 - eta) of the next level, then noise up to it.

    eta (the paper's gamma) 0 is DDIM, 1 is LCM. Zheng et al., "Trajectory consistency distillation", 2024, algorithm 4,
    https://arxiv.org/abs/2402.19159
    """
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        time = (1.0 - eta) * there.time
        stop = (
            there
            if there.sigma == 0 or eta == 0
            else process.at(float(math.floor(time)) if process.kind == "vp" else time)
        )
        kept = stop.sigma * there.alpha / stop.alpha
        x = there.alpha * denoised + (kept / here.sigma) * (x - here.alpha * denoised)
        fresh = math.sqrt(max(there.sigma**2 - kept**2, 0.0))
        if fresh > 0:
            x = x + fresh * noise(here, there)
    return x
