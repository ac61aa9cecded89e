"""What an architecture gives to be exported: a step, a decoder and a text encoder over one flat condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...assets.guidance import embedding
from ...assets.inputs import Input
from ...assets.manifest import Flow, GuidanceEmbedding, Latent, Samples, Sheet, Ve, Vp
from ...assets.refusal import Refusal
from .beside import Array, Example

Spread = tuple[Tensor, Tensor]
"""Mean and deviation (1, C, 1, 1) of an autoencoder's latents; the denoiser's have deviation `scaling_factor`."""


def _same(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Parts:
    """Modules with the bundle's contracts, float32.

    step         raw (B, C, h, w) from latent (B, C, h, w), time (B,), condition (B, K + what `guidance` adds), and `inputs`
    decode       colours (B, 3, H, W) in [0, 1] from latent (B, C, h, w)
    encode       latent from colours (B, 3, H, W) in [0, 1], where there is one
    encode_text  condition (B, K) from tokens (B, T), which are whole numbers in float32
    tokenizers   of the `transformers` library, each with the length it pads to, in the order of T
    size         K
    empty        what stands for no negative prompt
    inputs       what else the step reads, in the order of its arguments
    materials    guess height and roughness from the colours; else the surface is flat
    samples, sheet   how a sound or a flipbook is played
    guidance     numbers that come behind the condition, where the network is told a strength of guidance

    What follows tells diffusers' own pipeline to do the same:
    names        arguments of its call that the condition is made of, in the order of the first results of encode_prompt
    call         further arguments of its call
    given, made  its latents from ours and ours from its, where they are laid out differently
    seen         our model input from what its network is given; None where that is scaled
    example      what its step reads of `inputs`, and arguments of the call that say the same
    prepare      changes a tokenizer of the `tokenizers` library as the pipeline treats a prompt
    """

    step: nn.Module
    decode: nn.Module
    encode_text: nn.Module
    tokenizers: Sequence[tuple[Any, int]]
    size: int
    latent: Latent
    process: Vp | Flow | Ve
    prediction: str
    empty: Literal["encoded", "zeros"] = "encoded"
    guidance: GuidanceEmbedding | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["texture", "sound", "flipbook"] = "texture"
    samples: Samples | None = None
    sheet: Sheet | None = None
    materials: bool = True
    frames: int = 1
    names: tuple[str, ...] = ("prompt_embeds",)
    call: Mapping[str, Any] = field(default_factory=dict)
    given: Callable[[Tensor], Tensor] = _same
    made: Callable[[Tensor], Tensor] = _same
    seen: Callable[[Tensor], Tensor] | None = _same
    prepare: Callable[[Any], None] | None = None
    encode: nn.Module | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    example: Example | None = None

    @property
    def tokens(self) -> int:
        return sum(length for _, length in self.tokenizers)

    @property
    def told(self) -> Tensor:
        """(1, W): what comes behind a condition at the default strength of guidance; W is 0 where the network is told none."""
        if self.guidance is None:
            return torch.zeros(1, 0)
        return torch.from_numpy(embedding(self.guidance.default, self.guidance))[None]

    def beside(self, shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
        """As `example`; nothing where the step reads no more."""
        return ({}, {}) if self.example is None else self.example(shape)

    @property
    def parameters(self) -> dict[str, int]:
        """Numbers in the weights of each part."""
        parts = {"step": self.step, "decode": self.decode, "encode_text": self.encode_text}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}

    @property
    def graphs(self) -> list[str]:
        """Names of the graphs of a bundle."""
        return ["step", "loop", "decode", "encode_text", *(["encode_image"] if self.encode is not None else [])]


class Picture(nn.Module):
    """An AutoencoderKL's decoder, from the latents that the denoiser makes to colours in [0, 1]."""

    def __init__(self, vae: nn.Module, spread: Spread | None = None) -> None:
        super().__init__()
        self.vae = vae
        self.scale = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)
        for name, numbers in zip(("mean", "deviation"), spread or (None, None), strict=True):
            self.register_buffer(name, numbers)

    def forward(self, latent: Tensor) -> Tensor:
        if self.mean is not None:
            own = latent * self.deviation / self.scale + self.mean
        else:
            own = latent / self.scale + self.shift
        image = self.vae.decode(own, return_dict=False)[0]
        return (image / 2 + 0.5).clamp(0.0, 1.0)


def whole(tokens: Tensor) -> Tensor:
    return tokens.round().to(torch.int64)


def one_batch(latent: Tensor, *others: Tensor) -> None:
    """Tells the tracer that all have the latent's batch; else it may take a reshape for one that mixes samples."""
    for other in others:
        torch._check(other.shape[0] == latent.shape[0])


def factor(vae: nn.Module) -> int:
    """Pixels a latent cell."""
    stages = getattr(vae.config, "block_out_channels", None) or vae.config.encoder_block_out_channels
    return 2 ** (len(stages) - 1)


def spread_of(vae: nn.Module) -> Spread | None:
    """What an autoencoder's config says of its latents; None where it does not say both. Only SDXL's pipelines read it."""
    said = {name: getattr(vae.config, name, None) for name in ("latents_mean", "latents_std")}
    channels, made = vae.config.latent_channels, []
    for name, numbers in said.items():
        if numbers is None:
            return None
        if len(numbers) != channels:
            sentence = f"has {len(numbers)} numbers where latents have {channels} channels"
            raise Refusal("contradiction", f"vae.{name}", sentence, "give one number a channel")
        made.append(torch.tensor(numbers, dtype=torch.float32).view(1, -1, 1, 1))
    return made[0], made[1]


def sizes(channels: int, factor: int, cells: int, side: int | Sequence[int]) -> Latent:
    """A latent whose sides are multiples of `cells`, up to twice the `side` (cells) that the model was trained at, or the
    longer of two sides."""
    multiple = factor * cells
    side = side if isinstance(side, int) else max(side)
    return Latent(
        channels=channels,
        factor=factor,
        minimum=max(multiple, 64 // multiple * multiple),
        maximum=max(2 * side, cells) * factor,
        multiple=multiple,
    )
