"""Precisions of a bundle: how each graph's weights are stored, what parity may be expected, and static int8."""

from __future__ import annotations

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


def quantized(step: onnx.ModelProto, runs: Sequence[Inputs]) -> onnx.ModelProto:
    """The graph with its convolutions and products with weights on 8-bit integers (QDQ), weights by output channel.

    `runs` are inputs of the graph that its ranges are measured on; symmetric ranges of their extremes.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "step.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(step, source, save_as_external_data=True, all_tensors_to_one_file=True, location="step.bin")
        quantize_static(
            source,
            made,
            _Reader(runs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            use_external_data_format=True,
            extra_options={"MatMulConstBOnly": True, "ActivationSymmetric": True, "WeightSymmetric": True},
        )
        model = onnx.load(made)
    model.producer_name = model.producer_version = ""
    del model.metadata_props[:], model.graph.value_info[:]
    for each in [d for d in model.opset_import if d.domain and not _used(model, d.domain)]:
        model.opset_import.remove(each)
    return model


def _used(model: onnx.ModelProto, domain: str) -> bool:
    return any(node.domain == domain for node in model.graph.node)


class _Reader:
    """What the quantiser asks for inputs: one mapping at a time, None at the end."""

    def __init__(self, runs: Sequence[Inputs]) -> None:
        self._left: Iterator[Inputs] = iter(runs)

    def get_next(self) -> dict[str, Any] | None:
        given = next(self._left, None)
        return None if given is None else dict(given)
