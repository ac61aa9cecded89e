"""Seconds a step of the whole Stable Diffusion 1.5 UNet (860 M parameters, random weights) at a 64 x 64 latent.

    python -m cadenza.exporters.diffusion.measure_sd15 --out FOLDER [--only STAGE] [--threads N]

Stages, each a process of its own so that the memory of one is not counted in another; each writes what it found to
FOLDER/measured.json, and one that stands there is not run again, so an interrupted run goes on where it stopped:

    export                   the step graph in float32, and the most memory that making it took
    int8                     the same with weights by channel and the inputs of every convolution and product on one
                             constant scale, as ranges of random weights mean nothing: for speed only
    rates                    the processor's own matrix-multiply rate in each arithmetic
    torch_float32, torch_bfloat16, onnxruntime, openvino_bfloat16, openvino_int8
                             seconds a step

At the end it prints the ratios to torch eager in float32, and the share of the rate in each arithmetic.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from ..graph import trace
from ..storage import uses_of
from ..weights import GraphFiles
from .stable_diffusion import step_of

SIDE, TOKENS, WIDTH = 64, 77, 768
REPEATS, PEAK_REPEATS = 3, 20
PEAK_SIDE = 2048
"""Of the square matrices whose product is the machine's own rate."""
FILE = "measured.json"
Found = dict[str, Any]


def unet(empty: bool = False) -> nn.Module:
    """The architecture of Stable Diffusion 1.5. [Rombach et al. 2022, https://arxiv.org/abs/2112.10752] `empty` has shapes and no numbers."""
    import diffusers

    torch.manual_seed(0)
    with torch.device("meta"):  # its own initialisation takes longer than a measurement
        made: nn.Module = diffusers.UNet2DConditionModel(
            sample_size=SIDE, cross_attention_dim=WIDTH, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
        )
    made = made.eval().requires_grad_(False)
    return made if empty else _filled(made.to_empty(device="cpu"))


def _filled(network: nn.Module) -> nn.Module:
    """Weights of about unit gain, norms that leave what they norm."""
    for layer in network.modules():
        for name, values in layer.named_parameters(recurse=False):
            if values.ndim > 1:
                bound = math.sqrt(3.0 / values[0].numel())
                values.uniform_(-bound, bound)
            else:
                values.fill_(float(name == "weight"))
    return network


def inputs(batch: int = 1, height: int = SIDE, width: int = SIDE) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "latent": torch.randn(batch, 4, height, width, generator=draw),
        "time": torch.full((batch,), 500.0),
        "condition": torch.randn(batch, TOKENS * WIDTH, generator=draw),
    }


def export(folder: Path, threads: int) -> Found:
    """Writes FOLDER/fp32."""
    network = step_of(unet(), (TOKENS, WIDTH))
    parameters = sum(p.numel() for p in network.parameters())
    batch = {0: "batch"}
    axes = {"latent": {**batch, 2: "height", 3: "width"}, "time": batch, "condition": batch}
    step = trace(network, inputs(2, 16, 24), ["raw"], axes)
    del network
    gc.collect()
    with GraphFiles(folder / "fp32", "fp32") as graphs:
        graphs.add("step", step)
    return {"parameters": parameters, "bytes": _bytes(folder / "fp32")}


def int8(folder: Path, threads: int) -> Found:
    """Writes FOLDER/int8 from FOLDER/fp32."""
    step = onnx.load(folder / "fp32" / "step.onnx")
    _quantize_inputs(step)
    with GraphFiles(folder / "int8", "int8") as graphs:
        graphs.add("step", step)
    return {"bytes": _bytes(folder / "int8")}


def _bytes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def _quantize_inputs(model: onnx.ModelProto) -> None:
    """QuantizeLinear and DequantizeLinear before every convolution and product with weights."""
    graph = model.graph
    weights = uses_of(graph)
    nodes = []
    for number, node in enumerate(graph.node):
        if node.op_type in ("Conv", "MatMul", "Gemm") and node.input[1] in weights:
            names = [f"q{number}.whole", f"q{number}.real"]
            scales = ["quantize.scale", "quantize.zero"]
            nodes.append(helper.make_node("QuantizeLinear", [node.input[0], *scales], names[:1]))
            nodes.append(helper.make_node("DequantizeLinear", [names[0], *scales], names[1:]))
            node.input[0] = names[1]
        nodes.append(node)
    nodes = [_copied(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.float32(8 / 127), "quantize.scale"))
    graph.initializer.append(numpy_helper.from_array(np.int8(0), "quantize.zero"))


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def rates(folder: Path, threads: int) -> Found:
    """Operations a second of a product of two square matrices, in each arithmetic."""
    return {str(kind).partition(".")[2]: _rate(kind) for kind in (torch.float32, torch.bfloat16, torch.int8)}


