"""ControlNets as variants of a bundle's step: each reads a picture of the size that is painted, and a strength.

Zhang et al., "Adding conditional control to text-to-image diffusion models", 2023, https://arxiv.org/abs/2302.05543
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...assets.inputs import Input, Number, Picture
from ...assets.refusal import Refusal, Unknown
from ..errors import first_line
from .beside import Array, Example
from .inpainting import below
from .opening import load_whole
from .parts import Parts
from .variants import Variant

STRENGTH = 0.7
"""Of the comparison with diffusers."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
OWN = {
    "StableDiffusionPipeline": "StableDiffusionControlNetPipeline",
    "LatentConsistencyModelPipeline": "StableDiffusionControlNetPipeline",
    "StableDiffusionInpaintPipeline": "StableDiffusionControlNetInpaintPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLInpaintPipeline": "StableDiffusionXLControlNetInpaintPipeline",
}
"""diffusers' pipeline with a ControlNet, by the one without."""
SMALL = {
    "canny": "lllyasviel/control_v11p_sd15_canny",
    "depth": "lllyasviel/control_v11f1p_sd15_depth",
    "lineart": "lllyasviel/control_v11p_sd15_lineart",
    "normal": "lllyasviel/control_v11p_sd15_normalbae",
    "scribble": "lllyasviel/control_v11p_sd15_scribble",
    "seg": "lllyasviel/control_v11p_sd15_seg",
    "tile": "lllyasviel/control_v11f1e_sd15_tile",
}
LARGE = {"canny": "diffusers/controlnet-canny-sdxl-1.0", "depth": "diffusers/controlnet-depth-sdxl-1.0"}
"""Hub ids of ControlNets that a name alone stands for: of Stable Diffusion 1.5, and of XL."""
SAME = ("block_out_channels", "cross_attention_dim", "addition_embed_type", "projection_class_embeddings_input_dim")
"""Settings in which a ControlNet must be like the network it controls."""


def parse_named(text: str, field: str, example: str) -> tuple[str, str]:
    """(name, source) of "depth=FOLDER"."""
    name, equals, source = text.partition("=")
    if not equals or not source or not NAME.fullmatch(name):
        sentence = f"{text!r} is no NAME=FOLDER with a name of small letters"
        raise Refusal("type", field, sentence, f"say {example}")
    return name, source


def parse_control(text: str) -> tuple[str, str]:
    """(name, source); the source is empty where a name stands for a ControlNet that is known."""
    if NAME.fullmatch(text):
        return text, ""
    return parse_named(text, "control", "depth=path/to/controlnet")


def controls_of(pipe: Any, parts: Parts, controls: Mapping[str, str]) -> list[Variant]:
    """A variant for each ControlNet, from a folder or hub id, checked against the pipeline's network; of several one more
    for all of them together."""
    if not controls:
        return []
    import diffusers

    kind = type(pipe).__name__
    if kind not in OWN:
        sentence = f"{kind} cannot be controlled yet"
        raise Refusal("unsupported", "control", sentence, "take a Stable Diffusion 1.x, 2.x or XL")
    nets = {name: _open(diffusers, pipe, name, source or _known(kind, name)) for name, source in controls.items()}
    together = [{name: net} for name, net in nets.items()] + ([nets] if len(nets) > 1 else [])
    return [_variant(getattr(diffusers, OWN[kind]), pipe, parts, each) for each in together]


def _known(kind: str, name: str) -> str:
    """The hub id that a name alone stands for."""
    known = LARGE if "XL" in kind else SMALL
    if name not in known:
        raise Unknown("control", name, known)
    return known[name]


