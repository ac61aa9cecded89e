"""ONNX Runtime on the processor."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from .base import Array, Identity


class OrtGraph:
    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # the game needs its cores between calls
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.identity = Identity("onnxruntime", onnxruntime.__version__, f"cpu {platform.machine()}", "float32")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def load(path: Path, threads: int) -> OrtGraph:
    return OrtGraph(path, threads)
