"""ONNX Runtime on the processor, or with `onnxruntime:cuda` and the like on another of its execution providers.

Only the processor has been run by this project's tests, which have no other device; the options of the others follow
ONNX Runtime's pages on execution providers (https://onnxruntime.ai/docs/execution-providers/). All are held to float32
and to deterministic kernels where they can be told so; whether bits depend on the batch is proved at first load, as
everywhere.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from ....assets.refusal import Refusal, Unknown
from ....assets.store import default_folder
from .base import Array, Identity

Settings = dict[str, str]


def providers() -> dict[str, tuple[str, Settings, str]]:
    """Choice to (execution provider, its options, where to get it)."""
    engines = str(_engines())
    gpu = "pip install onnxruntime-gpu in place of onnxruntime"
    return {
        "cpu": ("CPUExecutionProvider", {}, "pip install onnxruntime"),
        "cuda": ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}, gpu),
        "tensorrt": (
            "TensorrtExecutionProvider",
            {"trt_engine_cache_enable": "1", "trt_engine_cache_path": engines, "trt_fp16_enable": "0"},
            f"{gpu}, and TensorRT",
        ),
        "nvtensorrtrtx": (
            "NvTensorRTRTXExecutionProvider",
            {"nv_runtime_cache_path": engines},
            "install a build of onnxruntime with TensorRT for RTX",
        ),
        "directml": ("DmlExecutionProvider", {}, "pip install onnxruntime-directml in place of onnxruntime (Windows)"),
        "coreml": (
            "CoreMLExecutionProvider",
            {"ModelFormat": "MLProgram"},
            "pip install onnxruntime on macOS",
        ),
    }


def _engines() -> Path:
    """Where providers that compile keep what they made on this machine."""
    return default_folder() / "engines"


class OrtGraph:
    def __init__(self, path: Path, threads: int, choice: str) -> None:
        known = providers()
        if choice not in known:
            raise Unknown("backend", f"onnxruntime:{choice}", [f"onnxruntime:{each}" for each in known])
        provider, settings, source = known[choice]
        _check_there(choice, provider, onnxruntime.get_available_providers(), source)
        if choice != "cpu":
            _engines().mkdir(parents=True, exist_ok=True)
        self._session = onnxruntime.InferenceSession(
            path, options_for(choice, threads), providers=[(provider, settings)]
        )
        # ONNX Runtime only warns when a provider cannot start, and takes the processor: that is refused here.
        _check_there(choice, provider, self._session.get_providers(), source)
        self._session.disable_fallback()
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.identity = Identity("onnxruntime", onnxruntime.__version__, device(choice, provider), "float32")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def options_for(choice: str, threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the game needs its cores between calls
    if choice == "directml":  # it takes neither memory patterns nor parallel execution
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return options


def device(choice: str, provider: str) -> str:
    """The class of device, with its model where ONNX Runtime tells it: bits and proofs are one device's own."""
    if choice == "cpu":
        return f"cpu {platform.machine()}"
    listed: list[Any] = getattr(onnxruntime, "get_ep_devices", list)()
    models = [
        d.device.metadata.get("Description") or f"{d.device.vendor} {d.device.device_id}"
        for d in listed
        if d.ep_name == provider
    ]
    return " ".join([choice, *models[:1]])


def _check_there(choice: str, provider: str, there: list[str], source: str) -> None:
    if provider not in there:
        sentence = f"'onnxruntime:{choice}' needs {provider}; here there are {', '.join(there)}"
        raise Refusal("missing", "backend", sentence, source)


def load(path: Path, threads: int, choice: str = "") -> OrtGraph:
    return OrtGraph(path, threads, choice or "cpu")
