"""Transformers that read text under a mask: Sana-Sprint on a flow, PixArt on a variance-preserving process."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import Flow, GuidanceEmbedding
from ...assets.refusal import Refusal
from .autoencoder import encoder_of
from .parts import Parts, Picture, factor, one_batch, sizes, whole
from .stable_diffusion import levels_of

SPRINT_GUIDANCE = 4.5
"""The strength that Sana-Sprint's network is told. [Chen et al., SANA-Sprint, 2025, https://arxiv.org/abs/2503.09641]"""
SPRINT_LENGTH = 300
PIXART_LENGTH = {"PixArtAlphaPipeline": 120, "PixArtSigmaPipeline": 300}
"""Tokens that the text encoder gives, by pipeline."""
MICRO = 128
"""Cells a side from which on PixArt is told the size of the picture."""


def sana_sprint(pipe: Any) -> Parts:
    """Gemma's states behind the instruction that the pipeline puts before a prompt; guidance is embedded.

    The authors' TrigFlow has x = cos(a) x0 + sin(a) noise. Divided by cos(a) + sin(a) this is the flow the network was
    trained on, t = sin(a) / (cos(a) + sin(a)), and their step (SCM) is the ping-pong step there, so a plain flow is exported.
    """
    transformer = pipe.transformer.config
    if not transformer.guidance_embeds:
        raise Refusal(
            "unsupported", "transformer", "does not embed guidance, as Sana-Sprint does", "export Sana-Sprint"
        )
    pipe.tokenizer.padding_side = "right"  # as the pipeline sets it before each prompt
    instruction = "\n".join(inspect.signature(type(pipe).__call__).parameters["complex_human_instruction"].default)
    length = len(pipe.tokenizer.encode(instruction)) + SPRINT_LENGTH - 2
    states = (SPRINT_LENGTH, pipe.text_encoder.config.hidden_size)
    return Parts(
        step=_SanaStep(pipe.transformer, states),
        decode=Picture(pipe.vae),
        encode_text=_Encoder(pipe.text_encoder, pipe.tokenizer.pad_token_id, SPRINT_LENGTH),
        tokenizers=[(pipe.tokenizer, length)],
        size=math.prod(states) + SPRINT_LENGTH,
        latent=sizes(transformer.in_channels, factor(pipe.vae), transformer.patch_size, transformer.sample_size),
        process=Flow(),
        prediction="flow",
        guidance=GuidanceEmbedding(1, SPRINT_GUIDANCE, scale=transformer.guidance_embeds_scale),
        names=("prompt_embeds", "prompt_attention_mask"),
        call={"guidance_scale": SPRINT_GUIDANCE, "use_resolution_binning": False},
        prepare=lambda fast: lowered(fast, instruction),
    )


def pixart(pipe: Any) -> Parts:
    """T5's states. Chen et al., PixArt-alpha, 2023, https://arxiv.org/abs/2310.00426; PixArt-Sigma, 2024,
    https://arxiv.org/abs/2403.04692
    """
    transformer = pipe.transformer.config
    length = PIXART_LENGTH[type(pipe).__name__]
    states = (length, pipe.text_encoder.config.d_model)
    tells_size = transformer.sample_size == MICRO and type(pipe).__name__ == "PixArtAlphaPipeline"
    return Parts(
        step=_PixArtStep(pipe.transformer, states, factor(pipe.vae) if tells_size else 0),
        decode=Picture(pipe.vae),
        encode=encoder_of(pipe.vae),
        encode_text=_Encoder(pipe.text_encoder, pipe.tokenizer.pad_token_id, length),
        tokenizers=[(pipe.tokenizer, length)],
        size=math.prod(states) + length,
        latent=sizes(transformer.in_channels, factor(pipe.vae), transformer.patch_size, transformer.sample_size),
        **levels_of(pipe.scheduler),
        names=("prompt_embeds", "prompt_attention_mask"),
        call={"use_resolution_binning": False},
        prepare=lowered,
    )


class _Masked(nn.Module):
    """A condition that is states (B, T, D), then their mask (B, T) of zeros and ones."""

    def __init__(self, transformer: nn.Module, states: tuple[int, int]) -> None:
        super().__init__()
        self.transformer, self.states = transformer, states

    def split(self, condition: Tensor) -> dict[str, Tensor]:
        states, mask = condition.split([math.prod(self.states), self.states[0]], 1)
        return {"encoder_hidden_states": states.reshape(-1, *self.states), "encoder_attention_mask": mask}


