"""Circular padding in every convolution of a network, so that what it paints tiles.

A network without padding at its edges and without positions commutes with shifts of the torus by its coarsest stride, and
noise has no edge, so a step across the wrap is distributed as one across any other border of that stride: over many seeds
`edge_ratio` tends to 1. Inside a coarse cell steps are smaller or larger than at its borders, which is why only borders
are compared.

Padding is done with slices and concatenations: OpenVINO reads no ONNX Pad in mode wrap.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ...assets.refusal import Refusal

Array = NDArray[np.float32]
AXES = {"x": (3,), "y": (2,), "xy": (2, 3)}


class Circular(nn.Module):
    """A Conv2d whose zero padding becomes wrapping along some axes of (B, C, h, w)."""

    def __init__(self, convolution: nn.Conv2d, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.convolution, self.axes = convolution, axes
        self.weight, self.bias = convolution.weight, convolution.bias  # some code reads them

    def forward(self, x: Tensor) -> Tensor:
        layer = self.convolution
        left = [0, 0]
        for axis, by in zip((2, 3), layer.padding, strict=True):
            if axis in self.axes and by:
                x = torch.cat([x.narrow(axis, x.shape[axis] - by, by), x, x.narrow(axis, 0, by)], axis)
            else:
                left[axis - 2] = by
        return F.conv2d(x, layer.weight, layer.bias, layer.stride, left, layer.dilation, layer.groups)


def padded(network: nn.Module) -> list[tuple[nn.Module, str, nn.Conv2d]]:
    """The padded convolutions of a network, each with the module that holds it and its name there; refused where it has none."""
    found = [
        (parent, name, layer)
        for parent in network.modules()
        if not isinstance(parent, Circular)
        for name, layer in parent.named_children()
        if isinstance(layer, nn.Conv2d) and any(layer.padding)
    ]
    if not found and not any(isinstance(module, Circular) for module in network.modules()):
        raise Refusal(
            "unsupported",
            "seamless",
            "a network has no padded convolution",
            "leave it out; a transformer of patches does not tile this way",
        )
    return found


def make_seamless(networks: Iterable[nn.Module], axes: str) -> None:
    """Replaces the padded convolutions of these networks in place."""
    for network in networks:
        for parent, name, layer in padded(network):
            setattr(parent, name, Circular(layer, AXES[axes]))


def edge_ratio(maps: Array, stride: int, axes: str = "xy") -> float:
    """Mean step across the wrap over the mean step across the other borders of the stride (pixels), the largest of the axes.

    maps (N, M, H, W), sides multiples of `stride` and at least twice as long; about 1 is seamless.
    """
    ratios = []
    for axis in AXES[axes]:
        steps = np.abs(np.roll(maps, -1, axis) - maps).astype(np.float64).mean((0, 1, 5 - axis))
        borders = steps[stride - 1 :: stride]
        ratios.append(float(borders[-1] / max(borders[:-1].mean(), 1e-9)))
    return max(ratios)
