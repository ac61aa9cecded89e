"""Steps of the exponential and multistep methods: exact integrals of e^u times the polynomial through past values.

A solution of the diffusion ODE or SDE at the next level is a known multiple of the latent plus an integral of the clean
estimate, the noise or the slope between the two levels. These methods put a polynomial through past values and integrate
it exactly, so one helper serves all of them; they differ in what they integrate and over which variable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..process import Level
from ..tracing import Vector, plus

Past = Sequence[tuple[Level, Vector]]
"""Values at levels, the newest first; one value makes a first-order step, k values one of order k."""


def moments(z: float, count: int) -> list[float]:
    """The integrals of e^(z (s - 1)) s^k over s from 0 to 1, for k below `count`.

    m[k] = (1 - k m[k-1]) / z loses digits where |z| is small; there it runs downwards from a k so high that its error dies out.
    """
    if abs(z) > 4:
        found = [-math.expm1(-z) / z]
        for k in range(1, count):
            found.append((1.0 - k * found[-1]) / z)
        return found
    value, found = 1.0 / 41.0, []
    for k in range(40, 0, -1):
        value = (1.0 - z * value) / k
        found.append(value)
    return found[: -count - 1 : -1]


def weights(nodes: Sequence[float], start: float, end: float, rate: float) -> list[float]:
    """w, one a node, with sum w f(node) = the integral of e^(rate (u - end)) f(u) from start to end, exact for polynomials f."""
    h = end - start
    if len(nodes) == 1:
        return [-math.expm1(-rate * h) / rate if rate else h]
    return [h * w for w in _vandermonde([(node - start) / h for node in nodes], moments(rate * h, len(nodes)))]


def _vandermonde(nodes: Sequence[float], sums: Sequence[float]) -> list[float]:
    """w with sum w[i] nodes[i]^k = sums[k] for every k below their number.

    A few numbers in plain Python take a tenth of the time of a call to LAPACK. Bjorck, Pereyra, "Solution of Vandermonde
    systems of equations", 1970, https://doi.org/10.1090/S0025-5718-1970-0290541-1
    """
    w, last = list(sums), len(nodes) - 1
    for k in range(last):
        for i in range(last, k, -1):
            w[i] -= nodes[k] * w[i - 1]
    for k in range(last - 1, -1, -1):
        for i in range(k + 1, last + 1):
            w[i] /= nodes[i] - nodes[i - k - 1]
        for i in range(k, last):
            w[i] -= w[i + 1]
    return w


def fade(here: Level, there: Level) -> float:
    """e^-h, h the step in log SNR: 0 from pure noise and to the clean end, where h is infinite."""
    return here.alpha * there.sigma / (there.alpha * here.sigma)


def from_data(x: Vector, here: Level, there: Level, past: Past, eta: float = 0.0) -> Vector:
    """x at `there`, by the integral of the clean estimate over log SNR; the noise of an SDE (eta above 0) is not added.

    x' = (sigma' / sigma) e^(-eta h) x + alpha' (1 + eta) (integral of e^((1 + eta) (u - end)) denoised(u) du), h the step
    [Lu et al. 2022, https://arxiv.org/abs/2211.01095; Gonzalez et al. 2023, https://arxiv.org/abs/2305.14267].
    From pure noise and to the clean end, where log SNR is infinite, the newest value stands for all; past values from
    pure noise, infinitely far away, drop out.
    """
    left = fade(here, there)
    x = float(there.sigma / here.sigma * left**eta) * x
    if left == 0.0:
        return x + there.alpha * past[0][1]
    past = [(level, value) for level, value in past if level.alpha > 0.0]
    if len(past) == 1:
        return x + float(there.alpha * (1.0 - left ** (1.0 + eta))) * past[0][1]
    nodes = [level.log_snr for level, _ in past]
    found = weights(nodes, here.log_snr, there.log_snr, 1.0 + eta)
    return _sum(x, there.alpha * (1.0 + eta), found, past)


def from_noise(x: Vector, here: Level, there: Level, past: Past) -> Vector:
    """x at `there`, by the integral of the noise estimate over log SNR; both levels have alpha and sigma above 0.

    x' = (alpha' / alpha) x - sigma' (integral of e^(end - u) noise(u) du) [Lu et al. 2022, https://arxiv.org/abs/2206.00927].
    """
    found = weights([level.log_snr for level, _ in past], here.log_snr, there.log_snr, -1.0)
    return _sum((there.alpha / here.alpha) * x, -there.sigma, found, past)


def from_slope(x: Vector, here: Level, there: Level, past: Past, log: bool = False, whole: bool = False) -> Vector:
    """x at `there`, by the integral of dx / d sigma over sigma; its polynomial is in sigma or, with `log`, in log sigma.

    The step to no noise is Euler's, which ends on the clean estimate, or with `whole` like the others (in sigma only).
    """
    if len(past) == 1 or (there.sigma == 0.0 and not whole):
        return x + (there.sigma - here.sigma) * past[0][1]
    if log:
        nodes = [math.log(level.sigma) for level, _ in past]
        found = weights(nodes, math.log(here.sigma), math.log(there.sigma), 1.0)
        return _sum(x, there.sigma, found, past)
    return _sum(x, 1.0, weights([level.sigma for level, _ in past], here.sigma, there.sigma, 0.0), past)


def _sum(x: Vector, scale: float, found: Sequence[float], past: Past) -> Vector:
    return plus(x, [scale * weight for weight in found], [value for _, value in past])
