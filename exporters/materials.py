"""Height, roughness and metallic guessed from colour, for models that paint colour only; part of the decode graph.

Light is taken for high, as in most stone, plaster and bark: height is 0.5 plus luminance against its mean within 15 pixels,
scaled so that one deviation is 0.2, with the broad half of it weighted less. Rough is what is dark and busy: roughness is 0.85
less a quarter of luminance, plus local contrast. Metallic is 0. Normals and occlusion follow from the height as for any
texture. A guess, stated as one in the bundle's manifest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of linear R, G, B in ITU-R BT.709, here on sRGB values."""
RADIUS = 7
DEVIATION = 0.2
ROUGH = 0.85
"""Of what is black and still."""
CHANNELS = ("albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic")


class Materials(nn.Module):
    """Colours (B, 3, H, W) of a decoder to maps (B, 6, H, W), all in [0, 1]."""

    def __init__(self, decode: nn.Module) -> None:
        super().__init__()
        self.decode = decode
        self.register_buffer("weights", torch.tensor(LUMINANCE)[None, :, None, None])

    def forward(self, latent: Tensor) -> Tensor:
        colour = self.decode(latent)
        light = (colour * self.weights).sum(1, keepdim=True)
        near = blurred(light, RADIUS)
        detail = light - near
        spread = detail.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3
        broad = near - near.mean((2, 3), keepdim=True)
        height = (0.5 + DEVIATION * detail / spread + 0.5 * broad).clamp(0.0, 1.0)
        roughness = (ROUGH - 0.25 * light + 0.5 * blurred(detail.abs(), RADIUS)).clamp(0.0, 1.0)
        return torch.cat([colour, height, roughness, torch.zeros_like(light)], 1)


class Flat(nn.Module):
    """Colours (B, 3, H, W) of a decoder to maps (B, 6, H, W) of a flat, rough surface, where no guess is wanted."""

    def __init__(self, decode: nn.Module) -> None:
        super().__init__()
        self.decode = decode

    def forward(self, latent: Tensor) -> Tensor:
        colour = self.decode(latent)
        none = torch.zeros_like(colour[:, :1])
        return torch.cat([colour, none + 0.5, none + ROUGH, none], 1)


def blurred(field: Tensor, radius: int) -> Tensor:
    """Mean over a square of 2 radius + 1 pixels on the torus."""
    for axis in (2, 3):
        around = torch.cat(
            [field.narrow(axis, field.shape[axis] - radius, radius), field, field.narrow(axis, 0, radius)], axis
        )
        size = field.shape[axis]
        field = sum(around.narrow(axis, at, size) for at in range(2 * radius + 1)) / (2 * radius + 1)
    return field
