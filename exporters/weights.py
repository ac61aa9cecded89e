"""Weights of several graphs in one file beside them, each array once, stored as `storage.py` can.

Measured on the embedded denoiser (4 M weights; step and loop) in float16: 7 MB in place of 28, graphs of 22 and 32 KB; ONNX
Runtime and OpenVINO fold the casts when they load, in the same time (0.04 to 0.2 s), and give the same bits at the same
speed as graphs that hold the rounded weights as float32. The rounding itself moves the output by 5e-4 of its range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .storage import STORAGE, half, uses_of

FILE = "weights.bin"
SMALLEST = 1024
"""Arrays of fewer numbers stay in their graph, in float32."""
ALIGNMENT = 64
MOVED = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4,
)  # fmt: skip
"""Types of arrays that are moved into the file."""


class GraphFiles:
    """Writes graphs into a folder as NAME.onnx, their large arrays into one file beside them.

    A graph is made light in place while it is written, so that one set of weights is in memory at a time, and a graph
    built around a light one points to the same arrays. `names` are the files written; `store` is a name of STORAGE.
    """

    def __init__(self, folder: Path, store: str = "fp16") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.store = folder, store
        self.names = [FILE]
        self._file = (folder / FILE).open("wb")
        self._at: dict[bytes, int] = {}  # by sha-256

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, name: str, model: onnx.ModelProto, store: str | None = None) -> None:
        """Writes a graph, its arrays stored as said here, else as all."""
        opset = max(self._lighten(graph, store or self.store) for graph in graphs_of(model.graph))
        for each in model.opset_import:
            if not each.domain:
                each.version = max(each.version, opset)
        self.names.append(f"{name}.onnx")
        (self.folder / self.names[-1]).write_bytes(model.SerializeToString(deterministic=True))

    def _lighten(self, graph: onnx.GraphProto, store: str) -> int:
        """The opset that the nodes put into the graph need, 0 for any."""
        uses, nodes, opset = uses_of(graph), [], 0
        kept = []
        for tensor in graph.initializer:
            if not _large(tensor):
                kept.append(tensor)
                continue
            if tensor.data_type != TensorProto.FLOAT:
                self._point(tensor)
                kept.append(tensor)
                continue
            stored = STORAGE[store](numpy_helper.to_array(tensor), tensor.name, uses.get(tensor.name))
            for array in stored.arrays.values():
                if _large(array):
                    self._point(array)
                kept.append(array)
            opset = max(opset, stored.opset)
            if stored.node is not None:
                nodes.append(stored.node)
            tensor.ClearField("raw_data")
        nodes += graph.node
        kept = [_copy(tensor) for tensor in kept]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(kept)
        return opset

    def _point(self, tensor: onnx.TensorProto) -> None:
        """Moves an array's bytes into the file."""
        data = numpy_helper.to_array(tensor).tobytes() if not tensor.raw_data else tensor.raw_data
        offset = self._put(data)
        for number in ("raw_data", "float_data", "int32_data", "int64_data"):
            tensor.ClearField(number)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", FILE), ("offset", str(offset)), ("length", str(len(data)))):
            tensor.external_data.add(key=key, value=value)

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
            if _large(tensor) and tensor.data_type == TensorProto.FLOAT:
                (stored,) = half(numpy_helper.to_array(tensor), tensor.name, None).arrays.values()
                array = numpy_helper.to_array(stored).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return copy


def _large(tensor: onnx.TensorProto) -> bool:
    held = tensor.data_location != TensorProto.EXTERNAL
    return held and tensor.data_type in MOVED and int(np.prod(tensor.dims)) >= SMALLEST


def _copy(tensor: onnx.TensorProto) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    return copy
