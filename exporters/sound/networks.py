"""The embedded sound networks: magnitude-preserving convolutions on a ring of cells, and the arithmetic that makes a wave.

Fields are (B, C, 1, L), one cell high, as the engine keeps every latent. Blocks and weights are those of the textures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..embedded import networks as embedded
from ..embedded.networks import MPConv, mp_cat, mp_silu, mp_sum
from . import codec
from .codec import BANDS, BINS, CELL, FLOOR, GATES, PARTIALS, PERIOD, SUBFRAMES
from .guess import Guess
from .signal import RATE
from .vocabulary import LOOPS, SHOTS, WORDS

LATENT = 112


class Conv(MPConv):
    """A circular convolution along the ring, of weights of unit norm an output; with `constant` it has a bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1, constant: bool = False) -> None:
        super().__init__(inputs, outputs, 1, dilation, constant)
        self.kernel = kernel
        self.weight = nn.Parameter(torch.randn(outputs, inputs + constant, 1, kernel))

    def wrap(self, x: Tensor, by: int) -> Tensor:
        """The ring of (B, C, 1, L) cut open, with `by` cells of the other side at each end."""
        return torch.cat([x[..., -by:], x, x[..., :by]], 3)


class Block(embedded.Block):
    """The textures' block over the ring."""

    convolution = Conv


class Decoder(nn.Module):
    """Latents (B, LATENT, 1, L) and noise (B, CELL, 1, L) to a wave (B, 1, 1, CELL L): a matrix, and the synthesis.

    A convolutional network was tried before the synthesis, with 32 numbers a cell: in as many minutes as this project has
    it learned impacts 16 dB too soft. Principal components, 112 of them, lose little that is heard.
    """

    def __init__(self, outward: Tensor, centre: Tensor) -> None:
        super().__init__()
        self.outward = nn.Parameter(outward[:, :, None, None].clone())
        self.centre = nn.Parameter(centre.clone())
        self.synthesis = Synthesis()

    def features(self, latent: Tensor) -> Tensor:
        """(B, FEATURES, 1, L): levels may fall below 0, which is silence, gates leave 0 to 1."""
        return F.conv2d(latent, self.outward, self.centre)

    def forward(self, latent: Tensor, noise: Tensor) -> Tensor:
        wave: Tensor = self.synthesis(self.features(latent)[:, :, 0], noise[:, :, 0])
        return wave[:, None, None]


