"""Precisions of a bundle: how each graph's weights are stored, what parity may be expected, and static int8."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Inputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Precision:
    """`step` and `rest` name how weights are stored (storage.py); `bytes` a weight of the denoiser, about.

    static     the denoiser's sums run on 8-bit integers, whose ranges are measured on its own trajectories
    tolerance  of a graph against another that computes the same numbers in another order: rounding of activations can
               turn a difference of 1e-7 into one step of their grid, and ONNX Runtime may round them where weights are
               integers: with 8-bit weights the host loop left 1e-4 on a toy
    """

    step: str
    rest: str
    bytes: float
    static: bool = False
    tolerance: float = 1e-4


PRECISIONS = {
    "fp32": Precision("fp32", "fp32", 4),
    "fp16": Precision("fp16", "fp16", 2),
    "bf16": Precision("bf16", "bf16", 2),
    "int8": Precision("int8", "fp16", 1, static=True, tolerance=0.2),
    "int8_weights": Precision("int8", "fp16", 1, tolerance=0.02),
    "int4_weights": Precision("int4", "fp16", 0.5625, tolerance=0.02),
}


PRODUCTS = ("Conv", "MatMul", "Gemm")
NOISE = 0.05
"""Noise over signal, root mean squares, that 8 bits may leave of what a product reads."""


def quantized(step: onnx.ModelProto, runs: Sequence[Inputs]) -> onnx.ModelProto:
    """The graph with its convolutions and products with weights on 8-bit integers (QDQ), weights by output channel.

    `runs` are inputs of the graph that its ranges are measured on, from the least to the most. A product stays in float32
    where one range for all runs would drown the quietest of them: see `drowned`. What is read is unsigned: with signed numbers
    OpenVINO 2026.4 leaves errors of 0.2 to 0.5 of the range on a toy, where these leave 0.05.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    for number, node in enumerate(step.graph.node):
        node.name = node.name or f"node_{number}"  # nodes are left out by name
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "step.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(step, source, save_as_external_data=True, all_tensors_to_one_file=True, location="step.bin")
        kept = drowned(source, runs)
        logging.disable(logging.WARNING)  # it advises what `trace` has done
        try:
            quantize_static(
                source,
                made,
                _Reader(runs),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(PRODUCTS),
                nodes_to_exclude=kept,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                use_external_data_format=True,
                extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True},
            )
        finally:
            logging.disable(logging.NOTSET)
        model = onnx.load(made)
    model.producer_name = model.producer_version = ""
    del model.metadata_props[:], model.graph.value_info[:]
    for each in [d for d in model.opset_import if d.domain and not _used(model, d.domain)]:
        model.opset_import.remove(each)
    return model


def drowned(path: Path, runs: Sequence[Inputs]) -> list[str]:
    """Names of products whose input, on one range of 8 bits over all runs, may have noise above NOISE in some run.

    A step of a range of +-M is M / 127, its noise M / (127 sqrt 12); that of a lopsided one is less. What stands before a normalisation (the latent,
    skips, what is resampled) can be many times louder at one noise level than at another, and outliers of single channels
    do the same; Li et al., "Q-Diffusion", 2023, https://arxiv.org/abs/2302.04304, see it at skips.
    """
    import onnxruntime

    model = onnx.load(path, load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer}
    reads = {n.name: n.input[0] for n in model.graph.node if n.op_type in PRODUCTS and n.input[1] in weights}
    seen = list(dict.fromkeys(reads.values()))
    for number, name in enumerate(seen):
        square, axes = f"square_{number}", {"keepdims": 0}
        model.graph.node.append(onnx.helper.make_node("Mul", [name, name], [square]))
        for kind in ("ReduceMax", "ReduceMean"):
            model.graph.node.append(onnx.helper.make_node(kind, [square], [f"{kind}_{number}"], **axes))
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(f"{kind}_{number}", onnx.TensorProto.FLOAT, [])
            )
    watched = path.with_name("watched.onnx")
    onnx.save_model(model, watched)
    session = onnxruntime.InferenceSession(watched, providers=["CPUExecutionProvider"])
    asked = [f"{kind}_{number}" for number in range(len(seen)) for kind in ("ReduceMax", "ReduceMean")]
    found = np.array([session.run(asked, dict(run)) for run in runs], np.float64).reshape(len(runs), len(seen), 2)
    top, quietest = found[:, :, 0].max(0), np.maximum(found[:, :, 1].min(0), 1e-30)
    noisy = {name for name, ratio in zip(seen, np.sqrt(top / quietest) / (127 * 12**0.5), strict=True) if ratio > NOISE}
    return [node for node, read in reads.items() if read in noisy]


def _used(model: onnx.ModelProto, domain: str) -> bool:
    return any(node.domain == domain for node in model.graph.node)


class _Reader:
    """What the quantiser asks for inputs: one mapping at a time, None at the end."""

    def __init__(self, runs: Sequence[Inputs]) -> None:
        self._left: Iterator[Inputs] = iter(runs)

    def get_next(self) -> dict[str, Any] | None:
        given = next(self._left, None)
        return None if given is None else dict(given)
