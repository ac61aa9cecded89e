"""MusicGen (transformers' MusicgenForConditionalGeneration) for the token engine: text encoder, one step with its cache, EnCodec's decoder.

A step is a row of the same `TokenJob` that makes the embedded music: codebooks are streams, the delay pattern its delays, the pad
token the word for "not yet", guidance two rows. What the step hears of the text, keys and values of every cross-attention, is its
condition; without text it is all zeros, as transformers' unconditional half is, because these projections have no bias and what
is masked is 0. Copet et al. 2023, https://arxiv.org/abs/2306.05284; Defossez et al. 2022, https://arxiv.org/abs/2210.13438.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.models.encodec.modeling_encodec import EncodecConv1d, EncodecConvTranspose1d

from ...assets.bundle import Bundle, load_bundle, seal
from ...assets.music.codes import GRAPHS, CodesManifest
from ...assets.music.manifest import Cache, Recommended
from ...assets.refusal import OutOfRange, Refusal, Unknown
from ...runtime.engine.tokens.network import NEVER
from ..errors import first_line
from ..folders import replacing
from ..graph import trace
from ..precision import PRECISIONS
from ..tokenizer import tokenizer_file
from ..weights import GraphFiles

TEXT = 64
"""Tokens of a prompt that the graphs are made for."""
OUTPUTS = ("logits", "key", "value")
TOKENIZER = "tokenizer.json"


class TextEncoder(nn.Module):
    """tokens, mask float32 (B, text) -> condition (B, C): cross-attention's keys and values of all layers, then its mask."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder, decoder = model.text_encoder, model.decoder
        wide = model.text_encoder.config.hidden_size != decoder.config.hidden_size
        self.project = model.enc_to_dec_proj if wide else nn.Identity()
        self.attentions = nn.ModuleList(layer.encoder_attn for layer in decoder.model.decoder.layers)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=tokens.long(), attention_mask=mask.long()).last_hidden_state
        states = self.project(states) * mask[..., None]
        parts = [f(states).flatten(1) for each in self.attentions for f in (each.k_proj, each.v_proj)]
        return torch.cat([*parts, (1 - mask) * float(NEVER)], 1)


