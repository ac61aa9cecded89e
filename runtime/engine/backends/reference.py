"""The living definition: numpy in float64, and a model that is known exactly in place of a bundle's networks.

It takes everything but the weights from the manifest beside the graph: process, prediction, latent, words, channels. Its
step is the exact denoiser of a mixture of Gaussians (runtime/solver/analytic.py) whose clean value each word shifts; its
decoder repeats each latent cell. So any plan can be run through the whole engine and compared with mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....assets import manifest
from ....assets.bundle import MANIFEST
from ....assets.manifest import Manifest
from ....assets.refusal import Unknown
from ...plans import process_of
from ...solver.analytic import LOPSIDED, raw_output
from .base import Array, Identity

Reals = NDArray[np.float64]
IDENTITY = Identity("reference", "1", "numpy", "float64")
SHIFT = 0.5


def shift_of(condition: NDArray[np.floating], channels: int) -> Reals:
    """What a condition (K,) adds to clean latents, (channels, 1, 1): SHIFT times a cosine for each word and channel."""
    word, channel = np.arange(len(condition)), np.arange(channels)[:, None]
    total: Reals = SHIFT * (np.cos(1.0 + word + 2.0 * channel) * condition).sum(1)
    return total[:, None, None]


def evaluate(made_for: Manifest, x: Reals, time: float, condition: NDArray[np.floating]) -> Reals:
    """Raw output (C, h, w) for a latent (C, h, w); exact for clean values of the mixture plus the condition's shift."""
    level = process_of(made_for).at(time)
    alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
    shift = shift_of(condition, len(x))
    clean = LOPSIDED.denoised(x - alpha * shift, alpha, sigma) + shift
    return raw_output(made_for.prediction, x, clean, alpha, sigma)


class Step:
    identity = IDENTITY

    def __init__(self, made_for: Manifest) -> None:
        self._manifest = made_for

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        samples = zip(inputs["latent"], inputs["time"], inputs["condition"], strict=True)
        raw = [evaluate(self._manifest, x.astype(np.float64), float(t), c) for x, t, c in samples]
        return {"raw": np.stack(raw).astype(np.float32)}


class Decode:
    identity = IDENTITY

    def __init__(self, made_for: Manifest) -> None:
        self._maps, self._factor = len(made_for.channels), made_for.latent.factor

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        latent = inputs["latent"]
        maps = latent[:, np.arange(self._maps) % latent.shape[1]] * np.float32(0.25) + np.float32(0.5)
        return {"maps": maps.repeat(self._factor, 2).repeat(self._factor, 3)}


GRAPHS: dict[str, type[Step] | type[Decode]] = {"step": Step, "decode": Decode}


def load(path: Path, threads: int, choice: str = "") -> Step | Decode:
    if choice:
        raise Unknown("backend", f"reference:{choice}", ["reference"])
    made_for, graph = of_bundle(path)
    if graph not in GRAPHS:
        raise Unknown("graph", graph, GRAPHS)
    return GRAPHS[graph](made_for)


def of_bundle(path: Path) -> tuple[Manifest, str]:
    """The manifest beside a graph's file, and the graph's name in it."""
    made_for = manifest.read((path.parent / MANIFEST).read_bytes())
    return made_for, next(graph for graph, file in made_for.graphs.items() if file == path.name)
