"""Step graphs that read more than text, beside the plain one with which they share the network's weights.

A variant NAME becomes step_NAME.onnx and loop_NAME.onnx, whose inputs the manifest lists (assets/inputs.py); a request that
names them is run by that graph. In a loop they go before the batch, evaluations in front, as `condition` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ...assets.bundle import Bundle
from ...assets.inputs import Input, loop_of
from ...runtime.engine.backends import Graph, open_backend
from ...runtime.engine.loop import loop_inputs
from ...runtime.plans import plan_of_table
from ..graph import trace
from ..verify import relative, short
from .beside import Array, Beside, Example, axes_of, examples
from .parity import PROMPT, conditions_of, latent_of, noise_of
from .parts import Parts
from .pipeline_call import own_result, own_text


@dataclass(frozen=True)
class Variant:
    """
    name      of the graphs, behind "step_"
    step      raw from latent, time, condition and then the `inputs`, in their order
    inputs    as the manifest lists them
    own       diffusers' own pipeline that does the same
    example   inputs, and arguments of its call
    nets      networks that are not the plain step's, whose convolutions become circular where the bundle tiles
    encoders  graphs that fill inputs, by name: from image (B, 3, side, side) to (embedding, unconditional)
    """

    name: str
    step: nn.Module
    inputs: Mapping[str, Input]
    own: Any
    example: Example
    nets: Sequence[nn.Module] = ()
    encoders: Mapping[str, tuple[nn.Module, int]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.name.replace("_", " ", 1)

    @property
    def graph(self) -> str:
        return f"step_{self.name}"

    @property
    def weights(self) -> dict[int, int]:
        """Numbers in each array of its weights, by the array's place in memory: what is shared is found by it."""
        modules = [*self.nets, *(module for module, _ in self.encoders.values())]
        return {weight.data_ptr(): weight.numel() for module in modules for weight in module.parameters()}

    @property
    def graphs(self) -> list[str]:
        """Names of the graphs of a bundle that it adds."""
        return [self.graph, loop_of(self.graph), *self.encoders]


def step_of(variant: Variant, parts: Parts, given: Mapping[str, Tensor], axes: Mapping[str, Any]) -> onnx.ModelProto:
    """The variant's step; `given` and `axes` are the plain step's own."""
    more = examples(variant.inputs, given["latent"], parts.latent.factor)
    return trace(variant.step, {**given, **more}, ["raw"], {**axes, **axes_of(variant.inputs)})


def encoder_of(encoder: tuple[nn.Module, int]) -> onnx.ModelProto:
    """A graph that fills an input."""
    module, side = encoder
    image = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    return trace(module, {"image": image}, ["embedding", "unconditional"], {"image": {0: "batch"}})


@torch.no_grad()
def against_variants(
    pipe: Any,
    variants: Sequence[Variant],
    bundle: Bundle,
    parts: Parts,
    seed: int = 7,
    backend: str = "onnxruntime",
) -> dict[str, Any]:
    """Errors of each variant's latents against diffusers' own pipeline, and of its loop graph against ours."""
    if not variants:
        return {}
    errors: dict[str, Any] = {}
    load = open_backend(backend)
    conditions = conditions_of(bundle, load(bundle.path("encode_text"), 1), parts.told.numpy())
    _, arguments = own_text(pipe, parts, PROMPT)
    for variant in variants:
        step, loop = (load(bundle.path(name), 1) for name in (variant.graph, loop_of(variant.graph)))
        variant.own.set_progress_bar_config(disable=True)
        for table in bundle.manifest.recommended:
            plan = plan_of_table(bundle.manifest, table)
            start, draws = noise_of(parts, plan, seed)
            more, call = variant.example(start.shape)
            ours = latent_of(Beside(step, more), plan, conditions, start, draws)
            told = replace(parts, call={**parts.call, **call})
            theirs = own_result(variant.own, told, bundle.manifest, table, arguments, start, draws)
            stage = f"{variant.title}, {table.steps} steps"
            errors[stage] = (
                "no scheduler of diffusers takes this grid" if theirs is None else short(relative(ours, theirs))
            )
            twice = {"condition": conditions, **{name: np.stack([array] * 2) for name, array in more.items()}}
            looped = loop.run(loop_inputs(plan, start, lambda k, draws=draws: draws[k], twice))["latent"]  # type: ignore[misc]
            errors[f"{stage}, loop graph"] = short(relative(looped, ours))
        errors[f"{variant.title}, in a batch"] = _batched(step, start, conditions[0], more)
        for name, (module, side) in variant.encoders.items():
            image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(3))
            made = load(bundle.path(name), 1).run({"image": image.numpy()})
            for output, expected in zip(("embedding", "unconditional"), module(image), strict=True):
                errors[f"{variant.title}, {output}"] = short(relative(made[output], expected.numpy()))
    return errors


def _batched(step: Graph, start: Array, condition: Array, more: Mapping[str, Array]) -> float:
    """Error of two samples in one call, the second with half of every input, against each alone."""
    alone = [
        {
            "latent": x,
            "time": np.full(1, time, np.float32),
            "condition": condition,
            **{n: a * much for n, a in more.items()},
        }
        for x, time, much in ((start, 0.9, np.float32(1.0)), (start[..., ::-1].copy(), 0.1, np.float32(0.5)))
    ]
    together = {name: np.concatenate([each[name] for each in alone]) for name in alone[0]}
    return short(relative(step.run(together)["raw"], np.concatenate([step.run(each)["raw"] for each in alone])))
