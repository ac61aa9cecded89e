"""ControlNets compiled into graphs of their own, beside the plain ones with which they share the network's weights.

step_control_NAME.onnx reads two more inputs than step.onnx: `control` (B, 3, H, W), a picture in [0, 1] at the size that is
painted, and `strength` (B,), 0 to leave the picture out. loop_control_NAME.onnx is its loop; both go before the batch there,
evaluations in front, as `condition` does. The runtime serves the plain graphs.
Zhang et al., "Adding conditional control to text-to-image diffusion models", 2023, https://arxiv.org/abs/2302.05543
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...assets.bundle import Bundle
from ...assets.refusal import Refusal
from ...runtime.engine.backends import open_backend
from ...runtime.engine.loop import loop_inputs
from ..graph import trace
from ..verify import relative, short
from .parity import PROMPT, conditions_of, noise_of, plan_of_table
from .parts import Parts
from .pipeline_call import own_result, own_text

STRENGTH = 0.7
"""Of the comparison with diffusers."""
NAME = re.compile(r"[a-z][a-z0-9_]*")


def parse_control(text: str) -> tuple[str, str]:
    """(name, source) of "depth=FOLDER"."""
    name, equals, source = text.partition("=")
    if not equals or not source or not NAME.fullmatch(name):
        raise Refusal(
            "type",
            "control",
            f"{text!r} is no NAME=FOLDER with a name of small letters",
            "say depth=path/to/controlnet",
        )
    return name, source


def open_controls(pipe: Any, controls: Mapping[str, str]) -> dict[str, nn.Module]:
    """ControlNets by name, each from a folder or hub id, checked against the pipeline's network."""
    if not controls:
        return {}
    import diffusers

    if type(pipe).__name__ != "StableDiffusionPipeline" or pipe.unet.config.time_cond_proj_dim:
        raise Refusal(
            "unsupported",
            "control",
            f"{type(pipe).__name__} cannot be controlled yet",
            "take a Stable Diffusion 1.x or 2.x",
        )
    opened: dict[str, nn.Module] = {}
    for name, source in controls.items():
        try:
            net = diffusers.ControlNetModel.from_pretrained(source, torch_dtype=torch.float32)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first = str(error).strip().split("\n")[0]
            raise Refusal(
                "missing", "control", f"{source} cannot be opened: {first}", "give a folder or a hub id"
            ) from error
        for field in ("block_out_channels", "cross_attention_dim", "in_channels"):
            its, own = (_plain(part.config[field]) for part in (net, pipe.unet))
            if its != own:
                raise Refusal(
                    "contradiction", f"control.{name}", f"has {field} {its}, the pipeline's network {own}",
                    "give one for this model",
                )  # fmt: skip
        opened[name] = net.eval().requires_grad_(False)
    return opened


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def graph_of(
    net: nn.Module, pipe: Any, parts: Parts, given: Mapping[str, Tensor], axes: Mapping[str, Any]
) -> onnx.ModelProto:
    """The controlled step; `given` and `axes` are the plain step's."""
    states = (pipe.tokenizer.model_max_length, pipe.text_encoder.config.hidden_size)
    batch, _, height, width = given["latent"].shape
    draw = torch.Generator().manual_seed(1)
    sides = (factor * parts.latent.factor for factor in (height, width))
    more = {"control": torch.rand(batch, 3, *sides, generator=draw), "strength": torch.rand(batch, generator=draw)}
    free = {"control": {0: "batch", 2: "control_height", 3: "control_width"}, "strength": {0: "batch"}}
    return trace(_Controlled(pipe.unet, net, states), {**given, **more}, ["raw"], {**axes, **free})


class _Controlled(nn.Module):
    def __init__(self, unet: nn.Module, net: nn.Module, states: tuple[int, int]) -> None:
        super().__init__()
        self.unet, self.net, self.states = unet, net, states

    def forward(self, latent: Tensor, time: Tensor, condition: Tensor, control: Tensor, strength: Tensor) -> Tensor:
        states, weight = condition.reshape(-1, *self.states), strength[:, None, None, None]
        down, middle = self.net(latent, time, encoder_hidden_states=states, controlnet_cond=control, return_dict=False)
        raw: Tensor = self.unet(
            latent,
            time,
            encoder_hidden_states=states,
            down_block_additional_residuals=[each * weight for each in down],
            mid_block_additional_residual=middle * weight,
            return_dict=False,
        )[0]
        return raw


@torch.no_grad()
def against_controlled(
    pipe: Any, nets: Mapping[str, nn.Module], bundle: Bundle, parts: Parts, seed: int = 7, backend: str = "onnxruntime"
) -> dict[str, Any]:
    """Errors of each controlled latent against diffusers' own ControlNet pipeline, and of the loop graph against ours."""
    if not nets:
        return {}
    import diffusers

    errors: dict[str, Any] = {}
    load = open_backend(backend)
    conditions = conditions_of(bundle, load(bundle.path("encode_text"), 1), parts.told.numpy())
    _, arguments = own_text(pipe, parts, PROMPT)
    for name, net in nets.items():
        own = diffusers.StableDiffusionControlNetPipeline(
            **pipe.components, controlnet=net, requires_safety_checker=False
        )
        own.set_progress_bar_config(disable=True)
        step, loop = (load(bundle.folder / f"{graph}_control_{name}.onnx", 1) for graph in ("step", "loop"))
        for table in bundle.manifest.recommended:
            plan = plan_of_table(bundle.manifest, table)
            start, draws = noise_of(parts, plan, seed)
            sides = [side * parts.latent.factor for side in start.shape[2:]]
            picture = np.random.default_rng(seed).random((1, 3, *sides), np.float32)
            more = {"control": picture, "strength": np.full(1, STRENGTH, np.float32)}

            def model(x: NDArray[Any], time: float, conditional: bool, step: Any = step, more: Any = more) -> Any:
                given = {"latent": x.astype(np.float32), "time": np.full(1, time, np.float32), **more}
                return step.run({**given, "condition": conditions[0 if conditional else 1]})["raw"]

            ours = plan.run(model, start, lambda k, draws=draws: draws[k]).astype(np.float32)  # type: ignore[misc]
            call = {**parts.call, "image": torch.from_numpy(picture), "controlnet_conditioning_scale": STRENGTH}
            told = replace(parts, call=call)
            theirs = own_result(own, told, bundle.manifest, table, arguments, start, draws)
            stage = f"control {name}, {table.steps} steps"
            errors[stage] = (
                "no scheduler of diffusers takes this grid" if theirs is None else short(relative(ours, theirs))
            )
            twice = {"condition": conditions, **{key: np.stack([array] * 2) for key, array in more.items()}}
            looped = loop.run(loop_inputs(plan, start, lambda k, draws=draws: draws[k], twice))["latent"]  # type: ignore[misc]
            errors[f"{stage}, loop graph"] = short(relative(looped, ours))
    return errors
