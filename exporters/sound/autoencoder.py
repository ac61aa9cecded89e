"""The autoencoder: features of `codec` to a latent of 112 numbers a cell and back, by principal components.

Levels of partials count for more than those of noise, which are random from frame to frame. A component's scale in the
latent is the root of its deviation: what is loud is decided at higher noise levels than what is fine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .codec import FEATURES, GATES, PARTIALS, SUBFRAMES, WIDTHS
from .dataset import Example
from .networks import LATENT, Decoder

FILE = "autoencoder.npz"
WEIGHTS = np.concatenate([np.full(PARTIALS, 2.0), np.full(FEATURES - PARTIALS - GATES, 0.7), np.full(GATES, 2.0)])


AVERAGED = 4.0
"""Powers of noise that `codec.smoothed` averages, for each bin of a band."""


@dataclass(frozen=True)
class Autoencoder:
    """latent = inward @ (features - centre), features = outward @ latent + centre + louder; all float64."""

    inward: NDArray[np.float64]  # (LATENT, FEATURES)
    outward: NDArray[np.float64]  # (FEATURES, LATENT)
    centre: NDArray[np.float64]
    louder: NDArray[np.float64]

    def encode(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """(FEATURES, cells) to (LATENT, cells)."""
        return (self.inward @ (features.astype(np.float64) - self.centre[:, None])).astype(np.float32)

    def decoder(self) -> Decoder:
        outward, centre = (
            torch.from_numpy(each.astype(np.float32)) for each in (self.outward, self.centre + self.louder)
        )
        return Decoder(outward, centre).eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        part = folder / f"part.{FILE}"
        np.savez(part, inward=self.inward, outward=self.outward, centre=self.centre, louder=self.louder)
        part.replace(folder / FILE)


def load(folder: Path) -> Autoencoder:
    held = np.load(folder / FILE)
    return Autoencoder(*(held[name] for name in ("inward", "outward", "centre", "louder")))


def fit(examples: list[Example]) -> Autoencoder:
    """The components of all cells of some examples, and what makes noise as loud as it was."""
    data = np.concatenate([each.features for each in examples], 1).astype(np.float64)
    centre = data.mean(1)
    variance, axes = np.linalg.eigh(np.cov(data * WEIGHTS[:, None]))
    variance, axes = variance[: -LATENT - 1 : -1], axes[:, : -LATENT - 1 : -1]
    scale = variance**0.25 * np.sqrt(np.sqrt(variance).mean())  # mean variance of a latent number 1
    inward, outward = (axes * WEIGHTS[:, None] / scale).T, axes * scale / WEIGHTS[:, None]
    return Autoencoder(inward, outward, centre, _louder())


def _louder() -> NDArray[np.float64]:
    """(FEATURES,): the mean of a level is that of a logarithm; noise made at it would be softer than noise of that power.

    Of the mean of n powers of noise: (log n - digamma(n)) / 2, where digamma(n) is the sum of 1 / k to n - 1 less Euler's number.
    """
    counted = [max(1, round(AVERAGED * n)) for n in WIDTHS]
    bands = [0.5 * (np.log(n) + np.euler_gamma - sum(1 / k for k in range(1, n))) for n in counted]
    return np.concatenate([np.zeros(PARTIALS), np.tile(bands, SUBFRAMES), np.zeros(GATES)])