class _SanaStep(_Masked):
    """The last number of the condition is the strength of guidance, which the network embeds itself."""

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        one_batch(latent, time, condition)
        guidance, given = condition[:, -1], self.split(condition[:, :-1])
        raw: Tensor = self.transformer(latent, timestep=time, guidance=guidance, return_dict=False, **given)[0]
        return raw


class _PixArtStep(_Masked):
    """The second half of the answer, a learned variance, is left out. `factor` 0 is for models that are not told sizes."""

    def __init__(self, transformer: nn.Module, states: tuple[int, int], factor: int) -> None:
        own = copy.copy(transformer)  # the pipeline keeps its own embedding of places, which does not trace
        own._modules = dict(transformer._modules)
        own.pos_embed = _Patches(transformer.pos_embed)
        own.proj_out = _Rows(transformer.proj_out)
        super().__init__(own, states)
        self.factor = factor

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        one_batch(latent, time, condition)
        added: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if self.factor:
            height, width = (torch.ones_like(time) * (side * self.factor) for side in latent.shape[2:])
            added = {"resolution": torch.stack([height, width], 1), "aspect_ratio": (height / width)[:, None]}
        raw: Tensor = self.transformer(
            latent, timestep=time, added_cond_kwargs=added, return_dict=False, **self.split(condition)
        )[0]
        return raw[:, : latent.shape[1]]


class _Rows(nn.Module):
    """(B, 1, N, D): the transformer squeezes axis 1 next, which torch leaves alone where it is no 1 and ONNX refuses."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[:, None]


class _Patches(nn.Module):
    """Tokens (B, rows columns, D) of a latent, with the sines and cosines of their places: diffusers' PatchEmbed for any size.

    As there, columns come first, and places are scaled to the size that the model was trained at.
    """

    def __init__(self, patches: nn.Module) -> None:
        super().__init__()
        self.proj = patches.proj
        self.base, self.scale = float(patches.base_size), float(patches.interpolation_scale)

    def forward(self, latent: Tensor) -> Tensor:
        x = self.proj(latent)
        batch, width, rows, columns = x.shape
        across, down = self._waves(columns, width // 2), self._waves(rows, width // 2)
        places = [across[None].expand(rows, columns, -1), down[:, None].expand(rows, columns, -1)]
        return x.permute(0, 2, 3, 1).add(torch.cat(places, 2)[None]).reshape(batch, rows * columns, width)

    def _waves(self, count: int, width: int) -> Tensor:
        """(count, width): sines, then cosines."""
        place = torch.arange(count, dtype=torch.float32) * (self.base / self.scale) / count
        frequency = 1.0 / 10000.0 ** (torch.arange(width // 2, dtype=torch.float64) / (width // 2))
        angles = place[:, None] * frequency.to(torch.float32)[None]
        return torch.cat([angles.sin(), angles.cos()], 1)


class _Encoder(nn.Module):
    """States and mask of the first token and of the last ones, `length` together."""

    def __init__(self, encoder: nn.Module, pad: int, length: int) -> None:
        super().__init__()
        self.encoder, self.pad, self.length = encoder, pad, length

    def forward(self, tokens: Tensor) -> Tensor:
        numbers = whole(tokens)
        mask = (numbers != self.pad).to(torch.int64)
        states = self.encoder(numbers, attention_mask=mask)[0]
        if tokens.shape[1] > self.length:
            states, mask = (torch.cat([t[:, :1], t[:, 1 - self.length :]], 1) for t in (states, mask))
        return torch.cat([states.flatten(1), mask.to(states.dtype)], 1)


def lowered(fast: Any, before: str = "") -> None:
    """Makes a tokenizer strip a prompt, write it small and put a text before it, as the pipelines do in Python."""
    from tokenizers import normalizers

    own = [fast.normalizer] if fast.normalizer is not None else []
    first = [normalizers.Strip(), normalizers.Lowercase(), *([normalizers.Prepend(before)] if before else [])]
    fast.normalizer = normalizers.Sequence([*first, *own])