def _variant(kind: Any, pipe: Any, parts: Parts, nets: Mapping[str, Any]) -> Variant:
    """The variant that reads the pictures of these ControlNets, and what its plain step reads."""
    own = kind(**pipe.components, controlnet=list(nets.values()), **_silent(kind.__name__))
    inputs: dict[str, Input] = dict(parts.inputs)
    for name, net in nets.items():
        inputs |= {name: Picture(net.config.conditioning_channels), f"{name}_strength": Number(1.0, 0.0, 2.0)}
    step = _Controlled(below(parts.step), list(nets.values()), len(parts.inputs))
    example = _example(list(nets), parts, "control_image" if "Inpaint" in kind.__name__ else "image")
    return Variant(f"control_{'_'.join(nets)}", step, inputs, own, example, tuple(nets.values()))


def _silent(kind: str) -> dict[str, Any]:
    return {"add_watermarker": False} if "XL" in kind else {"requires_safety_checker": False}


def _open(diffusers: Any, pipe: Any, name: str, source: str) -> Any:
    try:
        net = load_whole(diffusers.ControlNetModel, source, f"control.{name}")
    except Refusal:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sentence = f"{source} cannot be opened: {first_line(error)}"
        raise Refusal("missing", "control", sentence, "give a folder or a hub id") from error
    if net.config.global_pool_conditions:
        sentence = (
            "has global_pool_conditions: it acts on the prompt and not on the negative one, which no graph here does"
        )
        raise Refusal("unsupported", f"control.{name}", sentence, "give one without, as canny or depth")
    for field in SAME:
        its, own = (_plain(part.config[field]) for part in (net, pipe.unet))
        if its != own:
            sentence = f"has {field} {its}, the pipeline's network {own}"
            raise Refusal("contradiction", f"control.{name}", sentence, "give one for this model")
    if net.config.in_channels != pipe.vae.config.latent_channels:
        sentence = f"reads {net.config.in_channels} channels where latents have {pipe.vae.config.latent_channels}"
        raise Refusal("contradiction", f"control.{name}", sentence, "give one for this model")
    return net.eval().requires_grad_(False)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _example(names: Sequence[str], parts: Parts, argument: str) -> Example:
    """Pictures of noise; the strengths fall from STRENGTH."""
    factor = parts.latent.factor

    def example(shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
        given, call = parts.beside(shape)
        draw = np.random.default_rng(7)
        pictures = [draw.random((1, 3, *(side * factor for side in shape[2:])), np.float32) for _ in names]
        strengths = [STRENGTH / (1 + at) for at in range(len(names))]
        for name, picture, strength in zip(names, pictures, strengths, strict=True):
            given = {**given, name: picture, f"{name}_strength": np.full(1, strength, np.float32)}
        shown = [torch.from_numpy(picture) for picture in pictures]
        return given, {**call, argument: shown, "controlnet_conditioning_scale": strengths}

    return example


class _Controlled(nn.Module):
    """Behind the condition come `beside` inputs that the network reads with its latent, then a picture and a strength a net.

    The residuals of several nets are added. The nets see the latent alone, and are not told a strength of guidance.
    """

    def __init__(self, step: Any, nets: Sequence[nn.Module], beside: int) -> None:
        super().__init__()
        self.step, self.nets, self.beside = step, nn.ModuleList(nets), beside

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, *given: Tensor) -> Tensor:
        text = self.step.arguments(latent, time, condition)
        heard = {name: value for name, value in text.items() if name != "timestep_cond"}
        beside, told = given[: self.beside], given[self.beside :]
        total: list[Tensor] = []
        for net, picture, strength in zip(self.nets, told[::2], told[1::2], strict=True):
            down, middle = net(latent, time, controlnet_cond=picture, return_dict=False, **heard)
            residuals = [each * strength[:, None, None, None] for each in (*down, middle)]
            total = [a + b for a, b in zip(total, residuals, strict=True)] if total else residuals
        raw: Tensor = self.step.unet(
            torch.cat([latent, *beside], 1) if beside else latent,
            time,
            down_block_additional_residuals=total[:-1],
            mid_block_additional_residual=total[-1],
            return_dict=False,
            **text,
        )[0]
        return raw
