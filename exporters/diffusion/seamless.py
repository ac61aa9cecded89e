"""Circular padding in every convolution of a network, so that what it paints tiles.

Padding is done with slices and concatenations: OpenVINO reads no ONNX Pad in mode wrap.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...assets.refusal import Refusal

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


def make_seamless(networks: Iterable[nn.Module], axes: str) -> int:
    """Replaces the padded convolutions of these networks in place; how many there were."""
    count = 0
    for network in networks:
        for parent in list(network.modules()):
            if isinstance(parent, Circular):
                continue
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Conv2d) and any(layer.padding):
                    setattr(parent, name, Circular(layer, AXES[axes]))
                    count += 1
    if not count:
        raise Refusal(
            "unsupported",
            "seamless",
            "the network has no padded convolution",
            "leave it out; a transformer does not tile this way",
        )
    return count
