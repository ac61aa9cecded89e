"""Stable Audio: a transformer over a one-dimensional latent, which is exported as a field one cell high."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import Latent, Samples, Ve
from ...assets.refusal import Refusal
from .parts import Parts, whole


def stable_audio(pipe: Any) -> Parts:
    """T5's states through the projection model; seconds follow from the latent's length.

    Evans et al., "Stable Audio Open", 2024, https://arxiv.org/abs/2407.14358. The network stands inside the EDM
    preconditioning of its scheduler, so the process is variance exploding and the answer the clean latent.
    """
    config, vae, scheduler = pipe.transformer.config, pipe.vae, pipe.scheduler.config
    if scheduler.get("prediction_type") != "v_prediction":
        raise Refusal("unsupported", "scheduler", f"predicts {scheduler.get('prediction_type')!r}", "export one with v")
    length, width = pipe.tokenizer.model_max_length, pipe.projection_model.config.conditioning_dim
    rate = int(vae.config.sampling_rate)
    hop = int(vae.hop_length)
    return Parts(
        step=_Step(pipe.transformer, pipe.projection_model, (length, width), hop / rate, float(scheduler.sigma_data)),
        decode=_Sound(vae),
        encode_text=_Encoder(pipe.text_encoder, pipe.projection_model, pipe.tokenizer.pad_token_id),
        tokenizers=[(pipe.tokenizer, length)],
        size=length * width,
        latent=Latent(
            channels=config.in_channels, factor=hop, minimum=hop, maximum=config.sample_size * hop, multiple=hop
        ),
        process=Ve(sigma_min=float(scheduler.sigma_min), sigma_max=float(scheduler.sigma_max)),
        prediction="x0",
        empty="zeros",
        notes={"sound_channels": vae.config.audio_channels},
        kind="sound",
        samples=Samples(rate),
        given=lambda latent: latent[:, :, 0],
        made=lambda latent: latent[:, :, None],
        seen=None,
    )


class _Step(nn.Module):
    """Clean latent (B, C, 1, L) from a noisy one at noise ratio `time`. `cell` is seconds a cell."""

    def __init__(
        self, transformer: nn.Module, seconds: nn.Module, states: tuple[int, int], cell: float, sigma_data: float
    ) -> None:
        super().__init__()
        self.transformer, self.seconds, self.states = transformer, seconds, states
        self.cell, self.sigma_data = cell, sigma_data
        self.rotary = transformer.config.attention_head_dim // 2

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        sigma = time[:, None, None]
        length = latent.shape[3]
        scale = torch.rsqrt(sigma**2 + self.sigma_data**2)
        end = torch.ones_like(time) * (length * self.cell)
        spans = self.seconds(start_seconds=torch.zeros_like(time), end_seconds=end)
        first, last = spans.seconds_start_hidden_states, spans.seconds_end_hidden_states
        # A condition of zeros stands for no negative prompt, where diffusers keeps the seconds out of the attention as well.
        heard = (condition.abs().amax(1) > 0).to(condition.dtype)[:, None, None]
        answer = self.transformer(
            latent[:, :, 0] * scale,
            time.atan() / math.pi * 2,
            encoder_hidden_states=torch.cat([condition.reshape(-1, *self.states), first * heard, last * heard], 1),
            global_hidden_states=torch.cat([first, last], 2),
            rotary_embedding=self._angles(length + 1),
            return_dict=False,
        )[0]
        skip, out = (self.sigma_data * scale) ** 2, -sigma * self.sigma_data * scale
        return (skip * latent[:, :, 0] + out * answer)[:, :, None]

    def _angles(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines (length, D) of the rotary embedding; diffusers' own function wants a number for the length."""
        frequencies = 1.0 / 10000.0 ** (torch.arange(0, self.rotary, 2, dtype=torch.float32) / self.rotary)
        angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies[None]
        return torch.cat([angles.cos()] * 2, 1), torch.cat([angles.sin()] * 2, 1)


class _Sound(nn.Module):
    """Samples (B, channels, 1, length) around -1 to 1, as the autoencoder gives them."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent[:, :, 0]).sample[:, :, None]


class _Encoder(nn.Module):
    def __init__(self, encoder: nn.Module, projection: nn.Module, pad: int) -> None:
        super().__init__()
        self.encoder, self.projection, self.pad = encoder, projection, pad

    def forward(self, tokens: Tensor) -> Tensor:
        numbers = whole(tokens)
        mask = (numbers != self.pad).to(torch.int64)
        states = self.projection(text_hidden_states=self.encoder(numbers, attention_mask=mask)[0]).text_hidden_states
        return (states * mask[:, :, None].to(states.dtype)).flatten(1)
