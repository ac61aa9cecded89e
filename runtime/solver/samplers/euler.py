"""Euler, Heun and their ancestral forms; DDIM is the same step written over alpha and sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..process import Level, pairs
from ..tracing import Denoise, Noise, Vector


def euler(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Euler's method on the probability-flow ODE. Order 1, one evaluation a step.

    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", 2022, algorithm 2,
    https://arxiv.org/abs/2206.00364
    """
    for here, there in pairs(levels):
        slope = (x - denoise(x, here)) / here.ratio
        x = x + slope * (there.ratio - here.ratio)
    return x


def heun(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Heun's method: Euler, corrected by the slope at its end; the last step to no noise is Euler's. Order 2.

    Karras et al. 2022, algorithm 1, https://arxiv.org/abs/2206.00364
    """
    for here, there in pairs(levels):
        slope = (x - denoise(x, here)) / here.ratio
        ahead = x + slope * (there.ratio - here.ratio)
        if there.ratio > 0:
            slope = (slope + (ahead - denoise(ahead, there)) / there.ratio) / 2
            ahead = x + slope * (there.ratio - here.ratio)
        x = ahead
    return x


def ancestral(here: Level, there: Level, eta: float) -> tuple[float, float]:
    """(kept, fresh) deviations after a step: eta 1 is the reverse of the noising process, 0 the ODE.

    fresh = eta sigma' sqrt(1 - e^-2h), e^-h = (alpha sigma') / (alpha' sigma); it holds on any process, pure noise included.
    """
    decay = here.alpha * there.sigma / (there.alpha * here.sigma)
    fresh = min(there.sigma, eta * there.sigma * math.sqrt(1.0 - decay * decay))
    return math.sqrt(there.sigma**2 - fresh**2), fresh


def ddim(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 0.0) -> Vector:
    """Denoising diffusion implicit models: to the clean estimate, then back to the next level. Order 1 at eta 0.

    Song, Meng, Ermon, "Denoising diffusion implicit models", 2020, eq. 12, https://arxiv.org/abs/2010.02502
    """
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        kept, fresh = ancestral(here, there, eta)
        x = there.alpha * denoised + (kept / here.sigma) * (x - here.alpha * denoised)
        if fresh > 0:
            x = x + fresh * noise(here, there)
    return x


def euler_ancestral(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 1.0) -> Vector:
    """Euler's step to a lower level and fresh noise back up; the same step as DDIM with this eta.

    Ancestral sampling of Song et al., "Score-based generative modeling through stochastic differential equations", 2021,
    https://arxiv.org/abs/2011.13456, as named by k-diffusion.
    """
    return ddim(denoise, x, levels, noise, eta)
