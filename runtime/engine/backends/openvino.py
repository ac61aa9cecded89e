"""OpenVINO on the processor, held to float32."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from ....assets.refusal import Unknown
from .base import Array, Identity


class OpenVinoGraph:
    def __init__(self, path: Path, threads: int) -> None:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        self._request = compiled.create_infer_request()
        self._outputs = compiled.outputs
        self.identity = Identity("openvino", openvino.__version__.split("-")[0], f"cpu {platform.machine()}", "float32")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._request.infer(dict(inputs))
        found = [(port, np.array(results[port])) for port in self._outputs]  # the request reuses its buffers: copy
        return {name: array for port, array in found for name in port.get_names()}


def load(path: Path, threads: int, choice: str = "") -> OpenVinoGraph:
    if choice not in ("", "cpu"):
        raise Unknown("backend", f"openvino:{choice}", ["openvino", "openvino:cpu"])
    return OpenVinoGraph(path, threads)
