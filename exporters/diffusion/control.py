"""ControlNets as variants of a bundle's step: each reads a picture of the size that is painted, and a strength.

Zhang et al., "Adding conditional control to text-to-image diffusion models", 2023, https://arxiv.org/abs/2302.05543
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...assets.inputs import Input, Number, Picture
from ...assets.refusal import Refusal
from .beside import Array, Example
from .parts import Parts
from .variants import Variant

STRENGTH = 0.7
"""Of the comparison with diffusers."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
OWN = {
    "StableDiffusionPipeline": "StableDiffusionControlNetPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLControlNetPipeline",
}
"""diffusers' pipeline with a ControlNet, by the one without."""
SAME = (
    "block_out_channels", "cross_attention_dim", "in_channels", "addition_embed_type",
    "projection_class_embeddings_input_dim",
)  # fmt: skip
"""Settings in which a ControlNet must be like the network it controls."""


def parse_named(text: str, field: str, example: str) -> tuple[str, str]:
    """(name, source) of "depth=FOLDER"."""
    name, equals, source = text.partition("=")
    if not equals or not source or not NAME.fullmatch(name):
        sentence = f"{text!r} is no NAME=FOLDER with a name of small letters"
        raise Refusal("type", field, sentence, f"say {example}")
    return name, source


def parse_control(text: str) -> tuple[str, str]:
    return parse_named(text, "control", "depth=path/to/controlnet")


def controls_of(pipe: Any, parts: Parts, controls: Mapping[str, str]) -> list[Variant]:
    """A variant for each ControlNet, from a folder or hub id, checked against the pipeline's network."""
    if not controls:
        return []
    import diffusers

    kind = type(pipe).__name__
    if kind not in OWN or pipe.unet.config.time_cond_proj_dim:
        sentence = f"{kind} cannot be controlled yet"
        raise Refusal("unsupported", "control", sentence, "take a Stable Diffusion 1.x, 2.x or XL")
    made = []
    for name, source in controls.items():
        net = _open(diffusers, pipe, name, source)
        own = getattr(diffusers, OWN[kind])(**pipe.components, controlnet=net, **_silent(kind))
        inputs: dict[str, Input] = {
            name: Picture(net.config.conditioning_channels),
            f"{name}_strength": Number(1.0, 0.0, 2.0),
        }
        step = _Controlled(parts.step, net)
        made.append(Variant(f"control_{name}", step, inputs, own, _example(name, parts.latent.factor), (net,)))
    return made


def _silent(kind: str) -> dict[str, Any]:
    return {"add_watermarker": False} if "XL" in kind else {"requires_safety_checker": False}


def _open(diffusers: Any, pipe: Any, name: str, source: str) -> Any:
    try:
        net = diffusers.ControlNetModel.from_pretrained(source, torch_dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().split("\n")[0]
        sentence = f"{source} cannot be opened: {first}"
        raise Refusal("missing", "control", sentence, "give a folder or a hub id") from error
    for field in SAME:
        its, own = (_plain(part.config[field]) for part in (net, pipe.unet))
        if its != own:
            sentence = f"has {field} {its}, the pipeline's network {own}"
            raise Refusal("contradiction", f"control.{name}", sentence, "give one for this model")
    return net.eval().requires_grad_(False)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _example(name: str, factor: int) -> Example:
    def example(shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
        picture = np.random.default_rng(7).random((1, 3, *(side * factor for side in shape[2:])), np.float32)
        given = {name: picture, f"{name}_strength": np.full(1, STRENGTH, np.float32)}
        return given, {"image": torch.from_numpy(picture), "controlnet_conditioning_scale": STRENGTH}

    return example


class _Controlled(nn.Module):
    def __init__(self, step: Any, net: nn.Module) -> None:
        super().__init__()
        self.step, self.net = step, net

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, control: Tensor, strength: Tensor) -> Tensor:
        text = self.step.arguments(latent, time, condition)
        weight = strength[:, None, None, None]
        down, middle = self.net(latent, time, controlnet_cond=control, return_dict=False, **text)
        raw: Tensor = self.step.unet(
            latent,
            time,
            down_block_additional_residuals=[each * weight for each in down],
            mid_block_additional_residual=middle * weight,
            return_dict=False,
            **text,
        )[0]
        return raw
