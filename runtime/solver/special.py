"""The quantile of the beta distribution, which numpy lacks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]

TERMS = 64
"""Of the power series, which is used for x up to 1/2: its tail is below 2^-64 for shapes of ordinary size."""


def beta_quantile(p: ArrayLike, a: float, b: float) -> Reals:
    """x with I_x(a, b) = p, for p in [0, 1] and shapes a and b from 0.1 to 10.

    Below the middle, I_x(a, b) = x^a / B(a, b) * sum over k of (1 - b)_k x^k / (k! (a + k)) [DLMF 8.17.7,
    https://dlmf.nist.gov/8.17]; Newton's method on log I over log x, where each is a monotone curve. Above it, by symmetry.
    """
    p = np.asarray(p, np.float64)
    middle = float(_distribution(np.array([0.5]), a, b)[0])
    low = _lower_quantile(np.minimum(p, middle), a, b)
    high = 1.0 - _lower_quantile(np.minimum(1.0 - p, 1.0 - middle), b, a)
    return np.where(p <= middle, low, high)


def _beta(a: float, b: float) -> float:
    return math.exp(math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))


def _distribution(x: Reals, a: float, b: float) -> Reals:
    k = np.arange(TERMS)
    terms = np.cumprod(np.append(1.0, (k[1:] - b) / k[1:])) / (a + k)
    total: Reals = x**a / _beta(a, b) * (x[:, None] ** k @ terms)
    return total


def _lower_quantile(p: Reals, a: float, b: float) -> Reals:
    """For p up to I_1/2(a, b); zero stays zero."""
    inside = p > 0.0
    scale, target = _beta(a, b), p[inside]
    x = np.minimum((target * a * scale) ** (1.0 / a), 0.5)
    for _ in range(50):
        reached = _distribution(x, a, b)
        slope = x**a * (1.0 - x) ** (b - 1.0) / (scale * reached)  # d log I / d log x
        step = np.log(target / reached) / slope
        x = np.minimum(x * np.exp(step), 0.5)
        if np.all(np.abs(step) < 1e-14):
            break
    out = np.zeros_like(p)
    out[inside] = x
    return out
