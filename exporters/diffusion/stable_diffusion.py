"""Stable Diffusion 1.x and 2.x, LCM with guidance embedding, and SDXL: UNets on a variance-preserving process."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import GuidanceEmbedding, Vp
from ...assets.refusal import Refusal, Unknown
from ...runtime.solver.scheduler_config import PURE
from ..families import TRAINED
from .autoencoder import encoder_of as pictures_encoder
from .inpainting import painter, paints
from .parts import Parts, Picture, factor, sizes, spread_of, whole

EMBEDDED_GUIDANCE = 8.5
"""LCM's default w. The network reads w - 1. [Luo et al., Latent consistency models, 2023, https://arxiv.org/abs/2310.04378]"""
READ = {"class_embed_type": None, "encoder_hid_dim_type": None}
"""Settings of a UNet by which it reads more than text and time; IP-Adapters set the last."""
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


def stable_diffusion(pipe: Any) -> Parts:
    """One CLIP text encoder; its last hidden state is the condition."""
    length, width = pipe.tokenizer.model_max_length, pipe.text_encoder.config.hidden_size
    parts = Parts(
        step=_Step(pipe.unet, (length, width)),
        encode_text=_Encoder(pipe.text_encoder),
        tokenizers=[(pipe.tokenizer, length)],
        size=length * width,
        **_common(pipe),
    )
    return painter(parts) if paints(pipe) else parts


def stable_diffusion_xl(pipe: Any) -> Parts:
    """Two CLIP text encoders, the pooled embedding of the second, and time ids: the whole picture at its own size.

    Podell et al., "SDXL", 2023, https://arxiv.org/abs/2307.01952
    """
    encoders, tokenizers = (pipe.text_encoder, pipe.text_encoder_2), (pipe.tokenizer, pipe.tokenizer_2)
    length = tokenizers[0].model_max_length
    width, pooled = sum(e.config.hidden_size for e in encoders), encoders[1].config.projection_dim
    parts = Parts(
        step=_StepXL(pipe.unet, (length, width), pooled, factor(pipe.vae)),
        encode_text=_EncoderXL(*encoders, length),
        tokenizers=[(tokenizer, length) for tokenizer in tokenizers],
        size=length * width + pooled,
        empty="zeros" if pipe.config.force_zeros_for_empty_prompt else "encoded",
        names=("prompt_embeds", "pooled_prompt_embeds"),
        **_common(pipe),
    )
    return painter(parts) if paints(pipe) else parts


def _common(pipe: Any) -> dict[str, Any]:
    unet = pipe.unet.config
    read = {**READ, "addition_embed_type": "text_time" if "XL" in type(pipe).__name__ else None}
    for field, known in read.items():
        if unet.get(field) != known:
            sentence = f"has {field} {unet[field]!r}, an input that this exporter does not give"
            raise Refusal("unsupported", f"unet.{field}", sentence, f"export a model where it is {known!r}")
    common = vp_of(pipe, pipe.vae.config.latent_channels)
    if not unet.time_cond_proj_dim:
        return common
    told = GuidanceEmbedding(unet.time_cond_proj_dim, EMBEDDED_GUIDANCE, scale=1000.0, offset=1.0)
    return {**common, "guidance": told, "call": {"guidance_scale": told.default}}


def vp_of(pipe: Any, channels: int) -> dict[str, Any]:
    """What every UNet with an AutoencoderKL on a variance-preserving process has."""
    unet, kind = pipe.unet.config, type(pipe).__name__
    cells = 2 ** (len(unet.block_out_channels) - 1)
    spread = spread_of(pipe.vae) if "XL" in kind else None  # other pipelines take no notice of it
    if spread is not None and "Inpaint" in kind:
        sentence = f"is read by {kind} where it decodes, and not where it encodes what is kept"
        raise Refusal("unsupported", "vae.latents_mean", sentence, "export a model without")
    return {
        "decode": Picture(pipe.vae, spread),
        "encode": pictures_encoder(pipe.vae, spread),
        "latent": sizes(channels, factor(pipe.vae), cells, unet.sample_size or 64),
        **levels_of(pipe.scheduler),
    }


