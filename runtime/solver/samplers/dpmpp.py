"""DPM-Solver++: exponential multistep methods on the clean estimate.

Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2022,
https://arxiv.org/abs/2211.01095
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ....assets.refusal import Unknown
from ..process import Level, pairs
from ..tracing import Denoise, Noise, Vector


def dpmpp_2m(denoise: Denoise, x: Vector, levels: Sequence[Level]) -> Vector:
    """Second-order multistep, algorithm 2 of the paper. Order 2, one evaluation a step; the last step is first order."""
    old, h_old = None, 0.0
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        h = there.log_snr - here.log_snr
        ahead = denoised
        if old is not None and there.sigma > 0:
            ahead = denoised + (denoised - old) * (h / (2 * h_old))
        decay = there.sigma / here.sigma
        x = decay * x + (there.alpha - here.alpha * decay) * ahead
        old, h_old = denoised, h
    return x


def dpmpp_2m_sde(
    denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, eta: float = 1.0, solver_type: str = "midpoint"
) -> Vector:
    """The stochastic second-order multistep method; eta 0 with midpoint is dpmpp_2m. `solver_type`: midpoint or heun.

    Written by Katherine Crowson for k-diffusion after section 5 of the paper.
    """
    if solver_type not in ("midpoint", "heun"):
        raise Unknown("solver_type", solver_type, ("midpoint", "heun"))
    old, h_old = None, 0.0
    for here, there in pairs(levels):
        denoised = denoise(x, here)
        h = there.log_snr - here.log_snr
        if there.sigma == 0:
            return there.alpha * denoised
        fade = here.alpha * there.sigma / (there.alpha * here.sigma)  # e^-h, 0 from pure noise
        decay = there.sigma / here.sigma * fade**eta
        gain = there.alpha * (1.0 - fade ** (1.0 + eta))
        x = decay * x + gain * denoised
        if old is not None and not math.isinf(h_old):
            total = h * (1.0 + eta)
            weight = 0.5 * gain if solver_type == "midpoint" else there.alpha - gain / total
            x = x + (weight * h / h_old) * (denoised - old)
        if eta > 0:
            x = x + there.sigma * math.sqrt(1.0 - fade ** (2.0 * eta)) * noise(here, there)
        old, h_old = denoised, h
    return x
