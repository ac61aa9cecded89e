"""Solvers of the diffusion SDE: SEEDS, ER-SDE and SA-Solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ..process import Level, Process, pairs
from ..tracing import Denoise, Keep, Noise, Vector
from .dpmpp import between
from .quadrature import Past, fade, from_data

POINTS, SHARES = (tuple(map(float, half)) for half in np.polynomial.legendre.leggauss(24))
"""Gauss-Legendre nodes on -1 to 1 and their weights."""


def seeds_2(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: float = 1.0,
    solver_type: Literal["phi_1", "phi_2"] = "phi_1",
) -> Vector:
    """SEEDS-2: an exponential step of the SDE with a stage in its middle, both on one Brownian path. Order 2 at eta 0.

    phi_1 takes the middle's estimate for the whole step, phi_2 the line through both. Gonzalez, Fernandez, Tran, Gherbi,
    Hajri, Masmoudi, "SEEDS: exponential SDE solvers for fast high-quality sampling from diffusion models", 2023,
    https://arxiv.org/abs/2305.14267
    """
    return _seeds(denoise, x, levels, noise, process, eta, (1 / 2,), 1 if solver_type == "phi_1" else 2)


def seeds_3(
    denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, process: Process, eta: float = 1.0
) -> Vector:
    """SEEDS-3: stages at one and two thirds of the step. Order 3 at eta 0, where it is DPM-Solver++ 3S.

    Gonzalez et al. 2023, https://arxiv.org/abs/2305.14267
    """
    return _seeds(denoise, x, levels, noise, process, eta, (1 / 3, 2 / 3), 2)


def _seeds(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: float,
    parts: Sequence[float],
    used: int,
) -> Vector:
    """Each stage and the end integrate the line through the step's first estimate and the newest, `used` of the two at the
    end. A step from pure noise or to the clean end has one stage, and first order."""
    for here, there in pairs(levels):
        first = (here, denoise(x, here))
        stops = [between(process, here, there, part) for part in parts] if fade(here, there) > 0 else []
        past: Past = [first]
        path: Vector | None = None  # the SDE's noise so far, in units of sigma
        for last, stop in pairs([here, *stops, there]):
            ahead = from_data(x, here, stop, past[:used] if stop is there else past, eta)
            if eta > 0 and stop.sigma > 0:
                left = fade(last, stop) ** eta
                drawn = math.sqrt(1.0 - left * left) * noise(last, stop)
                path = drawn if path is None else left * path + drawn
                ahead = ahead + stop.sigma * path
            if stop is not there:
                past = [(stop, denoise(ahead, stop)), first]
        x = ahead
    return x


def er_sde(denoise: Denoise, x: Vector, levels: Sequence[Level], noise: Noise, order: Literal[1, 2, 3] = 3) -> Vector:
    """Extended reverse-time SDE of 1 to 3 stages: how much noise comes back is set by phi(r) = r (exp(r^0.3) + 10), r the
    noise ratio; phi(r) = r would be the ODE, r^2 the SDE.

    Cui, Zhang, Lu, Liao, "Elucidating the solution space of extended reverse-time SDE for diffusion models", 2023,
    https://arxiv.org/abs/2309.06169. The integrals are exact to rounding (the paper's code sums 200 points).
    """

    def spread(ratio: float) -> float:
        power = ratio**0.3
        return math.inf if power > 700.0 else math.exp(power) + 10.0  # beyond that a float has no room: pure noise

    past: list[tuple[float, Vector]] = []  # noise ratios and estimates, the newest first
    for here, there in pairs(levels):
        high, low = here.noise_ratio, there.noise_ratio
        past = [(high, denoise(x, here)), *(old for old in past if not math.isinf(spread(old[0])))][:order]
        if there.sigma == 0:
            x = there.alpha * past[0][1]
            continue
        end = 0.0 if math.isinf(spread(high)) else low * spread(low)
        kept = end / spread(high)  # of the noise ratio
        x = (there.alpha * end / (here.sigma * spread(high))) * x + (there.alpha * (1.0 - kept / high)) * past[0][1]
        if len(past) > 1:
            slope = (past[0][1] - past[1][1]) / (high - past[1][0])
            x = x + (there.alpha * (low - high + end * _integral(spread, low, high, 0))) * slope
        if len(past) > 2:
            older = (past[1][1] - past[2][1]) / (past[1][0] - past[2][0])
            bend = (slope - older) / ((high - past[2][0]) / 2)
            x = x + (there.alpha * ((low - high) ** 2 / 2 + end * _integral(spread, low, high, 1))) * bend
        x = x + (there.alpha * math.sqrt(low**2 - kept**2)) * noise(here, there)
    return x


def _integral(spread: Callable[[float], float], low: float, high: float, power: int) -> float:
    """The integral of (r - high)^power / (r spread(r)) over r, in log r, where it is smooth."""
    half, middle = math.log(high / low) / 2, math.log(high * low) / 2
    ratios = [math.exp(middle + half * point) for point in POINTS]
    parts = [s * float((r - high) ** power) / spread(r) for s, r in zip(SHARES, ratios, strict=True)]
    return half * sum(parts)


def sa_solver(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    keep: Keep,
    eta: float = 1.0,
    s_tmin: float = 0.0,
    s_tmax: float = 999.0,
    predictor_order: Literal[1, 2, 3, 4] = 3,
    corrector_order: Literal[0, 1, 2, 3, 4] = 4,
) -> Vector:
    """Stochastic Adams: a predictor and a corrector on the SDE of noise eta (the paper's tau) between two noise ratios.

    The corrector (0 for none) uses the estimate at the step's end, `corrector_order` estimates in all. Orders fall towards
    the end. Xue, Yi, Luo, Zhang, Sun, Li, Ma, "SA-Solver: stochastic Adams solver for fast sampling of diffusion models",
    2023, https://arxiv.org/abs/2309.05019
    """
    return _adams(denoise, x, levels, noise, keep, eta, s_tmin, s_tmax, predictor_order, corrector_order, again=False)


def sa_solver_pece(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    keep: Keep,
    eta: float = 1.0,
    s_tmin: float = 0.0,
    s_tmax: float = 999.0,
    predictor_order: Literal[1, 2, 3, 4] = 3,
    corrector_order: Literal[0, 1, 2, 3, 4] = 4,
) -> Vector:
    """sa_solver with a second evaluation after each correction. Xue et al. 2023, https://arxiv.org/abs/2309.05019"""
    return _adams(denoise, x, levels, noise, keep, eta, s_tmin, s_tmax, predictor_order, corrector_order, again=True)


def _adams(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    keep: Keep,
    eta: float,
    low: float,
    high: float,
    predictor: int,
    corrector: int,
    again: bool,
) -> Vector:
    past: list[tuple[Level, Vector]] = []
    start, drawn, tau = x, None, 0.0
    for left, (here, there) in zip(range(len(levels) - 1, 0, -1), pairs(levels), strict=True):
        past = [(here, denoise(x, here)), *past]
        used = min(corrector, len(past), left + 1 if levels[-1].sigma == 0 else corrector)
        if len(past) > 1 and used > 0 and (there.sigma > 0 or again):
            x = from_data(start, past[1][0], here, past[:used], tau)
            x = x if drawn is None else x + drawn
            if again:
                past[0] = (here, denoise(x, here))
        tau = eta * eta if low <= there.noise_ratio <= high and there.sigma > 0 else 0.0
        start = keep(x)
        used = min(predictor, left if levels[-1].sigma == 0 else predictor)
        x = from_data(start, here, there, past[:used], tau)
        drawn = None
        if tau > 0:
            drawn = (there.sigma * math.sqrt(1.0 - fade(here, there) ** (2.0 * tau))) * noise(here, there)
            x = x + drawn
        past = past[: max(predictor, corrector)]
    return x
