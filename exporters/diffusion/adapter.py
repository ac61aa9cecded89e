"""IP-Adapters as variants of a bundle's step: each reads what a CLIP image encoder makes of a picture, and a strength.

Ye et al., "IP-Adapter: text compatible image prompt adapter for text-to-image diffusion models", 2023,
https://arxiv.org/abs/2308.06721
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...assets.inputs import Encoded, Input, Number
from ...assets.refusal import Refusal
from ..errors import first_line
from .beside import Array, Example
from .control import parse_named
from .inpainting import below
from .opening import check_whole, load_whole
from .parts import Parts
from .variants import Variant

STRENGTH = 0.6
"""Of the comparison with diffusers."""
KINDS = (
    "StableDiffusionPipeline", "StableDiffusionInpaintPipeline", "StableDiffusionXLPipeline",
    "StableDiffusionXLInpaintPipeline",
)  # fmt: skip
ENCODER = "image_encoder"
"""Folder of the CLIP image encoder, beside the adapter's file or above it."""
PROJECTIONS = ("ImageProjection", "IPAdapterPlusImageProjection", "IPAdapterFullImageProjection")
"""diffusers' classes of what projects a picture; the last is of adapters for faces. Those named FaceID read the embedding of a
face recogniser, which no bundle carries."""


def parse_adapter(text: str) -> tuple[str, str]:
    return parse_named(text, "adapter", "style=path/to/ip-adapter.safetensors")


def adapters_of(pipe: Any, parts: Parts, adapters: Mapping[str, str]) -> list[Variant]:
    """A variant for each IP-Adapter, from the file of its weights. The pipeline stays as it is."""
    if adapters and (type(pipe).__name__ not in KINDS or pipe.unet.config.time_cond_proj_dim):
        sentence = f"{type(pipe).__name__} cannot be adapted yet"
        raise Refusal("unsupported", "adapter", sentence, "take a Stable Diffusion 1.x, 2.x or XL")
    return [_variant(pipe, parts, name, Path(source)) for name, source in adapters.items()]


def _variant(pipe: Any, parts: Parts, name: str, file: Path) -> Variant:
    own = type(pipe)(**{**pipe.components, "unet": shared(pipe.unet)}, **_silent(pipe))
    folder = next((above / ENCODER for above in file.parents[:2] if (above / ENCODER).is_dir()), None)
    if not file.is_file() or (folder is None and own.image_encoder is None):
        missing = f"{file} is no file" if not file.is_file() else f"there is no folder {ENCODER} beside {file}"
        raise Refusal("missing", f"adapter.{name}", missing, "give the file of its weights, its encoder beside it")
    try:
        where = None if folder is None else str(folder.resolve())
        if where and own.image_encoder is None:
            from transformers import CLIPVisionModelWithProjection

            encoder = load_whole(CLIPVisionModelWithProjection, where, f"adapter.{name}.{ENCODER}")
            own.register_modules(image_encoder=encoder)
        own.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, image_encoder_folder=where)
        check_whole(own.unet, f"adapter.{name}", ())
    except Refusal:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sentence = f"{file} does not fit this pipeline: {first_line(error)}"
        raise Refusal("unsupported", f"adapter.{name}", sentence, "give an IP-Adapter for this model") from error
    layers = own.unet.encoder_hid_proj.image_projection_layers
    kind = type(layers[0]).__name__
    if kind not in PROJECTIONS:
        sentence = f"projects by {kind}, which reads more than CLIP's view of a picture"
        raise Refusal("unsupported", f"adapter.{name}", sentence, f"give one of {', '.join(PROJECTIONS)}")
    for part in (own.unet, own.image_encoder):
        part.eval().requires_grad_(False)
    own.set_ip_adapter_scale(1.0)
    plain = below(parts.step)
    step = copy.copy(plain)  # its settings, on the network that has the adapter
    step._modules = {**plain._modules, "unet": own.unet}
    encoder = _Encoder(own.image_encoder, own.feature_extractor, kind == "ImageProjection")
    side = int(own.image_encoder.config.image_size)
    shape = tuple(encoder.nothing.shape[1:])
    inputs: dict[str, Input] = {
        **parts.inputs,
        name: Encoded(f"encode_{name}", side, shape),
        f"{name}_strength": Number(1.0, 0.0, 2.0),
    }
    example = _example(name, own, encoder, side, parts)
    encoders = {f"encode_{name}": (encoder, side)}
    return Variant(f"adapter_{name}", _Adapted(step, len(parts.inputs)), inputs, own, example, (own.unet,), encoders)


