"""FLUX.2-klein: a transformer on a flow whose grid depends on the picture's size and the step count."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...assets.manifest import Flow
from ...assets.refusal import Refusal
from .parts import Parts, factor, sizes, whole

LENGTH = 512
LAYERS = (9, 18, 27)
"""Hidden states of the language model that are read, side by side."""


def flux_2_klein(pipe: Any) -> Parts:
    """Three layers of Qwen3 behind its chat template. Black Forest Labs, FLUX.2-klein, 2026,
    https://huggingface.co/black-forest-labs/FLUX.2-klein-4B

    A latent cell is 2 x 2 cells of the autoencoder, normalised by its running statistics.
    """
    transformer, vae = pipe.transformer.config, pipe.vae
    if len(LAYERS) * pipe.text_encoder.config.hidden_size != transformer.joint_attention_dim:
        raise Refusal("unsupported", "transformer", "does not read three layers of its text encoder", "export klein")
    states = (LENGTH, transformer.joint_attention_dim)
    decode = _Picture(vae)
    return Parts(
        step=_Step(pipe.transformer, states),
        decode=decode,
        encode_text=_Encoder(pipe.text_encoder, pipe.tokenizer.pad_token_id),
        tokenizers=[(pipe.tokenizer, LENGTH)],
        size=math.prod(states),
        latent=sizes(transformer.in_channels, 2 * factor(vae), 1, pipe.default_sample_size // 2),
        process=Flow(),
        prediction="flow",
        made=decode.normalised,
        seen=lambda tokens: tokens.transpose(1, 2).unflatten(2, (math.isqrt(tokens.shape[1]), -1)),
        prepare=lambda fast: templated(fast, pipe.tokenizer),
    )


class _Step(nn.Module):
    """Tokens are cells; positions are (0, row, column, 0) of the picture and (0, 0, 0, n) of the text."""

    def __init__(self, transformer: nn.Module, states: tuple[int, int]) -> None:
        super().__init__()
        self.transformer, self.states = transformer, states

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        batch, channels, rows, columns = latent.shape
        row = torch.arange(rows)[:, None].expand(rows, columns)
        column = torch.arange(columns)[None].expand(rows, columns)
        none = torch.zeros_like(row)
        places = torch.stack([none, row, column, none], 2).reshape(1, rows * columns, 4).expand(batch, -1, -1)
        order = torch.arange(self.states[0])
        words = torch.stack([0 * order, 0 * order, 0 * order, order], 1)[None].expand(batch, -1, -1)
        raw = self.transformer(
            hidden_states=latent.reshape(batch, channels, rows * columns).permute(0, 2, 1),
            encoder_hidden_states=condition.reshape(-1, *self.states),
            timestep=time,
            guidance=None,
            img_ids=places,
            txt_ids=words,
            return_dict=False,
        )[0]
        return raw.permute(0, 2, 1).reshape(batch, channels, rows, columns)


class _Picture(nn.Module):
    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae
        self.register_buffer("mean", vae.bn.running_mean.view(1, -1, 1, 1).clone())
        self.register_buffer("deviation", (vae.bn.running_var + vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1))

    def forward(self, latent: Tensor) -> Tensor:
        x = latent * self.deviation + self.mean
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        image = self.vae.decode(x.reshape(batch, channels // 4, 2 * height, 2 * width), return_dict=False)[0]
        return (image / 2 + 0.5).clamp(0.0, 1.0)

    def normalised(self, latent: Tensor) -> Tensor:
        """Ours (B, 4 C, h / 2, w / 2) from the autoencoder's (B, C, h, w)."""
        batch, channels, height, width = latent.shape
        x = latent.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        x = x.reshape(batch, 4 * channels, height // 2, width // 2)
        return (x - self.mean) / self.deviation


class _Encoder(nn.Module):
    def __init__(self, encoder: nn.Module, pad: int) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad

    def forward(self, tokens: Tensor) -> Tensor:
        numbers = whole(tokens)
        mask = (numbers != self.pad).to(torch.int64)
        answer = self.encoder(input_ids=numbers, attention_mask=mask, output_hidden_states=True, use_cache=False)
        return torch.cat([answer.hidden_states[layer] for layer in LAYERS], 2).flatten(1)


def templated(fast: Any, tokenizer: Any) -> None:
    """Puts the chat template's tokens around a prompt, as a post-processor; a long prompt is cut, the template is not."""
    from tokenizers import processors

    mark = "\uf8ff"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": mark}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    around = {}
    for name, part in zip(("before", "after"), text.split(mark), strict=True):
        numbers = tokenizer.encode(part, add_special_tokens=False)
        around[name] = {"id": name, "ids": numbers, "tokens": tokenizer.convert_ids_to_tokens(numbers)}
    pieces = [name for name in ("before", "$A", "after") if name == "$A" or around[name]["ids"]]
    template = processors.TemplateProcessing(
        single=pieces, special_tokens=[around[name] for name in pieces if name != "$A"]
    )
    fast.post_processor = template
