"""Euler's method and its stochastic relatives; DDIM is the same step written over alpha and sigma."""

from __future__ import annotations

from collections.abc import Sequence

from ..process import Level, pairs
from ..tracing import Denoise, Noise, Vector
from .forms import split


def euler(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Euler's method on the probability-flow ODE. Order 1, one evaluation a step.

    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", 2022, algorithm 2,
    https://arxiv.org/abs/2206.00364
    """
    for here, there in pairs(levels):
        slope = (x - denoise(x, here)) / here.ratio
        x = x + slope * (there.ratio - here.ratio)
    return x


def back(x: Vector, here: Level, there: Level, denoised: Vector, noise: Noise, eta: float) -> Vector:
    """To the clean estimate and back to the next level, a part of the noise made new."""
    kept, fresh = split(here, there, eta)
    x = there.alpha * denoised + (kept / here.sigma) * (x - here.alpha * denoised)
    return x + fresh * noise(here, there) if fresh > 0 else x


def ddim(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 0.0) -> Vector:
    """Denoising diffusion implicit models: to the clean estimate, then back to the next level. Order 1 at eta 0.

    Song, Meng, Ermon, "Denoising diffusion implicit models", 2020, eq. 12, https://arxiv.org/abs/2010.02502
    """
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        x = back(x, here, there, denoised, noise, eta)
    return x


def ddpm(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise) -> Vector:
    """Denoising diffusion probabilistic models: the posterior of the next level given the clean estimate; ddim at eta 1.

    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, eq. 7, https://arxiv.org/abs/2006.11239 (its smaller
    variance, "fixed_small" in diffusers, the one with the right marginals).
    """
    return ddim(denoise, x, levels, noise, 1.0)


def euler_ancestral(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 1.0) -> Vector:
    """Euler's step to a lower level and fresh noise back up; the same step as DDIM with this eta.

    Ancestral sampling of Song et al., "Score-based generative modeling through stochastic differential equations", 2021,
    https://arxiv.org/abs/2011.13456, as named by k-diffusion.
    """
    return ddim(denoise, x, levels, noise, eta)
