"""A texture bundle from two torch networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..assets.bundle import Bundle
from ..assets.manifest import Manifest
from .trained import GRAPHS, export_bundle

SIDES = (16, 24)
FIELD = {0: "batch", 2: "height", 3: "width"}


class Maps(nn.Module):
    """A decoder whose maps are clipped to [0, 1]."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor, noise: Tensor | None = None) -> Tensor:
        maps: Tensor = self.decoder(latent) if noise is None else self.decoder(latent, noise)
        return maps.clamp(0.0, 1.0)


def export_texture_bundle(
    folder: Path, denoiser: nn.Module, decoder: nn.Module, notices: Mapping[str, str], **fields: Any
) -> Bundle:
    """As `export_bundle`; `fields` are of assets.manifest.Manifest but for kind, graphs and files.

    decoder   maps (B, M, H, W) from latent (B, C, h, w) and, where `fields` have a grain, its noise; clipped here
    """
    manifest = Manifest(kind="texture", graphs=GRAPHS, **fields)
    return export_bundle(folder, manifest, denoiser, Maps(decoder), notices, SIDES, FIELD)
