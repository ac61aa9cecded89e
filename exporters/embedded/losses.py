"""What the autoencoder is trained by: structure where it can be known, the amount of detail in each band where it cannot."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .networks import FACTOR, MAPS

WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])[:, None, None]
"""Of the maps in the losses; faint differences of roughness and metallic are seen least."""
SCALES = {1: 0.5, 2: 1.0, 4: 1.0}
"""Weight of errors of value after averaging over so many pixels a side; half as much of errors of differences."""
FILTERS = 8
KERNEL = 9
WINDOW = 16
RATIO = 0.2
FAINT = 0.004
"""Strength of an answer, in maps of [0, 1], below which nothing is told apart: that of a step of 8 bits."""


def weights(complete: Tensor) -> Tensor:
    """Of the maps of each sample (B, 6, 1, 1), 0 for data maps that are not known; complete (B,)."""
    weight = WEIGHTS.expand(len(complete), -1, -1, -1).clone()
    weight[~complete, 3:] = 0.0
    return weight


def structure(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Absolute errors of values and of differences at three scales, and the squared error, which keeps a map that is mostly
    0 (metallic) from settling at its median.

    maps  (B, 6, H, W)
    """
    total = (weight * (made - true).square()).mean() * 8.0
    for scale, share in SCALES.items():
        a, b = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (made, true))
        total = total + share * (weight * (a - b).abs()).mean()
        for axis in (2, 3):
            da, db = (torch.roll(x, 1, axis) - x for x in (a, b))
            total = total + 0.5 * share * (weight * (da - db).abs()).mean()
    return total


def draw_filters(count: int = FILTERS) -> Tensor:
    """Random Gabor filters (count, 6, 9, 9) of unit norm and zero mean, each over one map or a random mixture of all."""
    place = torch.arange(KERNEL) - KERNEL // 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    envelope = torch.exp(-(x * x + y * y) / (2 * 1.9**2))
    frequency = torch.exp(torch.empty(count).uniform_(math.log(0.09), math.log(0.6)))
    angle, phase = torch.rand(count) * math.pi, torch.rand(count) * 2 * math.pi
    along = torch.cos(angle)[:, None, None] * x + torch.sin(angle)[:, None, None] * y
    wave = envelope * torch.cos(2 * math.pi * frequency[:, None, None] * along + phase[:, None, None])
    wave = wave - envelope * (wave.sum((1, 2), keepdim=True) / envelope.sum())
    single = F.one_hot(torch.randint(MAPS, (count,)), MAPS).float()
    mixture = torch.where(torch.rand(count, 1) < 0.5, single, torch.randn(count, MAPS))
    filters = mixture[:, :, None, None] * wave[:, None]
    return filters / filters.square().sum((1, 2, 3), keepdim=True).sqrt()


def detail(made: Tensor, true: Tensor, weight: Tensor, filters: Tensor) -> Tensor:
    """How far the strength of the filters' answers in windows of 16 pixels is from the data's, in full and in half size.

    Where a grain lies does not matter here, how much of it there is, how coarse, and how the maps go together does. The
    difference alone would forgive the loss of what is faint, the finest grain first; so the ratio counts as well.
    """
    total = made.new_zeros(())
    both = (torch.cat([made, true]) - 0.5) * weight.sqrt().repeat(2, 1, 1, 1)
    for scale in (1, 2):
        with torch.autocast("cpu", torch.bfloat16):
            answers = F.conv2d(F.avg_pool2d(both, scale) if scale > 1 else both, filters)
        strength = torch.sqrt(F.avg_pool2d(answers.float().square(), WINDOW, WINDOW // 2) + 1e-6)
        a, b = strength.chunk(2)
        total = total + ((a - b).abs() / torch.sqrt(b + 0.01)).mean()
        total = total + RATIO * ((a + FAINT).log() - (b + FAINT).log()).abs().mean()
    return total


def grid(maps: Tensor) -> Tensor:
    """How unevenly the steps between neighbouring pixels fall on the eight lines of a cell; 0 where no grid shows.

    maps  (B, 6, H, W)
    """
    total = maps.new_zeros(())
    for axis in (2, 3):
        steps = (torch.roll(maps, -1, axis) - maps).abs().mean((0, 5 - axis))
        lines = steps.unflatten(1, (-1, FACTOR)).mean(1)
        total = total + (lines + 2e-4).log().var(1).mean()
    return total


def spread(latent: Tensor) -> Tensor:
    """How far the latents are from zero mean and unit variance a channel."""
    deviation, mean = torch.std_mean(latent.float(), (0, 2, 3))
    return mean.square().mean() + deviation.log().square().mean()
