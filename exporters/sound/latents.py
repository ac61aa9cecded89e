"""The training set as latents, and the autoencoder that is fitted to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import autoencoder
from .dataset import Example, generate

SET = 6600
"""Sounds in the training set."""
FITTED = 1200
"""Of them the autoencoder is fitted to."""


def latents_of(out: Path, sounds: int = SET) -> list[Example]:
    """The training set with latents (LATENT, cells) in place of features; fits the autoencoder where there is none."""
    data = generate(out / "set", sounds)
    if not (out / autoencoder.FILE).is_file():
        autoencoder.fit(data[:FITTED]).save(out)
    known = autoencoder.load(out)
    return [Example(known.encode(each.features).astype(np.float16), each.condition, each.sound) for each in data]
