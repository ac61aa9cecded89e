"""A bundle from two torch networks that read words: step, loop and decode graphs over one file of float16 weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ..assets.manifest import Manifest, Words, grain_shape, input_shapes
from ..assets.refusal import Refusal
from .folders import replacing
from .graph import trace
from .loop import wrap_step
from .report import report_files
from .verify import TOLERANCE, check_bundle, relative, short
from .weights import GraphFiles, rounded

GRAPHS = {name: f"{name}.onnx" for name in ("step", "loop", "decode")}


def export_bundle(
    folder: Path,
    manifest: Manifest,
    denoiser: nn.Module,
    decoder: nn.Module,
    notices: Mapping[str, str],
    sides: tuple[int, int],
    axes: Mapping[int, str],
) -> Bundle:
    """Exports, verifies and seals a bundle, in place of one that is there; one that fails its own check leaves that as it was.

    manifest  with GRAPHS, without files
    denoiser  raw (B, C, h, w) from latent (B, C, h, w), time (B,), condition (B, K) and what the manifest says that "step"
              reads beside them, float32
    decoder   maps (B, M, H, W) from latent (B, C, h, w) and, where the manifest has a grain, its noise
    notices   text files that go along: {"NOTICE": ...}
    sides     cells (height, width) of the example latent; unequal, so that a swapped axis shows
    axes      the latent's dynamic ones, and their names
    """
    stages = tqdm(total=5, desc="export", unit="stage")

    def stage(name: str) -> None:
        stages.set_postfix_str(name)
        stages.update()

    assert isinstance(manifest.conditioning, Words)
    examples = _examples(manifest, sides, len(manifest.conditioning.words))
    decoded = _decode_examples(manifest, examples["latent"])
    grain = {axis: name if axis == 0 else f"grain_{name}" for axis, name in axes.items()}
    stage("denoiser")
    fields = dict.fromkeys(("latent", *manifest.reads.get("step", ())), axes)
    step = trace(denoiser, examples, ["raw"], {**fields, "time": {0: "batch"}, "condition": {0: "batch"}})
    stage("decoder")
    decode = trace(decoder, decoded, ["maps"], {"latent": axes, "noise": grain})
    stage("against torch")
    parity = {
        "step": _parity("step", denoiser, step, examples),
        "decode": _parity("decode", decoder, decode, decoded),
    }
    stage("write")
    with replacing(folder) as part:
        with GraphFiles(part) as graphs:
            graphs.add("step", step)
            graphs.add("loop", wrap_step(step))
            graphs.add("decode", decode)
        texts = {name: text.encode() for name, text in notices.items()}
        bundle = write_bundle(part, manifest, texts, graphs.names)
        stage("verify")
        add_files(bundle, report_files(check_bundle(bundle, {"torch": parity})))
    stages.close()
    return load_bundle(folder)


def _examples(manifest: Manifest, sides: tuple[int, int], words: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    read = input_shapes(manifest, "step", *sides)
    return {
        "latent": torch.randn(2, manifest.latent.channels, *sides, generator=draw),
        "time": torch.rand(2, generator=draw),
        "condition": torch.rand(2, words, generator=draw),
        **{name: torch.rand(2, *shape, generator=draw) for name, shape in read.items()},
    }


def _decode_examples(manifest: Manifest, latent: Tensor) -> dict[str, Tensor]:
    grain = grain_shape(manifest, *latent.shape[2:])
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