def _silent(pipe: Any) -> dict[str, Any]:
    return {"add_watermarker": False} if "XL" in type(pipe).__name__ else {"requires_safety_checker": False}


def shared(network: nn.Module) -> nn.Module:
    """A copy of a network's modules over the same weights: layers that are added to it are not added to the other."""
    weights = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, weights)


def _example(name: str, own: Any, encoder: _Encoder, side: int, parts: Parts) -> Example:
    @torch.no_grad()
    def example(shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
        """The embedding of noise; diffusers weighs adapters by an attribute, which is set here."""
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(7))
        embedding, _ = encoder(image)
        for strength in _strengths(own.unet):
            strength.value = None
        own.set_ip_adapter_scale(STRENGTH)
        given, call = parts.beside(shape)
        given = {**given, name: embedding.numpy(), f"{name}_strength": np.full(1, STRENGTH, np.float32)}
        return given, {**call, "ip_adapter_image_embeds": [embedding[:, None]]}

    return example


class _Encoder(nn.Module):
    """The projected embedding (B, D), or the last but one states (B, T, D), of pictures (B, 3, side, side) in [0, 1]; and
    what stands for none: zeros, or the states of a black one."""

    def __init__(self, encoder: nn.Module, processor: Any, projected: bool) -> None:
        super().__init__()
        self.encoder, self.projected = encoder, projected
        for name, values in (("mean", processor.image_mean), ("spread", processor.image_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32)[None, :, None, None])
        side = int(encoder.config.image_size)
        with torch.no_grad():
            none = self._of(torch.zeros(1, 3, side, side))
        self.register_buffer("nothing", torch.zeros_like(none) if projected else none)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self._of((image - self.mean) / self.spread), self.nothing.clone()

    def _of(self, pixels: Tensor) -> Tensor:
        made = self.encoder(pixels, output_hidden_states=not self.projected)
        return made.image_embeds if self.projected else made.hidden_states[-2]


class _Weighed(nn.Module):
    """The values that a picture adds in one attention, times the strength: attention is linear in them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.value: Tensor | None = None  # (B,)

    def forward(self, states: Tensor) -> Tensor:
        values: Tensor = self.layer(states)
        return values if self.value is None else values * self.value.reshape(-1, *[1] * (values.dim() - 1))


def _strengths(unet: Any) -> Iterator[_Weighed]:
    """The places in a network at which the adapter is weighed."""
    for processor in unet.attn_processors.values():
        for layer in getattr(processor, "to_v_ip", ()):
            if isinstance(layer, _Weighed):
                yield layer


class _Adapted(nn.Module):
    """Behind the condition come `beside` inputs that the network reads with its latent, then the picture and its strength."""

    def __init__(self, step: Any, beside: int) -> None:
        super().__init__()
        self.step, self.beside = step, beside
        for processor in step.unet.attn_processors.values():
            if hasattr(processor, "to_v_ip"):
                processor.to_v_ip = nn.ModuleList(_Weighed(layer) for layer in processor.to_v_ip)

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, *given: Tensor) -> Tensor:
        text = self.step.arguments(latent, time, condition)
        beside, (picture, strength) = given[: self.beside], given[self.beside :]
        text["added_cond_kwargs"] = {**(text.get("added_cond_kwargs") or {}), "image_embeds": [picture[:, None]]}
        for place in _strengths(self.step.unet):
            place.value = strength
        x = torch.cat([latent, *beside], 1) if beside else latent
        raw: Tensor = self.step.unet(x, time, return_dict=False, **text)[0]
        return raw
