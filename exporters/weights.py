"""Weights of several graphs in one float16 file beside them, each array once.

Measured on the embedded denoiser (4 M weights; step and loop): 7 MB in place of 28, graphs of 22 and 32 KB; ONNX Runtime and
OpenVINO fold the casts when they load, in the same time (0.04 to 0.2 s), and give the same bits at the same speed as
graphs that hold the rounded weights as float32. The rounding itself moves the output by 5e-4 of its range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FILE = "weights.bin"
SMALLEST = 1024
"""Arrays of fewer numbers stay in their graph, in float32."""
ALIGNMENT = 64
HIGHEST = float(np.finfo(np.float16).max)


class GraphFiles:
    """Writes graphs into a folder as NAME.onnx, their large arrays into one file beside them, float16 with a cast or as they are.

    A graph is made light in place while it is written, so that one set of weights is in memory at a time, and a graph
    built around a light one points to the same arrays. `names` are the files written.
    """

    def __init__(self, folder: Path, half: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.half = folder, half
        self.names = [FILE]
        self._file = (folder / FILE).open("wb")
        self._at: dict[bytes, int] = {}  # by sha-256

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, name: str, model: onnx.ModelProto) -> None:
        for graph in graphs_of(model.graph):
            self._lighten(graph)
        self.names.append(f"{name}.onnx")
        (self.folder / self.names[-1]).write_bytes(model.SerializeToString(deterministic=True))

    def _lighten(self, graph: onnx.GraphProto) -> None:
        casts = []
        for tensor in graph.initializer:
            if not _large(tensor):
                continue
            array = numpy_helper.to_array(tensor)
            kept = _half(array) if self.half else array
            name = tensor.name
            if kept.dtype == np.float16:
                tensor.name, tensor.data_type = f"{name}.half", TensorProto.FLOAT16
                casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
            _point(tensor, self._put(kept.tobytes()), kept.nbytes)
        nodes = [*casts, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)

    def _put(self, data: bytes) -> int:
        """Where the bytes stand in the file; the same bytes are written once, aligned so that they can be mapped."""
        key = hashlib.sha256(data).digest()
        if key not in self._at:
            self._file.write(b"\0" * (-self._file.tell() % ALIGNMENT))
            self._at[key] = self._file.tell()
            self._file.write(data)
        return self._at[key]


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


def _large(tensor: onnx.TensorProto) -> bool:
    held = tensor.data_location != TensorProto.EXTERNAL
    return held and tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= SMALLEST


def _half(array: np.ndarray) -> np.ndarray:
    """float16, or the array itself where a number is too high for it."""
    return array.astype(np.float16) if np.abs(array).max(initial=0.0) <= HIGHEST else array


def _point(tensor: onnx.TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", FILE), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