def _rate(kind: torch.dtype) -> float:
    if kind == torch.int8:
        a = torch.randint(-128, 127, (PEAK_SIDE, PEAK_SIDE), dtype=kind)
        seconds = _seconds(lambda: torch._int_mm(a, a), PEAK_REPEATS)
    else:
        b = torch.randn(PEAK_SIDE, PEAK_SIDE).to(kind)
        seconds = _seconds(lambda: b @ b, PEAK_REPEATS)
    return 2.0 * PEAK_SIDE**3 / seconds


@torch.no_grad()
def _torch(kind: torch.dtype) -> Found:
    network = step_of(unet(), (TOKENS, WIDTH)).to(kind)
    given = [value.to(kind) for value in inputs().values()]
    return {"seconds": _seconds(lambda: network(*given)), "flops": _flops()}


def _flops() -> float:
    """Floating-point operations of a step."""
    from torch.utils.flop_counter import FlopCounterMode

    network = step_of(unet(empty=True), (TOKENS, WIDTH))
    with FlopCounterMode(display=False) as counter:
        network(*(value.to("meta") for value in inputs().values()))
    return float(counter.get_total_flops())


def _graph(folder: Path, threads: int, backend: str, store: str) -> Found:
    from ...runtime.engine.backends import open_backend

    arrays = {name: value.numpy() for name, value in inputs().items()}
    began = time.perf_counter()
    graph = open_backend(backend)(folder / store / "step.onnx", threads)
    loaded = time.perf_counter() - began
    return {"load_s": round(loaded, 1), "seconds": _seconds(lambda: graph.run(arrays))}


def _seconds(run: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The least of some runs, after one to warm up."""
    run()
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return float(np.min(spent))


STAGES: dict[str, Callable[[Path, int], Found]] = {
    "export": export,
    "int8": int8,
    "rates": rates,
    "torch_float32": lambda folder, threads: _torch(torch.float32),
    "torch_bfloat16": lambda folder, threads: _torch(torch.bfloat16),
    "onnxruntime": lambda folder, threads: _graph(folder, threads, "onnxruntime", "fp32"),
    "openvino_bfloat16": lambda folder, threads: _graph(folder, threads, "openvino:bf16", "fp32"),
    "openvino_int8": lambda folder, threads: _graph(folder, threads, "openvino:bf16", "int8"),
}
ARITHMETIC = {
    "torch_float32": "float32", "torch_bfloat16": "bfloat16", "onnxruntime": "float32",
    "openvino_bfloat16": "bfloat16", "openvino_int8": "int8",
}  # fmt: skip


def run(folder: Path, stage: str, threads: int) -> None:
    """One stage in this process; what it found goes into the file."""
    torch.set_num_threads(threads)
    began = time.perf_counter()
    made = STAGES[stage](folder, threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    made |= {"threads": threads, "stage_s": round(time.perf_counter() - began, 1), "peak_memory_gb": round(peak, 2)}
    known = found(folder)
    (folder / FILE).write_text(json.dumps({**known, stage: made}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"stage": stage, **made}), flush=True)


def found(folder: Path) -> dict[str, Found]:
    """What stages have found so far, by stage."""
    path = folder / FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def summary(known: dict[str, Found]) -> str:
    """A table of seconds a step, the ratio to torch eager in float32, and the share of the processor's own rate."""
    first, flops = known["torch_float32"]["seconds"], known["torch_float32"]["flops"]
    lines = [
        "| what | seconds a step | times torch float32 | of the matrix-multiply rate | peak memory, GB |",
        "|" + "---|" * 5,
    ]
    for stage, arithmetic in ARITHMETIC.items():
        if stage not in known:
            continue
        seconds = known[stage]["seconds"]
        share = f"{flops / seconds / known['rates'][arithmetic]:.2f} of {arithmetic}" if "rates" in known else "-"
        memory = known[stage]["peak_memory_gb"]
        lines.append(f"| {stage} | {seconds:.2f} | {first / seconds:.2f} | {share} | {memory:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds a step of the whole Stable Diffusion 1.5 UNet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=STAGES)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.only:
        run(asked.out, asked.only, asked.threads)
    else:
        for stage in STAGES:
            if stage not in found(asked.out):
                command = [sys.executable, "-m", __spec__.name, "--out", str(asked.out), "--only", stage]
                subprocess.run([*command, "--threads", str(asked.threads)], check=True)
    if "torch_float32" in found(asked.out):
        print(summary(found(asked.out)))


if __name__ == "__main__":
    main()
