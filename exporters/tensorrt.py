"""TensorRT and TensorRT-RTX: serialised engines of ONNX files at static shapes.

TensorRT-RTX builds for GPUs that are not here, and asks for none; no timing cache is used, which would. TensorRT builds for
the GPU that it finds. NVIDIA, "TensorRT for RTX", https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..assets.refusal import OutOfRange, Refusal, Unknown


@dataclass(frozen=True)
class Kind:
    """`ahead` says that it builds for other GPUs than that of this machine."""

    module: str
    remedy: str
    ending: str
    ahead: bool


KINDS = {
    "tensorrt-rtx": Kind("tensorrt_rtx", "pip install 'cadenza[tensorrt]', or tensorrt-rtx alone", "rtx", ahead=True),
    "tensorrt": Kind("tensorrt", "pip install tensorrt", "plan", ahead=False),
}
TARGETS = {"7.5": "SM75", "8.0": "SM80", "8.6": "SM86", "8.9": "SM89", "12.0": "SM120"}
"""Compute capabilities and TensorRT-RTX's names of them."""
USUAL = ("8.0", "8.6", "8.9", "12.0")
BESIDE_GRAPHICS = {"8": 48, "12": 84}
"""KiB of shared memory that a kernel may take while the same GPU draws, by generation; none may before. On generation 12 more
than 48 needs a queue of high priority. https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/compute-graphics.html
"""


def check_targets(kind: str, targets: Sequence[str], shared_memory: int) -> list[str]:
    """The compute capabilities to build for: those asked for, the usual, or that of the GPU here. `shared_memory` in KiB."""
    for target in targets:
        if target not in TARGETS:
            raise Unknown("target", target, TARGETS)
    chosen = list(dict.fromkeys(targets)) or list(USUAL)
    if not KINDS[kind].ahead:
        here = gpus()
        if not here:
            sentence = f"{kind} builds for the GPU that it runs on, and there is none here"
            raise Refusal("missing", "engines", sentence, "take --kind tensorrt-rtx, which needs none")
        if targets and list(targets) != here[:1]:
            sentence = f"{kind} builds for the GPU here, which has {here[0]}"
            raise Refusal("contradiction", "target", sentence, "leave it out, or take --kind tensorrt-rtx")
        chosen = here[:1]
    if shared_memory:
        for target in chosen:
            most = BESIDE_GRAPHICS.get(target.partition(".")[0], 0)
            if not most:
                sentence = f"a GPU of {target} cannot compute while it draws"
                raise Refusal("unsupported", "shared_memory", sentence, "leave one of both out")
            if not 1 <= shared_memory <= most:
                raise OutOfRange("shared_memory", shared_memory, f"1 to {most} KiB for {target}")
    if find_spec(KINDS[kind].module) is None:
        raise Refusal("missing", "engines", f"needs the package {KINDS[kind].module}", KINDS[kind].remedy)
    return chosen


def gpus() -> list[str]:
    """Compute capabilities of the GPUs that the CUDA driver of this machine names; none where there is no driver."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count, found = ctypes.c_int(0), []
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return []
        for device in range(count.value):
            major, minor = ctypes.c_int(0), ctypes.c_int(0)
            if not driver.cuDeviceComputeCapability(ctypes.byref(major), ctypes.byref(minor), device):
                found.append(f"{major.value}.{minor.value}")
        return found
    return []


def build(
    kind: str, path: Path, shapes: Mapping[str, Sequence[int]], targets: Sequence[str], shared_memory: int = 0
) -> bytes:
    """The serialised engine of an ONNX file for these compute capabilities; `shared_memory` in bytes, 0 for no limit."""
    trt: Any = importlib.import_module(KINDS[kind].module)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    if not parser.parse_from_file(str(path)):
        raise Refusal(
            "unsupported", f"engines.{path.name}", parser.get_error(0).desc(), "build engines of the other graphs"
        )
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for index in range(network.num_inputs):
        name = network.get_input(index).name
        profile.set_shape(name, *[tuple(shapes[name])] * 3)
    config.add_optimization_profile(profile)
    if shared_memory:
        config.set_memory_pool_limit(trt.MemoryPoolType.TACTIC_SHARED_MEMORY, shared_memory)
    if KINDS[kind].ahead:
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(getattr(trt.ComputeCapability, TARGETS[target]), index)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise Refusal("unsupported", f"engines.{path.name}", "TensorRT built nothing", "see its log above")
    return bytes(engine)
