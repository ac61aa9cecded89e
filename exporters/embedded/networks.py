"""The embedded texture networks: an autoencoder and a denoiser of magnitude-preserving circular convolutions.

No normalisation runs in them: weights of each output are divided by their norm (folded in at export), and every sum and
activation keeps unit variance, so that an exact integer form stays possible. After Karras, Aittala, Lehtinen, Hellsten,
Aila, Laine, "Analyzing and improving the training dynamics of diffusion models" (EDM2), 2023,
https://arxiv.org/abs/2312.02696. Convolutions on a torus make every texture seamless at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAPS = 6
FACTOR = 8
"""Pixels a latent cell."""
ROUNDS = 2
"""Of two conditions in turn: unit norm, and alike in what is even. Each spoils the other a little."""
BINOMIAL = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]


def wrap(x: Tensor, by: int) -> Tensor:
    """Circular padding of (B, C, h, w) as slices and concatenations: OpenVINO reads no ONNX Pad in mode wrap."""
    x = torch.cat([x[:, :, -by:], x, x[:, :, :by]], 2)
    return torch.cat([x[:, :, :, -by:], x, x[:, :, :, :by]], 3)


def mp_silu(x: Tensor) -> Tensor:
    return F.silu(x) / 0.596


def mp_sum(a: Tensor, b: Tensor, share: float) -> Tensor:
    return (a * (1 - share) + b * share) * (1 / math.sqrt((1 - share) ** 2 + share**2))


def mp_cat(a: Tensor, b: Tensor) -> Tensor:
    """Channels of both, weighted so that each half keeps its share of the variance."""
    n, m = a.shape[1], b.shape[1]
    scale = math.sqrt((n + m) / 2)
    return torch.cat([a * (scale / math.sqrt(n)), b * (scale / math.sqrt(m))], 1)


class MPConv(nn.Module):
    """A convolution (or with `kernel` 0 a linear layer) whose weights have unit norm an output; circular.

    With `constant` it sees one more channel, of ones, which serves as its bias: EDM2 has no other.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1, constant: bool = False) -> None:
        super().__init__()
        self.kernel, self.dilation, self.constant = kernel, dilation, constant
        space = () if kernel == 0 else (kernel, kernel)
        self.weight = nn.Parameter(torch.randn(outputs, inputs + constant, *space))
        self.register_parameter("bias", None)
        self.folded = False

    def forward(self, x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        weight = self.weight
        if not self.folded:
            weight = (self.normal() * gain).to(x.dtype)
            if self.constant:
                x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        if self.kernel == 0:
            return F.linear(x, weight, self.bias)
        if self.kernel > 1:
            x = self.wrap(x, self.kernel // 2 * self.dilation)
        return F.conv2d(x, weight, self.bias, dilation=self.dilation)

    def wrap(self, x: Tensor, by: int) -> Tensor:
        return wrap(x, by)

    def normal(self) -> Tensor:
        dims = tuple(range(1, self.weight.ndim))
        return self.weight * torch.rsqrt(self.weight.float().square().sum(dims, keepdim=True) + 1e-8)

    def fold(self, gain: Tensor | float = 1.0) -> None:
        """Keeps the weights as they act, gain included, in place of the raw ones; for inference only."""
        weight = (self.normal() * gain).detach()
        if self.constant:
            self.bias = nn.Parameter(weight[:, -1:].flatten(1).sum(1))
            weight = weight[:, :-1].contiguous()
        self.weight = nn.Parameter(weight)
        self.folded = True

    def renormalise(self) -> None:
        """Forced weight normalisation (EDM2, section 2.3): keeps raw weights at the norm where their learning rate means it."""
        with torch.no_grad():
            self.weight.copy_(self.normal() * math.sqrt(self.weight[0].numel()))


class Shuffled(MPConv):
    """A convolution whose outputs are the 2 x 2 pixels of each map, in a row, as `pixel_shuffle` takes them.

    What is even all four answer alike: any difference between their sums of weights would lie over every map as a pattern of
    single pixels, and a loss that compares steps between pixels is glad of one, which hides those between cells.
    """

    def renormalise(self) -> None:
        with torch.no_grad():
            for _ in range(ROUNDS):
                super().renormalise()
                pixels = self.weight.unflatten(0, (-1, 4))
                sums = pixels.mean((3, 4), keepdim=True)
                self.weight.copy_((pixels - sums + sums.mean(1, keepdim=True)).flatten(0, 1))


class Block(nn.Module):
    """Two convolutions of width 3 beside an identity; `embedding` channels modulate between them where there are any."""

    convolution: type[MPConv] = MPConv
    """What it is made of: over a torus here, over a ring in the sounds' blocks."""

    def __init__(self, inputs: int, outputs: int, embedding: int = 0, dilation: int = 1) -> None:
        super().__init__()
        self.enter = self.convolution(inputs, outputs, 1) if inputs != outputs else None
        self.first = self.convolution(outputs, outputs, 3)
        self.second = self.convolution(outputs, outputs, 3, dilation)
        self.modulate = MPConv(embedding, outputs, 0) if embedding else None
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, embedding: Tensor | None = None, grow: bool = False) -> Tensor:
        """With `grow` at twice the size; the first convolution sees one place only, so it goes before the up-sampling."""
        if self.enter is not None:
            x = self.enter(x)
        if grow:
            x = up(x)
        y = self.first(mp_silu(x))
        if self.modulate is not None and embedding is not None:
            y = y * (self.modulate(embedding, self.strength) + 1)[:, :, None, None].to(y.dtype)
        return mp_sum(x, self.second(mp_silu(y)), 0.3)


def up(x: Tensor) -> Tensor:
    """Each cell as 2 x 2 of itself.

    In training without `interpolate`: compiled for a processor in bfloat16 its gradient is 0 (torch 2.13), in silence.
    """
    if not torch.is_grad_enabled():
        return F.interpolate(x, scale_factor=2, mode="nearest")
    batch, channels, height, width = x.shape
    repeated = x[:, :, :, None, :, None].expand(batch, channels, height, 2, width, 2)
    return repeated.reshape(batch, channels, 2 * height, 2 * width)


def apart(x: Tensor) -> Tensor:
    """The features themselves, through a convolution of ones: for a product beside a sum in an exported graph.

    OpenVINO makes one pass of products, sums and activations in a row, and how many it takes together follows from whether
    sizes are known; what it takes together it rounds once, in float32 (one rounding of a * b + c) and in bfloat16.
    """
    channels = x.shape[1]
    return F.conv2d(x, torch.ones(channels, 1, 1, 1), groups=channels)


@dataclass(frozen=True)
class AutoencoderShape:
    latent: int = 8
    encoder: tuple[int, ...] = (64, 128)
    decoder: tuple[int, ...] = (128, 80, 40)
    blocks: tuple[int, ...] = (2, 3, 3)


class Encoder(nn.Module):
    """Maps (B, 6, H, W) in [0, 1] and known (B,), 1 where the data maps are given and 0 where only albedo is, to latents.

    Latents are (B, C, H/8, W/8) of about unit variance. Where the data maps are not given they are hidden, and the
    decoder's are a guess from the albedo: so colour textures teach the same latent space.
    """

    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        fine, coarse = shape.encoder
        self.enter = MPConv((MAPS + 2) * 16, fine, 1)  # maps, whether they are given, and ones
        self.fine = nn.ModuleList(Block(fine, fine) for _ in range(2))
        self.shrink = MPConv(fine * 4, coarse, 1)
        self.coarse = nn.ModuleList(Block(coarse, coarse) for _ in range(3))
        self.leave = MPConv(coarse, shape.latent, 1)
        self.register_buffer("mean", torch.zeros(shape.latent))
        self.register_buffer("deviation", torch.ones(shape.latent))

    def forward(self, maps: Tensor, known: Tensor) -> Tensor:
        known = known[:, None, None, None].to(maps.dtype)
        x = (maps - 0.5) * 3.0
        x = torch.cat([x[:, :3], x[:, 3:] * known, known.expand_as(x[:, :1]), torch.ones_like(x[:, :1])], 1)
        x = self.enter(F.pixel_unshuffle(x, 4))
        for block in self.fine:
            x = block(x)
        x = self.shrink(F.pixel_unshuffle(x, 2))
        for block in self.coarse:
            x = block(x)
        x = self.leave(x)
        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]


