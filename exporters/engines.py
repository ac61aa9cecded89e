"""Engines of a bundle's graphs, built ahead of time: they become files of the bundle, and none is built inside a request.

Shapes of TensorRT's engines are static, one engine for each: the default of dynamic shapes swaps kernels while a session
runs. Building again need not give the same bytes, so an engine's digest is part of the bundle.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from tqdm import tqdm

from ..assets.bundle import Bundle, add_files
from ..assets.inputs import loop_of
from ..assets.manifest import SOUND, Engine, grain_shape, input_shapes
from ..assets.refusal import OutOfRange, Refusal, Unknown
from ..runtime.engine.backends import BACKENDS
from ..runtime.plans import plan_of_table
from .tensorrt import KINDS, build, check_targets

FOLDER = "engines"
IR = "openvino"
"""The kind that is OpenVINO's intermediate representation: shapes are free, for every processor."""
KIBIBYTE = 1024
USUAL_SIZE = 256
"""Pixels a side."""


@dataclass(frozen=True)
class Wanted:
    """
    kind           a name of KINDS (tensorrt.py), or openvino
    size, batches  pixels a side, of a sound samples, and batch sizes; an engine of TensorRT has one of each. Size 0 is USUAL_SIZE
                   or the nearest that the bundle makes, of a sound the longest
    targets        compute capabilities, where the kind builds for GPUs that are not here
    shared_memory  KiB of shared memory that a kernel may take, for inference while a game draws; 0 for no limit
    graphs         names; all that are evaluated step by step, their loops and the decoder without
    """

    kind: str = "tensorrt-rtx"
    size: int = 0
    batches: Sequence[int] = (1,)
    targets: Sequence[str] = ()
    shared_memory: int = 0
    graphs: Sequence[str] = ()


def add_engines(bundle: Bundle, wanted: Wanted) -> Bundle:
    """The bundle with these engines. The loop's engine runs the plan of the last recommended table, unguided."""
    graphs = _graphs(bundle, wanted)
    if wanted.kind == IR:
        return _add_ir(bundle, graphs)
    if wanted.kind not in KINDS:
        raise Unknown("kind", wanted.kind, (*KINDS, IR))
    size = _size(bundle, wanted.size)
    for batch in wanted.batches:
        if not 1 <= batch <= 64:
            raise OutOfRange("batch", batch, "1 to 64")
    targets = check_targets(wanted.kind, wanted.targets, wanted.shared_memory)
    engines, files = [], {}
    jobs = [(graph, batch) for graph in graphs for batch in dict.fromkeys(wanted.batches)]
    limit = f"_shared{wanted.shared_memory}" if wanted.shared_memory else ""
    for graph, batch in tqdm(jobs, desc="engines", unit="engine"):
        shapes = shapes_of(bundle, graph, size, batch)
        name = f"{FOLDER}/{graph}_{size}_{batch}{limit}.{KINDS[wanted.kind].ending}"
        shared = wanted.shared_memory * KIBIBYTE
        files[name] = build(wanted.kind, bundle.path(graph), shapes, targets, shared)
        sides = {name: list(shape) for name, shape in shapes.items()}
        engines.append(Engine(graph, name, wanted.kind, list(targets), sides, shared))
    return _with(bundle, engines, files)


def _size(bundle: Bundle, asked: int) -> int:
    latent = bundle.manifest.latent
    if asked == 0:
        nearest = latent.maximum if bundle.manifest.kind == SOUND else min(USUAL_SIZE, latent.maximum)
        return max(nearest // latent.multiple * latent.multiple, latent.minimum)
    if not latent.minimum <= asked <= latent.maximum or asked % latent.multiple:
        valid = f"a multiple of {latent.multiple} from {latent.minimum} to {latent.maximum} for this bundle"
        raise OutOfRange("size", asked, valid)
    return asked


def _graphs(bundle: Bundle, wanted: Wanted) -> list[str]:
    """The graphs that are asked for; of an IR those that a runtime opens, which runs the loop itself."""
    steps = list(bundle.steps.values())
    there = [*steps, *map(loop_of, steps), "decode"]
    if wanted.kind == IR:
        there = [name for name in bundle.manifest.graphs if not name.startswith("loop")]
    known = [name for name in there if name in bundle.manifest.graphs]
    for name in wanted.graphs:
        if name not in known:
            raise Unknown("graph", name, known)
    return list(wanted.graphs) or known


def _add_ir(bundle: Bundle, graphs: Sequence[str]) -> Bundle:
    """The graphs as OpenVINO reads them soonest. What it compiles of one is kept on each machine (backends/openvino.py)."""
    package, remedy = BACKENDS[IR]
    try:
        import openvino
    except ImportError:
        raise Refusal("missing", "engines", f"needs the package {package}", remedy) from None
    engines, files = [], {}
    for graph in tqdm(graphs, desc="engines", unit="engine"):
        model = openvino.Core().read_model(str(bundle.path(graph)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{graph}.xml"
            openvino.save_model(model, str(path), compress_to_fp16=False)  # weights stay as they are stored
            for part in (path, path.with_suffix(".bin")):
                files[f"{FOLDER}/{part.name}"] = part.read_bytes()
        engines.append(Engine(graph, f"{FOLDER}/{path.name}", IR, [], {}))
    return _with(bundle, engines, files)


def _with(bundle: Bundle, engines: Sequence[Engine], files: Mapping[str, bytes]) -> Bundle:
    kept = [engine for engine in bundle.manifest.engines if engine.file not in files]
    manifest = msgspec.structs.replace(bundle.manifest, engines=[*kept, *engines])
    return add_files(replace(bundle, manifest=manifest), files)


def shapes_of(bundle: Bundle, graph: str, size: int, batch: int) -> dict[str, tuple[int, ...]]:
    """The static shape of each input of a graph."""
    manifest = bundle.manifest
    side = size // manifest.latent.factor
    rows = 1 if manifest.kind == SOUND else side
    if graph == "decode":
        if manifest.tiles is not None:
            side = rows = min(side, manifest.tiles.cells)
        grain = grain_shape(manifest, rows, side)
        field = (batch, manifest.latent.channels, rows, side)
        return {"latent": field, **({} if grain is None else {"noise": (batch, *grain)})}
    field = (batch, manifest.latent.channels, rows, side)
    looped = graph.startswith("loop")
    step = f"step{graph.removeprefix('loop')}" if looped else graph
    given = {"condition": (bundle.condition_size,), **input_shapes(manifest, step, rows, side)}
    if not looped:
        return {"latent": field, "time": (batch,), **{name: (batch, *shape) for name, shape in given.items()}}
    table = manifest.recommended[-1]
    plan = plan_of_table(manifest, table)
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
