"""Circular padding in every convolution of a network, so that what it paints tiles.

A network without padding at its edges and without positions commutes with shifts of the torus by its coarsest stride, and
noise has no edge, so a step across the wrap is distributed as one across any other border of that stride: over many seeds
`edge_ratio` tends to 1. Inside a coarse cell steps are smaller or larger than at its borders, which is why only borders
are compared.

Padding is done with slices and concatenations: OpenVINO reads no ONNX Pad in mode wrap. Where sums run on 8-bit integers it is
done by an index: what OpenVINO 2026.4 makes of slices and concatenations before such a convolution is wrong (0.37 of the
range on a toy, where the index gives 0.035), and the index takes 1.2 to 1.8 times as long in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ...assets.refusal import Refusal

Array = NDArray[np.float32]
AXES = {"x": (3,), "y": (2,), "xy": (2, 3)}


Wrap = Callable[[Tensor, int, int], Tensor]
"""Of a field, an axis and how many cells to put at both ends of it."""


def by_slices(x: Tensor, axis: int, by: int) -> Tensor:
    return torch.cat([x.narrow(axis, x.shape[axis] - by, by), x, x.narrow(axis, 0, by)], axis)


def by_index(x: Tensor, axis: int, by: int) -> Tensor:
    size = x.shape[axis]
    return x.index_select(axis, torch.cat([torch.arange(size - by, size), torch.arange(size), torch.arange(by)]))


class Circular(nn.Module):
    """A Conv2d whose zero padding becomes wrapping along some axes of (B, C, h, w)."""

    def __init__(self, convolution: nn.Conv2d, axes: tuple[int, ...], wrap: Wrap) -> None:
        super().__init__()
        self.convolution, self.axes, self.wrap = convolution, axes, wrap
        self.weight, self.bias = convolution.weight, convolution.bias  # some code reads them

    def forward(self, x: Tensor) -> Tensor:
        layer = self.convolution
        left = [0, 0]
        for axis, by in zip((2, 3), layer.padding, strict=True):
            if axis in self.axes and by:
                x = self.wrap(x, axis, by)
            else:
                left[axis - 2] = by
        return F.conv2d(x, layer.weight, layer.bias, layer.stride, left, layer.dilation, layer.groups)


def make_seamless(networks: Iterable[nn.Module], axes: str, wrap: Wrap = by_slices) -> int:
    """Replaces the padded convolutions of these networks in place; how many there were."""
    total = 0
    for network in networks:
        count = 0
        for parent in list(network.modules()):
            if isinstance(parent, Circular):
                continue
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Conv2d) and any(layer.padding):
                    setattr(parent, name, Circular(layer, AXES[axes], wrap))
                    count += 1
        if not count:
            raise Refusal(
                "unsupported",
                "seamless",
                "a network has no padded convolution",
                "leave it out; a transformer of patches does not tile this way",
            )
        total += count
    return total


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
