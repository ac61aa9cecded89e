"""A multistep method with per-step numbers that were learned for one bundle; ../fitting.py learns them."""

from __future__ import annotations

from collections.abc import Sequence

from ....assets.refusal import OutOfRange
from ..process import Level, pairs
from ..tracing import Denoise, Vector
from .dpmpp import midpoint_step

NUMBERS = 3
"""Corrections a step: on the latent, on its clean estimate, on the clean estimate of the step before."""


def fitted(denoise: Denoise, x: Vector, levels: Sequence[Level], corrections: tuple[float, ...] = ()) -> Vector:
    """DPM-Solver++ 2M, and to each step's result three learned multiples of what it was made from; without any it is 2M.

    After Zhao, Wang, Zhou, Lu, "DC-Solver: improving predictor-corrector diffusion sampler via dynamic compensation",
    2024, https://arxiv.org/abs/2409.03755, and Zhou, Chen, Wang, Chen, "Fast ODE-based sampling for diffusion models in
    around 5 steps" (AMED), 2023, https://arxiv.org/abs/2312.00094, which learn a number or two a step by gradients.
    """
    steps = len(levels) - 1
    if corrections and len(corrections) != NUMBERS * steps:
        raise OutOfRange("corrections", f"a list of {len(corrections)}", f"{NUMBERS * steps} numbers for {steps} steps")
    past: list[tuple[Level, Vector]] = []
    for k, (here, there) in enumerate(pairs(levels)):
        past = [(here, denoise(x, here)), *past][:2]
        parts = [x, past[0][1], past[-1][1]]
        x = midpoint_step(x, here, there, past)
        for weight, part in zip(corrections[NUMBERS * k :], parts, strict=False):
            x = x + weight * part
    return x
