"""OpenVINO on the processor: held to float32, or with `openvino:bf16` in bfloat16 where the processor computes in it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from ....assets.refusal import Refusal, Unknown
from .base import Array, Identity

PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}
"""Choice, which is OpenVINO's name too, to the name of the precision."""


class OpenVinoGraph:
    def __init__(self, path: Path, threads: int, choice: str) -> None:
        if choice not in PRECISIONS:
            raise Unknown("backend", f"openvino:{choice}", [f"openvino:{each}" for each in PRECISIONS])
        core = openvino.Core()
        if choice == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Refusal("missing", "backend", "'openvino:bf16' needs a processor with bfloat16", "take openvino")
        settings = {"INFERENCE_PRECISION_HINT": choice, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        compiled = core.compile_model(str(path), "CPU", settings)
        self._request = compiled.create_infer_request()
        self._outputs = compiled.outputs
        version = openvino.__version__.split("-")[0]
        self.identity = Identity("openvino", version, f"cpu {platform.machine()}", PRECISIONS[choice])

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._request.infer(dict(inputs))
        found = [(port, np.array(results[port])) for port in self._outputs]  # the request reuses its buffers: copy
        return {name: array for port, array in found for name in port.get_names()}


def load(path: Path, threads: int, choice: str = "") -> OpenVinoGraph:
    return OpenVinoGraph(path, threads, choice or "f32")