def levels_of(scheduler: Any) -> dict[str, Any]:
    """The variance-preserving process of a scheduler, and what a network that it drives predicts.

    The last level of some is pure noise, where a noise ratio is infinite: a million stands for it, as in the solver.
    """
    kind, said = type(scheduler).__name__, scheduler.config.get("prediction_type", "epsilon")
    if not hasattr(scheduler, "alphas_cumprod"):
        sentence = f"{kind} has no alphas_cumprod, so its process is not variance preserving"
        raise Refusal("unsupported", "scheduler", sentence, "export a model of a variance-preserving process")
    if said not in PREDICTIONS:
        raise Unknown("scheduler.prediction_type", said, PREDICTIONS)
    alphas = [float(a) for a in scheduler.alphas_cumprod]
    if len(alphas) != TRAINED:
        sentence = f"is {len(alphas)}, and every family's table counts timesteps to {TRAINED}"
        raise Refusal("unsupported", "scheduler.num_train_timesteps", sentence, f"export a model with {TRAINED}")
    if min(alphas) < PURE:
        if said == "epsilon":
            sentence = "ends in pure noise, of which a network that predicts noise says nothing"
            raise Refusal("contradiction", "scheduler.rescale_betas_zero_snr", sentence, "leave it out, or predict v")
        alphas = [max(alpha, PURE) for alpha in alphas]
    return {"process": Vp(alphas_cumprod=alphas), "prediction": PREDICTIONS[said]}


def encoder_of(encoder: nn.Module) -> nn.Module:
    """The last hidden state of one CLIP encoder, flat."""
    return _Encoder(encoder)


def step_of(unet: nn.Module, states: tuple[int, int]) -> nn.Module:
    """The step of a UNet whose condition is text states (tokens, width)."""
    return _Step(unet, states)


class _Step(nn.Module):
    """The condition is text states (tokens, width), then the embedding of guidance where the UNet takes one."""

    def __init__(self, unet: nn.Module, states: tuple[int, int]) -> None:
        super().__init__()
        self.unet, self.states = unet, states
        self.told = unet.config.time_cond_proj_dim or 0

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        raw: Tensor = self.unet(latent, time, return_dict=False, **self.arguments(latent, time, condition))[0]
        return raw

    def arguments(self, latent: Tensor, time: Tensor, condition: Tensor) -> dict[str, Any]:
        """What the UNet is told beside latent and time."""
        states, told = self.split(condition, math.prod(self.states))
        return self.text(states, told)

    def split(self, condition: Tensor, *lengths: int) -> tuple[Tensor, ...]:
        return condition.split([*lengths, self.told], 1) if self.told else (*condition.split(lengths, 1), condition)

    def text(self, states: Tensor, told: Tensor) -> dict[str, Any]:
        told_guidance = told if self.told else None
        return {"encoder_hidden_states": states.reshape(-1, *self.states), "timestep_cond": told_guidance}


class _StepXL(_Step):
    def __init__(self, unet: nn.Module, states: tuple[int, int], pooled: int, factor: int) -> None:
        super().__init__(unet, states)
        self.pooled, self.factor = pooled, factor

    def arguments(self, latent: Tensor, time: Tensor, condition: Tensor) -> dict[str, Any]:
        states, pooled, told = self.split(condition, math.prod(self.states), self.pooled)
        one = torch.ones_like(time)
        height, width = (one * (side * self.factor) for side in latent.shape[2:])
        ids = torch.stack([height, width, 0 * one, 0 * one, height, width], 1)
        added = {"text_embeds": pooled, "time_ids": ids}
        return {**self.text(states, told), "added_cond_kwargs": added}


class _Encoder(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encoder(whole(tokens))[0].flatten(1)


class _EncoderXL(nn.Module):
    """The last but one hidden states of both encoders side by side, then the projected embedding of the second."""

    def __init__(self, first: nn.Module, second: nn.Module, length: int) -> None:
        super().__init__()
        self.first, self.second, self.length = first, second, length

    def forward(self, tokens: Tensor) -> Tensor:
        one, two = whole(tokens).split([self.length, self.length], 1)
        first = self.first(one, output_hidden_states=True)
        second = self.second(two, output_hidden_states=True)
        states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], 2)
        return torch.cat([states.flatten(1), second[0]], 1)
