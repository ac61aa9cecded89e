"""Stable Audio 3: a distilled flow over a one-dimensional latent, exported as a field one cell high."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import Flow, Latent, Samples
from ...assets.refusal import Refusal
from .parts import Parts, one_batch, whole

LENGTH = 256
"""T5Gemma's tokens that the pipeline reads at most."""


def stable_audio_3(pipe: Any) -> Parts:
    """T5Gemma's states under their mask; seconds follow from the latent's length, as one token more and for every block.

    Stability AI, "Stable Audio 3", 2026, https://arxiv.org/abs/2605.17991. The distilled model is run by its ping-pong sampler;
    the base model, 100 Euler steps under guidance, is refused.
    """
    vae, seconds, scheduler = pipe.vae, pipe.duration_embedder, pipe.scheduler.config
    if not scheduler.get("stochastic_sampling"):
        sentence = "draws no noise at its steps, as the base model's, which was not distilled"
        raise Refusal("unsupported", "scheduler", sentence, "export the distilled model")
    length = min(pipe.tokenizer.model_max_length, LENGTH)
    states = (length, int(pipe.transformer.config.cond_token_dim))
    rate, hop = int(vae.config.sampling_rate), int(vae.downsampling_ratio)
    longest = int(seconds.config.max_val * rate) // hop
    return Parts(
        step=_Step(pipe.transformer, seconds, states, hop / rate),
        decode=_Sound(vae),
        encode_text=_Encoder(pipe.text_encoder, pipe.tokenizer.pad_token_id),
        tokenizers=[(pipe.tokenizer, length)],
        size=math.prod(states) + length,
        latent=Latent(
            channels=int(vae.config.latent_dim), factor=hop, minimum=hop, maximum=longest * hop, multiple=hop
        ),
        process=Flow(),
        prediction="flow",
        notes={"sound_channels": vae.config.audio_channels},
        kind="sound",
        samples=Samples(rate),
        names=("prompt_embeds", "encoder_attention_mask"),
        given=lambda latent: latent[:, :, 0],
        made=lambda latent: latent[:, :, None],
        seen=lambda latent: latent[:, :, None],
        call={"duration": longest * hop / rate},
    )


class _Step(nn.Module):
    """The flow (B, C, 1, L) at time t in [0, 1]; `cell` is seconds a cell. The condition is states, then their mask."""

    def __init__(self, transformer: nn.Module, seconds: nn.Module, states: tuple[int, int], cell: float) -> None:
        super().__init__()
        self.transformer, self.seconds, self.states, self.cell = transformer, seconds, states, cell

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        one_batch(latent, time, condition)
        states, mask = condition.split([math.prod(self.states), self.states[0]], 1)
        lasting = self.seconds(torch.ones_like(time) * (latent.shape[3] * self.cell))
        raw: Tensor = self.transformer(
            latent[:, :, 0],
            time,
            encoder_hidden_states=torch.cat([states.reshape(-1, *self.states), lasting[:, None]], 1),
            global_hidden_states=lasting,
            encoder_attention_mask=torch.cat([mask, torch.ones_like(mask[:, :1])], 1),
            return_dict=False,
        )[0]
        return raw[:, :, None]


class _Sound(nn.Module):
    """Samples (B, channels, 1, length) from -1 to 1."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent[:, :, 0]).sample[:, :, None].clamp(-1.0, 1.0)


class _Encoder(nn.Module):
    def __init__(self, encoder: nn.Module, pad: int) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad

    def forward(self, tokens: Tensor) -> Tensor:
        numbers = whole(tokens)
        mask = (numbers != self.pad).to(torch.int64)
        states = self.encoder(numbers, attention_mask=mask)[0]
        return torch.cat([states.flatten(1), mask.to(states.dtype)], 1)
