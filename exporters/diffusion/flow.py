"""Stable Diffusion 3 and Flux: transformers on a flow."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...assets.manifest import Flow
from ...assets.refusal import Refusal
from .autoencoder import encoder_of
from .parts import Parts, Picture, factor, sizes, whole

TEXT_LENGTH = 256
"""T5 tokens that a bundle reads: SD3's default, and the most that FLUX.1-schnell was trained with."""
TIMESTEPS = 1000.0


def stable_diffusion_3(pipe: Any) -> Parts:
    """Two CLIP encoders side by side, padded to T5's width, then T5's states (zeros where there is none); both pooled.

    Esser et al., "Scaling rectified flow transformers", 2024, https://arxiv.org/abs/2403.03206
    """
    transformer = pipe.transformer.config
    length, width = pipe.tokenizer_max_length, transformer.joint_attention_dim
    tokenizers = [(pipe.tokenizer, length), (pipe.tokenizer_2, length)]
    if pipe.text_encoder_3 is not None:
        tokenizers.append((pipe.tokenizer_3, TEXT_LENGTH))
    states = (length + TEXT_LENGTH, width)
    pooled = transformer.pooled_projection_dim
    return Parts(
        step=_Step3(pipe.transformer, states, pooled),
        decode=Picture(pipe.vae),
        encode=encoder_of(pipe.vae),
        encode_text=_Encoder3(pipe.text_encoder, pipe.text_encoder_2, pipe.text_encoder_3, length, width),
        tokenizers=tokenizers,
        size=math.prod(states) + pooled,
        latent=sizes(transformer.in_channels, factor(pipe.vae), transformer.patch_size, transformer.sample_size),
        process=Flow(shift=float(pipe.scheduler.config.shift)),
        prediction="flow",
        names=("prompt_embeds", "pooled_prompt_embeds"),
    )


def flux(pipe: Any) -> Parts:
    """CLIP's pooled embedding and T5's states. FLUX.1-schnell; models that embed guidance are refused.

    Black Forest Labs, FLUX.1, 2024, https://huggingface.co/black-forest-labs/FLUX.1-schnell
    """
    transformer = pipe.transformer.config
    if transformer.guidance_embeds:
        raise Refusal("unsupported", "transformer", "embeds guidance, as FLUX.1-dev does", "export FLUX.1-schnell")
    states, pooled = (TEXT_LENGTH, transformer.joint_attention_dim), transformer.pooled_projection_dim
    return Parts(
        step=_StepFlux(pipe.transformer, states, pooled),
        decode=Picture(pipe.vae),
        encode=encoder_of(pipe.vae),
        encode_text=_EncoderFlux(pipe.text_encoder, pipe.text_encoder_2, pipe.tokenizer_max_length),
        tokenizers=[(pipe.tokenizer, pipe.tokenizer_max_length), (pipe.tokenizer_2, TEXT_LENGTH)],
        size=math.prod(states) + pooled,
        latent=sizes(transformer.in_channels // 4, factor(pipe.vae), 2, pipe.default_sample_size),
        process=Flow(shift=float(pipe.scheduler.config.shift)),
        prediction="flow",
        names=("prompt_embeds", "pooled_prompt_embeds"),
        given=packed,
        made=lambda tokens: unpacked(tokens, *_square(tokens)),
        seen=lambda tokens: unpacked(tokens, *_square(tokens)),
    )


def packed(latent: Tensor) -> Tensor:
    """Tokens (B, h / 2 w / 2, 4 C) of 2 x 2 cells from a latent (B, C, h, w)."""
    batch, channels, height, width = latent.shape
    rows, columns = height // 2, width // 2
    cells = latent.reshape(batch, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(batch, rows * columns, channels * 4)


def unpacked(tokens: Tensor, rows: int, columns: int) -> Tensor:
    batch, _, channels = tokens.shape
    cells = tokens.reshape(batch, rows, columns, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return cells.reshape(batch, channels // 4, 2 * rows, 2 * columns)


def _square(tokens: Tensor) -> tuple[int, int]:
    side = math.isqrt(tokens.shape[1])
    return side, side


class _Joint(nn.Module):
    """A transformer over states (B, T, D) and a pooled embedding (B, P), which stand in the condition in this order."""

    def __init__(self, transformer: nn.Module, states: tuple[int, int], pooled: int) -> None:
        super().__init__()
        self.transformer, self.states, self.pooled = transformer, states, pooled

    def split(self, condition: Tensor) -> dict[str, Tensor]:
        states, pooled = condition.split([math.prod(self.states), self.pooled], 1)
        return {"encoder_hidden_states": states.reshape(-1, *self.states), "pooled_projections": pooled}


class _Step3(_Joint):
    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        given = self.split(condition)
        raw: Tensor = self.transformer(latent, timestep=time * TIMESTEPS, return_dict=False, **given)[0]
        return raw


class _StepFlux(_Joint):
    """Latents are packed, 2 x 2 cells a token, and unpacked; positions are (0, row, column)."""

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        height, width = latent.shape[2:]
        rows, columns = height // 2, width // 2
        row = torch.arange(rows, dtype=torch.float32)[:, None].expand(rows, columns)
        column = torch.arange(columns, dtype=torch.float32)[None].expand(rows, columns)
        ids = torch.stack([torch.zeros_like(row), row, column], 2).reshape(rows * columns, 3)
        raw = self.transformer(
            packed(latent), timestep=time, img_ids=ids, txt_ids=torch.zeros(self.states[0], 3), return_dict=False,
            **self.split(condition),
        )[0]  # fmt: skip
        return unpacked(raw, rows, columns)


class _Encoder3(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module, third: nn.Module | None, length: int, width: int) -> None:
        super().__init__()
        self.first, self.second, self.third = first, second, third
        self.length, self.width = length, width

    def forward(self, tokens: Tensor) -> Tensor:
        parts = whole(tokens).split([self.length, self.length, *([TEXT_LENGTH] if self.third is not None else [])], 1)
        one, two = (
            encoder(part, output_hidden_states=True)
            for encoder, part in zip((self.first, self.second), parts, strict=False)
        )
        clip = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], 2)
        clip = F.pad(clip, (0, self.width - clip.shape[2]))
        if self.third is not None:
            text = self.third(parts[2])[0]
        else:
            text = clip.new_zeros(clip.shape[0], TEXT_LENGTH, self.width)
        return torch.cat([clip.flatten(1), text.flatten(1), one[0], two[0]], 1)


class _EncoderFlux(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module, length: int) -> None:
        super().__init__()
        self.first, self.second, self.length = first, second, length

    def forward(self, tokens: Tensor) -> Tensor:
        one, two = whole(tokens).split([self.length, TEXT_LENGTH], 1)
        return torch.cat([self.second(two)[0].flatten(1), self.first(one).pooler_output], 1)