class Step(nn.Module):
    """One step for B rows, with the inputs and outputs of exporters/music/network.py's Decoder."""

    positions: Tensor

    def __init__(self, model: Any, text: int, window: int) -> None:
        super().__init__()
        self.decoder, self.heads_out = model.decoder.model.decoder, model.decoder.lm_heads
        self.text = text
        config = model.decoder.config
        self.heads, self.head = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        table = self.decoder.embed_positions.get_embedding(window + 1, config.hidden_size)
        self.register_buffer("positions", table, persistent=False)

    def forward(
        self, tokens: Tensor, condition: Tensor, time: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        d, rows, width = self.decoder, tokens.shape[0], self.heads * self.head
        x = sum(table(tokens[:, k].long()) for k, table in enumerate(d.embed_tokens)) * d.embed_scale
        x = x + self.positions[time.long()]
        heard = condition[:, -self.text :]
        crossed = condition[:, : -self.text].view(rows, len(d.layers), 2, self.text, self.heads, self.head)
        new_keys, new_values = [], []
        for number, layer in enumerate(d.layers):
            h = layer.self_attn_layer_norm(x)
            query, key, value = (
                f(h).view(rows, self.heads, self.head)
                for f in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
            )
            past = torch.cat([keys[:, number], key[:, :, None]], 2)
            said = torch.cat([values[:, number], value[:, :, None]], 2)
            seen = nn.functional.pad(mask, (0, 1))
            x = x + layer.self_attn.out_proj(self._mixed(query, past, said, seen).reshape(rows, width))
            h = layer.encoder_attn_layer_norm(x)
            query = layer.encoder_attn.q_proj(h).view(rows, self.heads, self.head)
            text = crossed[:, number].permute(0, 1, 3, 2, 4)
            x = x + layer.encoder_attn.out_proj(self._mixed(query, text[:, 0], text[:, 1], heard).reshape(rows, width))
            h = layer.final_layer_norm(x)
            x = x + layer.fc2(layer.activation_fn(layer.fc1(h)))
            new_keys.append(key)
            new_values.append(value)
        x = d.layer_norm(x)
        logits = torch.cat([head(x) for head in self.heads_out], 1)
        return logits, torch.stack(new_keys, 1), torch.stack(new_values, 1)

    def _mixed(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """query (B, heads, head), keys and values (B, heads, n, head), mask (B, n) added to the scores."""
        scores = (query[:, :, None] * self.head**-0.5) @ keys.transpose(2, 3) + mask[:, None, None]
        return scores.softmax(-1) @ values


def plain(conv: Any) -> nn.Module:
    """A convolution with its weight norm multiplied out; the given one keeps its own."""
    kind = nn.ConvTranspose1d if isinstance(conv, nn.ConvTranspose1d) else nn.Conv1d
    terms = {"stride": conv.stride, "dilation": conv.dilation, "bias": conv.bias is not None}
    made = kind(conv.in_channels, conv.out_channels, conv.kernel_size, **terms)
    made.load_state_dict({"weight": conv.weight.detach(), **({"bias": conv.bias.detach()} if terms["bias"] else {})})
    return made.requires_grad_(False)


class Padded(nn.Module):
    """EnCodec's convolution of stride 1 with its padding as plain numbers: transformers counts it in tensors, which cannot be traced."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        total = int(given.padding_total)
        self.right = 0 if given.causal else total // 2
        self.left, self.mode = total - self.right, "constant" if given.pad_mode == "zero" else given.pad_mode
        self.conv, self.norm = given.conv, getattr(given, "norm", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        if self.left or self.right:
            x = nn.functional.pad(x, (self.left, self.right), self.mode)
        return self.norm(self.conv(x))


class Sound(nn.Module):
    """codes float32 (B, codebooks, frames) -> audio (B, channels, samples)."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.quantizer, self.decoder = codec.quantizer, copy.deepcopy(codec.decoder)
        for module in list(self.decoder.modules()):
            for name, child in module.named_children():
                if isinstance(child, EncodecConv1d | EncodecConvTranspose1d):
                    child.conv = plain(child.conv)
                if isinstance(child, EncodecConv1d):
                    if int(child.stride) != 1:
                        raise Refusal("unsupported", "audio_encoder", "has a decoder that strides", "export MusicGen")
                    setattr(module, name, Padded(child))

    def forward(self, codes: Tensor) -> Tensor:
        return self.decoder(self.quantizer.decode(codes.long().transpose(0, 1)))


def export_folder(source: str, out: Path, seconds: float, precision: str = "fp32", name: str = "") -> Bundle:
    """Exports a checkpoint (a folder or hub id that transformers reads) for pieces of `seconds`."""
    model, tokenizer, told = opened(source, seconds, precision)
    with replacing(out) as part:
        export(model, tokenizer, part, told["frames"], TEXT, PRECISIONS[precision].step, name or out.name)
    return load_bundle(out)


def opened(source: str, seconds: float, precision: str) -> tuple[Any, Any, dict[str, Any]]:
    """(model, tokenizer, what would be made and how large)."""
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    if precision not in PRECISIONS or PRECISIONS[precision].static:
        raise Unknown("precision", precision, [name for name, each in PRECISIONS.items() if not each.static])
    try:
        model = MusicgenForConditionalGeneration.from_pretrained(source)
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise Refusal(
            "missing", "source", f"{source} cannot be opened: {first_line(error)}", "give a folder or a hub id"
        ) from error
    codec = model.audio_encoder.config
    frames = round(seconds * codec.sampling_rate / float(np.prod(codec.upsampling_ratios)))
    size = sum(weight.numel() for weight in model.parameters()) * PRECISIONS[precision].bytes
    return model, tokenizer, {"family": "musicgen", "seconds": seconds, "frames": frames, "bytes": int(size)}


def export(
    model: Any, tokenizer: Any, folder: Path, frames: int, text: int, store: str = "fp16", name: str = ""
) -> Bundle:
    """Writes a bundle for pieces of `frames` frames and prompts of `text` tokens; `store` as weights are kept.

    A codec that splits or normalises its sound is refused: MusicGen's does neither.
    """
    model = model.eval().requires_grad_(False)
    config, codec = model.decoder.config, model.audio_encoder
    if codec.config.chunk_length_s is not None or codec.config.normalize:
        raise Refusal("unsupported", "audio_encoder", "splits or normalises its sound", "export a MusicGen checkpoint")
    if config.audio_channels != 1:
        raise Refusal("unsupported", "decoder", f"has {config.audio_channels} channels", "export a mono checkpoint")
    if frames < 1:
        raise OutOfRange("seconds", frames, "at least a frame of the codec")
    manifest = manifest_for(model, frames, text, name or folder.name)
    window = manifest.cache.window
    step, encoder, sound = Step(model, text, window), TextEncoder(model), Sound(codec)
    rows = 3
    draw = torch.Generator().manual_seed(0)
    cache = (rows, manifest.cache.layers, manifest.cache.heads, window, manifest.cache.head)
    inputs = {
        "tokens": torch.randint(0, manifest.words, (rows, manifest.codebooks), generator=draw).float(),
        "condition": torch.rand(rows, manifest.condition, generator=draw),
        "time": torch.full((rows,), 5.0),
        "keys": torch.randn(cache, generator=draw),
        "values": torch.randn(cache, generator=draw),
        "mask": torch.where(torch.arange(window) < 5, 0.0, float(NEVER)).expand(rows, -1).contiguous(),
    }
    words = {"tokens": torch.ones(rows, text), "mask": torch.ones(rows, text)}
    codes = {"codes": torch.randint(0, manifest.words, (rows, manifest.codebooks, frames), generator=draw).float()}
    with GraphFiles(folder, store) as graphs:
        graphs.add("step", trace(step, inputs, OUTPUTS, {name: {0: "batch"} for name in inputs}))
        graphs.add("encode_text", trace(encoder, words, ["condition"], {name: {0: "batch"} for name in words}))
        graphs.add("decode", trace(sound, codes, ["audio"], {"codes": {0: "batch"}}))
    (folder / TOKENIZER).write_bytes(tokenizer_file(tokenizer, text))
    return seal(folder, manifest, [*graphs.names, TOKENIZER])  # type: ignore[arg-type]


def manifest_for(model: Any, frames: int, text: int, name: str) -> CodesManifest:
    config, codec = model.decoder.config, model.audio_encoder.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    how = model.generation_config
    return CodesManifest(
        name=name,
        graphs={each: f"{each}.onnx" for each in GRAPHS},
        words=config.vocab_size,
        codebooks=config.num_codebooks,
        frames=frames,
        text=text,
        pad=model.config.text_encoder.pad_token_id,
        tokenizer=TOKENIZER,
        condition=layers * 2 * text * config.hidden_size + text,
        cache=Cache(layers, heads, frames + config.num_codebooks, config.hidden_size // heads),
        rate_hz=codec.sampling_rate,
        hop=int(np.prod(codec.upsampling_ratios)),
        recommended=Recommended(
            temperature=float(how.temperature or 1.0),
            top_k=int(how.top_k or 250),
            guidance=float(how.guidance_scale or 3.0),
        ),
        licence="cc-by-nc-4.0 (Meta's weights); see the model card",
        provenance={"made_by": "exporters/music/musicgen", "source": str(model.config._name_or_path)},
    )
