"""An exact denoiser: data that is a mixture of Gaussians, whose posterior mean is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .plan import Model
from .process import Process

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Independent one-dimensional mixtures at every element: weights, means and deviations, each (components,)."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def denoised(self, x: Reals, alpha: float, sigma: float) -> Reals:
        """E[x0 | alpha x0 + sigma noise = x]."""
        mean, deviation = np.asarray(self.means), np.asarray(self.deviations)
        x = np.asarray(x, np.float64)[..., None]
        variance = (alpha * deviation) ** 2 + sigma**2
        log = np.log(self.weights) - 0.5 * np.log(variance) - 0.5 * (x - alpha * mean) ** 2 / variance
        share = np.exp(log - log.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        posterior = mean + alpha * deviation**2 / variance * (x - alpha * mean)
        total: Reals = (share * posterior).sum(-1)
        return total


LOPSIDED = Mixture((0.6, 0.3, 0.1), (-0.9, 0.7, 2.3), (0.5, 0.7, 0.9))
"""Broad and lopsided: a symmetric one flatters the measured order of convergence."""


def exact_model(process: Process, prediction: str, mixture: Mixture = LOPSIDED) -> Model:
    """The perfect model of a mixture on a process, as `Plan.run` calls it; it does not look at the condition."""

    def model(x: Reals, time: float, conditional: bool) -> Reals:
        level = process.at(time)
        alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
        return raw_output(prediction, x, mixture.denoised(x, alpha, sigma), alpha, sigma)

    return model


def raw_output(prediction: str, x: Reals, denoised: Reals, alpha: float, sigma: float) -> Reals:
    """What a model of a prediction type would answer for this clean estimate."""
    if prediction == "x0":
        return denoised
    noise = (x - alpha * denoised) / sigma
    return {"epsilon": noise, "v": alpha * noise - sigma * denoised, "flow": noise - denoised}[prediction]
