"""Seconds a step of the whole Stable Diffusion 1.5 UNet (860 M parameters, random weights) at a 64 x 64 latent, one process.

    python -m cadenza.exporters.diffusion.measure_sd15 --out FOLDER [--only export|time]

`export` makes fp32 and int8 step graphs in FOLDER and says the most memory it took (int8: weights by channel, and inputs
of every convolution and product on one constant scale, as ranges of random weights mean nothing: for speed only); `time` runs torch eager in float32 and
bfloat16, ONNX Runtime, and OpenVINO in bfloat16 and on the int8 graph, one after another, and prints seconds a step, the
ratio to torch float32, and the share of the processor's own matrix-multiply rate in that arithmetic. The two are
separate processes, so that the memory of one is not counted in the other.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
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
REPEATS = 3
PEAK_SIDE = 2048
"""Of the square matrices whose product is the machine's own rate."""


def unet() -> nn.Module:
    """The architecture of Stable Diffusion 1.5. [Rombach et al. 2022, https://arxiv.org/abs/2112.10752]"""
    import diffusers

    torch.manual_seed(0)
    made: nn.Module = diffusers.UNet2DConditionModel(
        sample_size=SIDE, cross_attention_dim=WIDTH, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
    )
    return made.eval().requires_grad_(False)


def inputs(batch: int = 1, side: int = SIDE) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "latent": torch.randn(batch, 4, side, side, generator=draw),
        "time": torch.full((batch,), 500.0),
        "condition": torch.randn(batch, TOKENS * WIDTH, generator=draw),
    }


def export(folder: Path) -> None:
    """Writes FOLDER/fp32 and FOLDER/int8, each with its weights beside it."""
    began = time.perf_counter()
    network = step_of(unet(), (TOKENS, WIDTH))
    batch = {0: "batch"}
    axes = {"latent": {**batch, 2: "height", 3: "width"}, "time": batch, "condition": batch}
    given = inputs(2, 16)
    given["latent"] = given["latent"][:, :, :, :8].contiguous()
    step = trace(network, given, ["raw"], axes)
    del network
    gc.collect()
    copy = type(step)()
    copy.CopyFrom(step)
    _quantize_inputs(step)
    for store, model in (("fp32", copy), ("int8", step)):
        with GraphFiles(folder / store, store) as graphs:
            graphs.add("step", model)
        model.Clear()
        gc.collect()
    made = {p.relative_to(folder).as_posix(): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    _say({"export_s": round(time.perf_counter() - began, 1), "peak_memory_gb": round(peak, 2), "bytes": made})


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


def timed(folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    rates = {"float32": _rate(torch.float32), "bfloat16": _rate(torch.bfloat16), "int8": _rate(torch.int8)}
    given = inputs()
    rows, flops = _torch_rows(given)
    gc.collect()
    arrays = {name: value.numpy() for name, value in given.items()}
    from ...runtime.engine.backends import open_backend

    for label, arithmetic, backend, store in (
        ("ONNX Runtime", "float32", "onnxruntime", "fp32"),
        ("OpenVINO", "bfloat16", "openvino:bf16", "fp32"),
        ("OpenVINO", "int8", "openvino:bf16", "int8"),
    ):
        graph = open_backend(backend)(folder / store / "step.onnx", threads)
        rows.append((label, arithmetic, _seconds(lambda graph=graph: graph.run(arrays))))  # type: ignore[misc]
        del graph
        gc.collect()
    first = rows[0][2]
    _say({"teraflop": round(flops / 1e12, 3), "gemm_teraflop_s": {k: round(v / 1e12, 3) for k, v in rates.items()}})
    for label, arithmetic, seconds in rows:
        share = flops / seconds / rates[arithmetic]
        _say({"what": label, "arithmetic": arithmetic, "seconds": round(seconds, 3),
              "to_torch_float32": round(seconds / first, 3), "of_gemm_rate": round(share, 3)})  # fmt: skip


@torch.no_grad()
def _torch_rows(given: dict[str, torch.Tensor]) -> tuple[list[tuple[str, str, float]], float]:
    """(what, arithmetic, seconds) of torch eager, and the floating-point operations of a step."""
    network = step_of(unet(), (TOKENS, WIDTH))
    flops = _flops(network, given)
    seconds = _seconds(lambda: network(*given.values()))
    half = network.to(torch.bfloat16)
    few = [value.to(torch.bfloat16) for value in given.values()]
    return [("torch eager", "float32", seconds), ("torch eager", "bfloat16", _seconds(lambda: half(*few)))], flops


def _flops(network: nn.Module, given: dict[str, torch.Tensor]) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(*given.values())
    return float(counter.get_total_flops())


def _rate(kind: torch.dtype) -> float:
    """Operations a second of a product of two square matrices."""
    if kind == torch.int8:
        a = torch.randint(-128, 127, (PEAK_SIDE, PEAK_SIDE), dtype=kind)
        seconds = _seconds(lambda: torch._int_mm(a, a))
    else:
        b = torch.randn(PEAK_SIDE, PEAK_SIDE).to(kind)
        seconds = _seconds(lambda: b @ b)
    return 2.0 * PEAK_SIDE**3 / seconds


def _seconds(run: Callable[[], Any]) -> float:
    """The least of some runs, after one to warm up."""
    run()
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return float(np.min(spent))


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds a step of the whole Stable Diffusion 1.5 UNet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("export", "time"))
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    if asked.only != "time":
        export(asked.out)
    if asked.only != "export":
        timed(asked.out, asked.threads)


if __name__ == "__main__":
    main()