class Synthesis(nn.Module):
    """Features (B, FEATURES, L) and noise (B, CELL, L) to waves (B, CELL L); the constants of `codec`."""

    def __init__(self) -> None:
        super().__init__()
        constants = {
            "bases": np.concatenate([*codec.oscillator_bases()]) * np.repeat([[1.0], [-1.0]], PARTIALS, 0),
            "turned": np.stack(codec.turned()),
            "transform": codec.mdct_basis(),
            "spread": codec.spread(),
        }
        for name, array in constants.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.float32)), persistent=False)

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        batch, _, length = features.shape
        levels = features.clamp(0.0, HIGHEST)
        levels = levels * ((levels - SILENT[0]) / (SILENT[1] - SILENT[0])).clamp(0.0, 1.0)
        amplitudes = FLOOR * torch.expm1(levels[:, :PARTIALS])
        turns = self.turned.index_select(2, torch.arange(length) % PERIOD)
        both = torch.cat([amplitudes * turns[0], amplitudes * turns[1]], 1).transpose(1, 2)
        made = overlapped(both @ self.bases)
        bands = levels[:, PARTIALS:-GATES].transpose(1, 2).reshape(batch, length * SUBFRAMES, BANDS)
        numbers = noise.transpose(1, 2).reshape(batch, length * SUBFRAMES, BINS)
        made = made + overlapped((FLOOR * torch.expm1(bands @ self.spread) * numbers) @ self.transform)
        gates = features[:, -GATES:].clamp(0.0, 1.0).transpose(1, 2).reshape(batch, length * GATES, 1)
        ramp = torch.arange(CELL // GATES) / (CELL // GATES)
        after = torch.cat([gates[:, 1:], gates[:, :1]], 1)
        made = made * (gates + (after - gates) * ramp).reshape(batch, -1)
        straight = made.clamp(-BENDS, BENDS)
        return straight + (1 - BENDS) * torch.tanh((made - straight) / (1 - BENDS))


SILENT = (0.4, 1.2)
"""Levels that are silence, and from which on they are what they say: -81 and -68 dB. What a sampler leaves in a tail is less."""
BENDS = 0.6
"""Amplitude from which on peaks bend, so that none is above 1."""
HIGHEST = 10.5
"""A little above what the coefficients of a full-scale transient reach."""


def overlapped(frames: Tensor) -> Tensor:
    """Frames (B, N, 2 K), each half over its neighbour, on a ring: (B, N K)."""
    first, second = frames.chunk(2, 2)
    return (first + torch.cat([second[:, -1:], second[:, :-1]], 1)).reshape(frames.shape[0], -1)


@dataclass(frozen=True)
class DenoiserShape:
    outer: int = 128
    middle: int = 192
    inner: int = 288
    embedding: int = 192


TICKS = (0.04, 0.16, 0.6, 2.4)
"""Seconds in which the marks of a beginning, and of an end, fade."""


def marks(length: int, shot: Tensor) -> Tensor:
    """(B, 9, 1, L): where a cell lies from the beginning and the end, scaled by `shot` (B,), which is 0 for ambiences.

    A ring has no place of its own; sounds that begin are told one. The last mark tells them from ambiences.
    """
    place = torch.arange(length).to(shot.dtype) * (CELL / RATE)
    left = place.flip(0)
    rows = [torch.exp(-each / tick) for each in (place, left) for tick in TICKS]
    return torch.stack([*rows, torch.ones_like(place)])[None, :, None] * shot[:, None, None, None]


class Denoiser(nn.Module):
    """The flow of latents: latent (B, LATENT, 1, L), time (B,) in [0, 1], condition (B, words) to noise - clean.

    `held` (B, 1 + LATENT, 1, L) is 1 where a part of a sound stays, and that part's latent; 0 where it is to be made. A U-Net
    of three scales adds to what `guess` says: of the flow, or with `few` of where its path ends, which few steps ask for. L is
    a multiple of 4; how long the sound is to be it reads off the latent.
    """

    def __init__(self, shape: DenoiserShape | None = None, few: bool = False) -> None:
        super().__init__()
        self.shape = shape = shape or DenoiserShape()
        self.few = few
        self.guess = Guess(LATENT)
        outer, middle, inner, e = shape.outer, shape.middle, shape.inner, shape.embedding
        self.register_buffer("frequency", torch.randn(e // 2) * 1.5)
        self.register_buffer("phase", torch.rand(e // 2) * 2 * math.pi)
        self.time = MPConv(e // 2, e, 0)
        self.duration = MPConv(4, e, 0)
        self.words = MPConv(len(WORDS), e, 0, constant=True)
        self.enter = Conv(2 * LATENT + 1 + 2 * len(TICKS) + 1, outer, 3, constant=True)
        self.down = nn.ModuleList(Block(outer, outer, e) for _ in range(2))
        self.shrink = Conv(outer * 2, middle, 1)
        self.down_middle = nn.ModuleList(Block(middle, middle, e) for _ in range(2))
        self.shrink_more = Conv(middle * 2, inner, 1)
        self.inner = nn.ModuleList(Block(inner, inner, e, 1 + i % 2) for i in range(4))
        self.grow_more = Conv(inner, middle * 2, 1)
        self.up_middle = nn.ModuleList(Block(middle * 2, middle, e) for _ in range(3))
        self.grow = Conv(middle, outer * 2, 1)
        self.up = nn.ModuleList(Block(outer * 2, outer, e) for _ in range(3))
        self.leave = Conv(outer, LATENT, 3)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, held: Tensor) -> Tensor:
        # No product stands beside a sum here: compilers make one rounding of the two or do not, as sizes are known or not.
        length = latent.shape[3]
        fourier = torch.cos(F.linear(time[:, None], 6.0 * self.frequency[:, None], self.phase)) * math.sqrt(2)
        told = mp_sum(self.time(fourier), self.duration(_seconds(length, time)), 0.3)
        words = self.words(condition) * math.sqrt(len(WORDS) / 3)
        embedding = mp_silu(mp_sum(told, words, 0.5))
        shares = torch.stack([time, 1 - time], 1)[:, :, None, None]
        x = latent * torch.rsqrt(shares.square().sum(1, keepdim=True))
        shot = condition[:, len(LOOPS) : len(LOOPS) + len(SHOTS)].sum(1)
        x = self.enter(torch.cat([x, held, marks(length, shot).to(x.dtype)], 1))
        kept = [x]
        for block in self.down:
            x = block(x, embedding)
            kept.append(x)
        x = self.shrink(halved(x))
        kept_middle = [x]
        for block in self.down_middle:
            x = block(x, embedding)
            kept_middle.append(x)
        x = self.shrink_more(halved(x))
        for block in self.inner:
            x = block(x, embedding)
        x = doubled(self.grow_more(x))
        for block in self.up_middle:
            x = block(mp_cat(x, kept_middle.pop()), embedding)
        x = doubled(self.grow(x))
        for block in self.up:
            x = block(mp_cat(x, kept.pop()), embedding)
        return self.leave(mp_silu(x), self.gain).float() + self._base(latent, time, condition, held)

    def _base(self, latent: Tensor, time: Tensor, condition: Tensor, held: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            if not self.few:
                return self.guess.flow(latent, time, condition, held)
            end = self.guess.end(latent, time, condition, held)
            return (latent - end) / time[:, None, None, None]


def _seconds(length: int, like: Tensor) -> Tensor:
    """The length (B, 4) as cosines and sines of its logarithm."""
    octave = torch.log2(torch.ones_like(like) * length)[:, None]
    angles = torch.cat([octave * 0.6, octave * 1.3], 1)
    return torch.cat([angles.cos(), angles.sin()], 1) * math.sqrt(2)


def halved(x: Tensor) -> Tensor:
    """Two neighbouring cells as one of twice the channels."""
    batch, channels, _, length = x.shape
    pairs = x.reshape(batch, channels, length // 2, 2).permute(0, 1, 3, 2)
    return pairs.reshape(batch, channels * 2, 1, length // 2)


def doubled(x: Tensor) -> Tensor:
    """The inverse of `halved`."""
    batch, channels, _, length = x.shape
    pairs = x.reshape(batch, channels // 2, 2, length).permute(0, 1, 3, 2)
    return pairs.reshape(batch, channels // 2, 1, length * 2)


def fold(model: nn.Module) -> nn.Module:
    return embedded.fold(model, Denoiser)