GRAIN = 4
"""Channels of the decoder's noise: with two pixels a cell that is one number for each pixel."""
GRAIN_FACTOR = 2
"""Pixels a cell of the decoder's noise."""


def draw_grain(count: int, height: int, width: int) -> Tensor:
    """Fresh noise for the decoder of maps of this size: even, of unit variance, as the runtime draws it."""
    return (torch.rand(count, GRAIN, height // GRAIN_FACTOR, width // GRAIN_FACTOR) - 0.5) * 12**0.5


LAST = 0.1
"""Of the last gain and bias. The optimiser's steps are the same for every parameter, and gains that small would jump about."""


class Sharpen(nn.Module):
    """Maps (B, 6, h, w) with their finest detail raised, by unsharp masks of 3 and of 5 pixels; each map has shares of its own.

    It acts in use only: a decoder that trains behind it would learn to answer softer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fine", torch.zeros(MAPS))
        self.register_buffer("broad", torch.zeros(MAPS))
        rows = ([0.0, 0, 1, 0, 0], [0, 0.25, 0.5, 0.25, 0], BINOMIAL)
        place, narrow, wide = (torch.outer(row, row) for row in map(torch.tensor, rows))
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("masks", torch.stack([place - narrow, place - wide]), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        if self.training:
            return maps
        shares = torch.stack([self.fine, self.broad], 1)
        kernels = self.place + (shares[:, :, None, None] * self.masks).sum(1)
        return F.conv2d(wrap(maps, 2), kernels[:, None].to(maps.dtype), groups=MAPS)


class Decoder(nn.Module):
    """Latents (B, C, h, w) and noise (B, 4, 4 h, 4 w) to maps (B, 6, 8 h, 8 w), linear around [0, 1]; clip before use.

    A latent says where a joint runs and how coarse a grain is; no latent of this size says where each grain lies. A decoder
    without noise answers with their mean, a blur. After Karras, Laine, Aila, "A style-based generator architecture", 2018,
    https://arxiv.org/abs/1812.04948, section 3.2.
    """

    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        coarse, middle, fine = shape.decoder
        self.enter = MPConv(shape.latent, coarse, 3, constant=True)
        self.coarse = nn.ModuleList(Block(coarse, coarse) for _ in range(shape.blocks[0]))
        self.middle = nn.ModuleList(Block(coarse if i == 0 else middle, middle) for i in range(shape.blocks[1]))
        self.fine = nn.ModuleList(Block(middle if i == 0 else fine, fine) for i in range(shape.blocks[2]))
        self.grain = MPConv(GRAIN, fine, 1)
        self.gate = MPConv(fine, fine, 1)
        self.leave = Shuffled(fine, MAPS * 4, 3)
        self.sharpen = Sharpen()
        self.gain = nn.Parameter(torch.full((MAPS, 1, 1), 0.25 / LAST))
        self.bias = nn.Parameter(torch.full((MAPS, 1, 1), 0.5 / LAST))
        self.register_buffer("mean", torch.zeros(shape.latent))
        self.register_buffer("deviation", torch.ones(shape.latent))

    def forward(self, latent: Tensor, noise: Tensor) -> Tensor:
        x = latent * self.deviation[:, None, None] + self.mean[:, None, None]
        x = self.enter(x)
        for block in self.coarse:
            x = block(x)
        for number, block in enumerate(self.middle):
            x = block(x, grow=number == 0)
        for number, block in enumerate(self.fine):
            x = block(x, grow=number == 0)
            if number == 0:
                grain = self.gate(x) * self.grain(noise)
                x = mp_sum(x, apart(grain) if torch.compiler.is_exporting() else grain, 0.3)
        maps = self.sharpen(F.pixel_shuffle(self.leave(mp_silu(x)), 2))
        return maps.float() * (self.gain * LAST) + self.bias * LAST


class Autoencoder(nn.Module):
    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder, self.decoder = Encoder(shape), Decoder(shape)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Makes the latents of data zero-mean and unit-variance a channel; decoding undoes it."""
        for part in (self.encoder, self.decoder):
            part.mean.copy_(mean)
            part.deviation.copy_(deviation)


@dataclass(frozen=True)
class DenoiserShape:
    latent: int = 8
    words: int = 44
    wide: tuple[int, int] = (96, 176)
    embedding: int = 192
    blocks: int = 2
    inner: int = 4


def loudness(shape: DenoiserShape) -> float:
    """Brings the embedding of words, of which about three are not 0, to about unit variance."""
    return math.sqrt(shape.words / 4)


class Denoiser(nn.Module):
    """The flow of latents: latent (B, C, h, w), time (B,) in [0, 1], condition (B, words) to noise - clean.

    A U-Net of two scales; the inner blocks are dilated, so that a layout is agreed on across the whole torus.
    """

    def __init__(self, shape: DenoiserShape) -> None:
        super().__init__()
        self.shape = shape
        outer, inner = shape.wide
        self.register_buffer("frequency", torch.randn(shape.embedding // 2) * 1.5)
        self.register_buffer("phase", torch.rand(shape.embedding // 2) * 2 * math.pi)
        self.time = MPConv(shape.embedding // 2, shape.embedding, 0)
        self.words = MPConv(shape.words, shape.embedding, 0, constant=True)
        self.enter = MPConv(shape.latent, outer, 3, constant=True)
        e = shape.embedding
        self.down = nn.ModuleList(Block(outer, outer, e) for _ in range(shape.blocks))
        self.shrink = MPConv(outer * 4, inner, 1)
        self.inner = nn.ModuleList(Block(inner, inner, e, 1 + i % 2) for i in range(shape.inner))
        self.grow = MPConv(inner, outer * 4, 1)
        self.up = nn.ModuleList(Block(outer * 2, outer, e) for _ in range(shape.blocks + 1))
        self.leave = MPConv(outer, shape.latent, 3)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        embedding, kept, x = self.read(latent, time, condition)
        x = F.pixel_shuffle(self.grow(x), 2)
        for block in self.up:
            x = block(mp_cat(x, kept.pop()), embedding)
        return self.leave(mp_silu(x), self.gain).float()

    def read(self, latent: Tensor, time: Tensor, condition: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """The first half: embedding (B, E), the features (B, outer, h, w) that are kept and the inner (B, inner, h/2, w/2)."""
        # No product stands beside a sum here: compilers make one rounding of the two or do not, as sizes are known or not.
        fourier = torch.cos(F.linear(time[:, None], 6.0 * self.frequency[:, None], self.phase)) * math.sqrt(2)
        embedding = mp_silu(mp_sum(self.time(fourier), self.words(condition) * loudness(self.shape), 0.5))
        shares = torch.stack([time, 1 - time], 1)[:, :, None, None]
        x = latent * torch.rsqrt(shares.square().sum(1, keepdim=True))
        x = self.enter(x)
        kept = [x]
        for block in self.down:
            x = block(x, embedding)
            kept.append(x)
        x = self.shrink(F.pixel_unshuffle(x, 2))
        for block in self.inner:
            x = block(x, embedding)
        return embedding, kept, x


def renormalise(model: nn.Module) -> None:
    """After each step of the optimiser; what does not train stays as it is."""
    for module in model.modules():
        if isinstance(module, MPConv) and module.weight.requires_grad:
            module.renormalise()


def fold(model: nn.Module, denoiser: type[nn.Module] = Denoiser) -> nn.Module:
    """The model with its weights as they act, in place; for export. Parameters keep their names in the graph."""
    gains = {id(m.modulate): m.strength for m in model.modules() if isinstance(m, Block)}
    gains |= {id(m.leave): m.gain for m in model.modules() if isinstance(m, denoiser)}
    for module in model.modules():
        if isinstance(module, MPConv) and not module.folded:
            module.fold(gains.get(id(module), 1.0))
    return model.eval()
