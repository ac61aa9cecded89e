"""TensorRT-RTX engines of a bundle's graphs, built ahead of time on a machine with or without a GPU.

Shapes are static, one engine for each: the default of dynamic shapes swaps kernels while a session runs. No timing cache
is used, which would ask for a GPU. Building again need not give the same bytes, so an engine's digest is part of the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from ..assets.bundle import Bundle, add_files
from ..assets.manifest import SOUND, Engine, grain_shape, input_shapes
from ..assets.refusal import OutOfRange, Refusal, Unknown
from ..runtime.resolve import process_of
from ..runtime.solver import compile_plan

TARGETS = {"7.5": "SM75", "8.0": "SM80", "8.6": "SM86", "8.9": "SM89", "12.0": "SM120"}
"""Compute capabilities and TensorRT-RTX's names of them."""
USUAL = ("8.0", "8.6", "8.9", "12.0")
GRAPHS = ("step", "loop", "decode")


def add_engines(bundle: Bundle, size: int, batches: Sequence[int] = (1,), targets: Sequence[str] = USUAL) -> Bundle:
    """The bundle with an engine of each graph for this size (pixels, of a sound samples) and these batch sizes, each for all
    targets.

    The loop's engine runs the plan of the bundle's last recommended table, unguided.
    """
    for target in targets:
        if target not in TARGETS:
            raise Unknown("target", target, TARGETS)
    latent = bundle.manifest.latent
    if not latent.minimum <= size <= latent.maximum or size % latent.multiple:
        valid = f"a multiple of {latent.multiple} from {latent.minimum} to {latent.maximum} for this bundle"
        raise OutOfRange("size", size, valid)
    if find_spec("tensorrt_rtx") is None:
        raise Refusal("missing", "engines", "needs the package tensorrt_rtx", "pip install tensorrt-rtx")
    jobs = [(graph, batch) for graph in GRAPHS if graph in bundle.manifest.graphs for batch in batches]
    files: dict[str, bytes] = {}
    engines: list[Engine] = []
    for graph, batch in tqdm(jobs, desc="engines", unit="engine"):
        shapes = shapes_of(bundle, graph, size, batch)
        name = f"engines/{graph}_{size}_{batch}.rtx"
        files[name] = build(bundle.path(graph), shapes, targets)
        engines.append(Engine(graph, name, "tensorrt-rtx", list(targets), {k: list(s) for k, s in shapes.items()}))
    kept = [engine for engine in bundle.manifest.engines if engine.file not in files]
    manifest = msgspec.structs.replace(bundle.manifest, engines=[*kept, *engines])
    return add_files(replace(bundle, manifest=manifest), files)


def shapes_of(bundle: Bundle, graph: str, size: int, batch: int) -> dict[str, tuple[int, ...]]:
    """The static shape of each input of a graph."""
    manifest = bundle.manifest
    side = size // manifest.latent.factor
    rows = 1 if manifest.kind == SOUND else side
    field = (batch, manifest.latent.channels, rows, side)
    if graph == "decode":
        grain = grain_shape(manifest, rows, side)
        return {"latent": field, **({} if grain is None else {"noise": (batch, *grain)})}
    given = {"condition": (bundle.condition_size,), **input_shapes(manifest, "step", rows, side)}
    if graph == "step":
        return {"latent": field, "time": (batch,), **{name: (batch, *shape) for name, shape in given.items()}}
    table = manifest.recommended[-1]
    plan = compile_plan(
        table.sampler, {"times": table.times}, table.steps, process_of(manifest), manifest.prediction,
        eta=table.eta, **dict[str, Any](table.options),
    )  # fmt: skip
    noises = max(1, plan.draws.shape[1])
    return {
        "head": (plan.slots, 2 + noises),
        "begin": (2 + noises, *field),
        "read": (plan.rows, plan.slots),
        "time": (plan.rows,),
        "mix": (plan.rows, plan.slots, plan.slots + 1 + noises),
        "noise": (plan.rows, noises, *field),
        **{name: (1, batch, *shape) for name, shape in given.items()},
    }


def build(path: Path, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[str]) -> bytes:
    """The serialised engine of an ONNX file at static shapes for these compute capabilities."""
    import tensorrt_rtx as trt

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    if not parser.parse_from_file(str(path)):
        raise Refusal(
            "unsupported", f"engines.{path.name}", parser.get_error(0).desc(), "build engines of the other graphs"
        )
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for index in range(network.num_inputs):
        shape = shapes[network.get_input(index).name]
        profile.set_shape(network.get_input(index).name, shape, shape, shape)
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        config.set_compute_capability(getattr(trt.ComputeCapability, TARGETS[target]), index)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise Refusal("unsupported", f"engines.{path.name}", "TensorRT-RTX built nothing", "see its log above")
    return bytes(engine)
