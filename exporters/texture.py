"""A texture bundle from two torch networks: step, loop and decode graphs over one file of float16 weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..assets.bundle import Bundle, add_files, write_bundle
from ..assets.manifest import Manifest, grain_shape
from ..assets.refusal import Refusal
from .graph import trace
from .loop import wrap_step
from .report import report_files
from .verify import TOLERANCE, check_bundle, relative, short
from .weights import GraphFiles, rounded

SIDES = (16, 24)
"""Cells of the example latent; unequal, so that a swapped axis shows."""
FINE = {0: "batch", 2: "grain_height", 3: "grain_width"}
FIELD = {0: "batch", 2: "height", 3: "width"}


class Maps(nn.Module):
    """A decoder whose maps are clipped to [0, 1]."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor, noise: Tensor | None = None) -> Tensor:
        maps: Tensor = self.decoder(latent) if noise is None else self.decoder(latent, noise)
        return maps.clamp(0.0, 1.0)


def export_texture_bundle(
    folder: Path, denoiser: nn.Module, decoder: nn.Module, notices: Mapping[str, str], **fields: Any
) -> Bundle:
    """Exports, verifies and seals a bundle; one that fails its own check is refused and gets no manifest.

    denoiser  raw (B, C, h, w) from latent (B, C, h, w), time (B,) and condition (B, K), float32
    decoder   maps (B, M, H, W) from latent (B, C, h, w) and, where `fields` have a grain, its noise; clipped here
    notices   text files that go along: {"NOTICE": ...}
    fields    of assets.manifest.Manifest but for kind, graphs and files
    """
    stages = tqdm(total=5, desc="export", unit="stage")

    def stage(name: str) -> None:
        stages.set_postfix_str(name)
        stages.update()

    manifest = Manifest(kind="texture", graphs={n: f"{n}.onnx" for n in ("step", "loop", "decode")}, **fields)
    examples = _examples(manifest.latent.channels, len(fields["conditioning"].words))
    decoded = _decode_examples(manifest, examples["latent"])
    axes = {"latent": FIELD, "time": {0: "batch"}, "condition": {0: "batch"}}
    stage("denoiser")
    step = trace(denoiser, examples, ["raw"], axes)
    stage("decoder")
    maps = Maps(decoder)
    decode = trace(maps, decoded, ["maps"], {"latent": FIELD, "noise": FINE})
    stage("against torch")
    parity = {
        "step": _parity("step", denoiser, step, examples),
        "decode": _parity("decode", maps, decode, decoded),
    }
    stage("write")
    with GraphFiles(folder) as graphs:
        graphs.add("step", step)
        graphs.add("loop", wrap_step(step))
        graphs.add("decode", decode)
    texts = {name: text.encode() for name, text in notices.items()}
    bundle = write_bundle(folder, manifest, texts, graphs.names)
    stage("verify")
    bundle = add_files(bundle, report_files(check_bundle(bundle, {"torch": parity})))
    stages.close()
    return bundle


def _examples(channels: int, words: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "latent": torch.randn(2, channels, *SIDES, generator=draw),
        "time": torch.rand(2, generator=draw),
        "condition": torch.rand(2, words, generator=draw),
    }


def _decode_examples(manifest: Manifest, latent: Tensor) -> dict[str, Tensor]:
    grain = grain_shape(manifest, *SIDES)
    if grain is None:
        return {"latent": latent}
    noise = torch.randn(len(latent), *grain, generator=torch.Generator().manual_seed(1))
    return {"latent": latent, "noise": noise}


def _parity(name: str, module: nn.Module, graph: onnx.ModelProto, inputs: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest differences over the largest value: the float32 graph against torch, and what rounding the weights adds."""
    arrays = {name: value.numpy() for name, value in inputs.items()}
    with torch.no_grad():
        expected = module(*inputs.values()).numpy()
    exact, half = (_run(model, arrays) for model in (graph, rounded(graph)))
    result = {"float32": short(relative(exact, expected)), "float16_weights": short(relative(half, exact))}
    if not result["float32"] <= TOLERANCE:
        raise Refusal(
            "diverged",
            f"graphs.{name}",
            f"differs from torch by {result['float32']:g} of its range, more than {TOLERANCE:g}",
            "report it with the network's code",
        )
    return result


def _run(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, dict(inputs))[0]
    return output
