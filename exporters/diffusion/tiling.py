"""Bundles that decode large pictures in tiles: what an export makes for it, and how far tiles are from the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...assets.bundle import Bundle
from ...assets.manifest import Tiles
from ...assets.refusal import OutOfRange, Refusal
from ...runtime.engine.backends import open_backend
from ...runtime.engine.tiles import decode_tiled
from ..materials import Flat, Materials
from ..verify import short
from .parts import Parts

Array = NDArray[np.float32]
SIDES = 2
"""Tiles a side of the latent on which tiles are measured."""


def tiles_of(parts: Parts, cells: int, seamless: str) -> Tiles | None:
    """How a bundle decodes in tiles of so many cells a side, a quarter of them shared; 0 is for the whole at once."""
    if cells == 0:
        return None
    if parts.kind != "texture":
        raise Refusal("unsupported", "tiles", f"a {parts.kind} is not decoded in tiles", "leave it out")
    if not 16 <= cells <= 1024:
        raise OutOfRange("tiles", cells, "16 to 1024 latent cells, or 0 for none")
    return Tiles(cells, cells // 4, seamless)  # type: ignore[arg-type]  # the names of axes are the same


def finish_of(parts: Parts) -> nn.Module:
    """Maps (B, 6, H, W) of colours: the guess looks at the whole picture, so it comes when the tiles are put together."""
    return (Materials if parts.materials else Flat)(nn.Identity())


def against_whole(bundle: Bundle, tiles: Tiles, seed: int = 7, backend: str = "onnxruntime") -> dict[str, Any]:
    """Largest and mean difference of colours, of 0 to 1, decoded in tiles from those of the same noise decoded at once."""
    graph = open_backend(backend)(bundle.path("decode"), 1)

    def decode(latent: Array, grain: Array | None) -> Array:
        return graph.run({"latent": latent[None]})["maps"][0]

    side = SIDES * tiles.cells
    latent = np.random.default_rng(seed).standard_normal((bundle.manifest.latent.channels, side, side), np.float32)
    apart = np.abs(decode_tiled(decode, latent, None, tiles) - decode(latent, None))
    told = {"cells": tiles.cells, "overlap": tiles.overlap}
    return {**told, "largest": short(float(apart.max())), "mean": short(float(apart.mean()))}
