"""How a weight array is stored in a bundle: as it is, in half the bytes, or as integers with scales.

The nodes that make float32 of it again stand in front of the graph; arithmetic is float32 in every case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HIGHEST = float(np.finfo(np.float16).max)
BLOCK = 32
"""Numbers along the summed axis that share a scale in 4 bits."""
BLOCKED_OPSET = 21
"""The first in which DequantizeLinear has blocks."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stored:
    """Arrays by the suffix of their name, and the node that makes float32 `name` of them; none where it is stored as it is."""

    arrays: Mapping[str, onnx.TensorProto]
    node: onnx.NodeProto | None
    opset: int = 0


@dataclass(frozen=True)
class Use:
    """The axes of a weight that its operator keeps (one scale for each index) and sums over."""

    kept: int
    summed: int


def uses_of(graph: onnx.GraphProto) -> dict[str, Use]:
    """How operators use the weights of a graph, by name; the first use counts. Weights of other operators are missing."""
    found: dict[str, Use] = {}
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if len(node.input) < 2:
            continue
        name = node.input[1]
        if node.op_type == "Conv" and ranks.get(name, 0) > 2:
            found.setdefault(name, Use(0, 1))
        elif node.op_type == "MatMul" and ranks.get(name, 0) == 2:
            found.setdefault(name, Use(1, 0))
        elif node.op_type == "Gemm" and ranks.get(name, 0) == 2:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            found.setdefault(name, Use(0, 1) if turned else Use(1, 0))
        elif node.op_type == "Gather" and ranks.get(node.input[0], 0) == 2:
            found.setdefault(node.input[0], Use(0, 1))
    return found


def as_it_is(array: Floats, name: str, use: Use | None) -> Stored:
    return Stored({"": numpy_helper.from_array(array, name)}, None)


def half(array: Floats, name: str, use: Use | None) -> Stored:
    """float16; an array with a number too high for it stays float32, so nothing overflows."""
    if np.abs(array).max(initial=0.0) > HIGHEST:
        return as_it_is(array, name, use)
    return _cast(array.astype(np.float16), name)


def bfloat(array: Floats, name: str, use: Use | None) -> Stored:
    """bfloat16: the range of float32 with 8 bits of precision."""
    return _cast(array.astype(ml_dtypes.bfloat16), name)


def int8(array: Floats, name: str, use: Use | None) -> Stored:
    """Symmetric 8-bit integers with one scale for each output channel."""
    if use is None:
        return half(array, name, use)
    others = tuple(axis for axis in range(array.ndim) if axis != use.kept)
    scale = _scale(np.abs(array).max(others), 127)
    shape = [-1 if axis == use.kept else 1 for axis in range(array.ndim)]
    whole = np.rint(array / scale.reshape(shape)).astype(np.int8)
    arrays = {".int8": numpy_helper.from_array(whole, f"{name}.int8"), ".scale": _tensor(scale, f"{name}.scale")}
    node = helper.make_node(
        "DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], f"{name}.dequantize", axis=use.kept
    )
    return Stored(arrays, node)


def int4(array: Floats, name: str, use: Use | None) -> Stored:
    """Symmetric 4-bit integers with one scale for BLOCK numbers; 8 bits where the axis does not divide."""
    if use is None or array.shape[use.summed] % BLOCK:
        return int8(array, name, use)
    blocks = np.moveaxis(array, use.summed, -1)
    blocks = blocks.reshape(*blocks.shape[:-1], -1, BLOCK)
    scale = _scale(np.abs(blocks).max(-1), 7)
    whole = np.rint(blocks / scale[..., None]).reshape(*blocks.shape[:-2], -1)
    packed = np.ascontiguousarray(np.moveaxis(whole, -1, use.summed)).astype(ml_dtypes.int4)
    scales = np.ascontiguousarray(np.moveaxis(scale, -1, use.summed))
    arrays = {".int4": numpy_helper.from_array(packed, f"{name}.int4"), ".scale": _tensor(scales, f"{name}.scale")}
    node = helper.make_node(
        "DequantizeLinear", [f"{name}.int4", f"{name}.scale"], [name], f"{name}.dequantize", axis=use.summed,
        block_size=BLOCK,
    )  # fmt: skip
    return Stored(arrays, node, BLOCKED_OPSET)


def _cast(array: np.ndarray, name: str) -> Stored:
    kept = numpy_helper.from_array(array, f"{name}.half")
    return Stored({".half": kept}, helper.make_node("Cast", [kept.name], [name], f"{name}.cast", to=TensorProto.FLOAT))


def _tensor(array: np.ndarray, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(array.astype(np.float32), name)


def _scale(highest: np.ndarray, steps: int) -> Floats:
    """Scales; 1 where all numbers are 0."""
    return np.where(highest > 0, highest / steps, 1.0).astype(np.float32)


STORAGE: dict[str, Callable[[Floats, str, Use | None], Stored]] = {
    "fp32": as_it_is, "fp16": half, "bf16": bfloat, "int8": int8, "int4": int4,
}  # fmt: skip
"""By name of how large arrays of a graph are stored."""
