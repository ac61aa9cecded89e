"""The decode graph of an architecture: its decoder, and around it what makes maps of colours and sheets of frames."""

from __future__ import annotations

from torch import nn

from ...assets.manifest import Channel
from ..materials import CHANNELS, Flat, Materials
from .parts import Parts
from .video import Sheet

SOUND = {1: ("mono",), 2: ("left", "right")}


def maps_of(parts: Parts) -> nn.Module:
    """maps (B, M, H, W) from latent (B, C, h, w)."""
    if parts.kind == "sound":
        return parts.decode
    maps = Materials(parts.decode) if parts.materials else Flat(parts.decode)
    return Sheet(maps, parts.frames) if parts.frames > 1 else maps


def channels_of(parts: Parts) -> list[Channel]:
    """What the maps mean."""
    if parts.kind == "sound":
        return [Channel(name=name) for name in SOUND[int(parts.notes["sound_channels"])]]
    return [Channel(name=n, encoding="srgb" if n.startswith("albedo") else "linear") for n in CHANNELS]
