"""A foreign ONNX denoiser as a bundle, by description alone: `cadenza export denoiser.onnx --adopt manifest.toml`.

The description says what the graph's inputs are called, how it is preconditioned, on which process it was trained and what
its output means; exporters/EXPORT.md has an example. Nothing of torch is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, compose, helper, inliner, version_converter

from ..assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ..assets.manifest import Channel, Flow, Manifest, Ve, Words
from ..assets.maps import REACH
from ..assets.refusal import OutOfRange, Refusal, Unknown
from ..runtime.engine.backends import open_backend
from ..runtime.plans import plan_of_table
from .description import CHANNELS, Description, Preconditioning, coloured, maps_of, read
from .errors import first_line
from .folders import replacing
from .loop import Nodes, value_info, wrap_step
from .report import report_files
from .verify import check_bundle
from .weights import GraphFiles

OPSET = 15
"""The lowest that the nodes around a foreign graph are of: the loop's Shape has a start."""


def adopt(source: Path, description: Path, out: Path) -> Bundle:
    """The foreign graph of a file as a verified bundle in the folder `out`."""
    with replacing(out) as part:
        bundle = _write(source, description, part)
        add_files(bundle, report_files(check_bundle(bundle)))
    return load_bundle(out)


def plan_adoption(source: Path, description: Path) -> dict[str, Any]:
    """What would be made, and how large: for --dry-run."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = _write(source, description, Path(folder) / "bundle")
        size = sum((bundle.folder / name).stat().st_size for name in bundle.manifest.files)
    made, latent = bundle.manifest, bundle.manifest.latent
    return {
        "name": made.name,
        "kind": made.kind,
        "words": made.conditioning.words if isinstance(made.conditioning, Words) else [],
        "steps": [table.steps for table in made.recommended],
        "bytes": size,
        "sizes": [latent.minimum, latent.maximum, latent.multiple],
        "licence": made.licence,
    }


def _write(source: Path, description: Path, folder: Path) -> Bundle:
    """The bundle without its report; a description that does not fit the graph is refused."""
    told = read(description)
    try:
        foreign = onnx.load(source)
        onnx.checker.check_model(foreign)
    except (onnx.checker.ValidationError, ValueError, TypeError, OSError, DecodeError) as error:
        raise Refusal(
            "corrupt", "source", f"{source} is no ONNX model: {first_line(error)}", "export it again"
        ) from error
    _check_description(told)
    step = _step(_plain(foreign), told)
    manifest = Manifest(
        name=told.name,
        kind=told.kind,
        process=told.process,
        prediction=told.prediction,
        latent=told.latent,
        conditioning=Words(words=told.words, materials=len(told.words)),
        recommended=told.recommended,
        channels=[Channel(name=n, encoding="srgb" if coloured(told, n) else "linear") for n in CHANNELS],
        graphs={name: f"{name}.onnx" for name in ("step", "loop", "decode")},
        licence=told.licence,
        provenance={"adopted": source.name, "preconditioning": msgspec.to_builtins(told.preconditioning)},
    )
    _check_times(manifest)
    with GraphFiles(folder, "fp32") as graphs:
        graphs.add("step", step)
        graphs.add("loop", wrap_step(step))
        graphs.add("decode", _decode(told, step))
    bundle = write_bundle(folder, manifest, {}, graphs.names)
    _try(bundle)
    return bundle


def _check_description(told: Description) -> None:
    """Refuses what is described of sizes and preconditioning and cannot be so."""
    least, how = REACH, told.preconditioning.kind
    if told.latent.minimum < least:
        raise OutOfRange("adopt.latent.minimum", told.latent.minimum, f"{least} pixels or more: so far occlusion looks")
    if how == "none":
        return
    if not isinstance(told.process, Ve):
        kind = type(told.process).__name__.lower()
        sentence = f'{how!r} reads time as the noise ratio of a "ve" process, and the process is {kind!r}'
        remedy = 'describe the process as "ve", or give "none" where the graph does it itself'
        raise Refusal("contradiction", "adopt.preconditioning.kind", sentence, remedy)
    if told.prediction != "x0":
        sentence = f"{told.prediction!r} is not what comes out of {how!r} preconditioning, which is the clean latent"
        raise Refusal("contradiction", "adopt.prediction", sentence, 'give "x0"')


def _plain(foreign: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without functions of its own, which a bundle's graphs have no place for, and in OPSET or above."""
    if foreign.functions:
        foreign = inliner.inline_local_functions(foreign, convert_version=True)
    if foreign.functions:
        names = ", ".join(function.name for function in foreign.functions)
        raise Refusal("unsupported", "source", f"has functions of its own, {names}", "export it with operators only")
    opset = next((each.version for each in foreign.opset_import if each.domain in ("", "ai.onnx")), OPSET)
    if opset >= OPSET:
        return foreign
    try:
        return version_converter.convert_version(foreign, OPSET)
    except Exception as error:  # the converter's errors have no common type
        sentence = f"is of opset {opset} and does not become opset {OPSET}: {first_line(error)}"
        raise Refusal("unsupported", "source", sentence, f"export it with opset {OPSET} or above") from error


def _check_times(manifest: Manifest) -> None:
    """Refuses tables that no sampler runs, and times that the network was not trained at."""
    told = manifest.process
    most = told.sigma_max if isinstance(told, Ve) else 1.0 if isinstance(told, Flow) else len(told.alphas_cumprod) - 1
    for table in manifest.recommended:
        for name, times in table.lists().items():
            plan_of_table(manifest, table, table.guidance, times)
            if times and not 0.0 <= times[0] <= most:
                raise OutOfRange(f"adopt.recommended.{name}", times, f"0 to {most:g} on this process")


def _try(bundle: Bundle) -> None:
    """Runs the step once, at the smallest size: what the description gets wrong shows there."""
    latent = bundle.manifest.latent
    cells = latent.minimum // latent.factor
    field = np.zeros((2, latent.channels, cells, cells), np.float32)
    words = np.zeros((2, bundle.condition_size), np.float32)
    times = np.full(2, bundle.manifest.recommended[0].times[0], np.float32)
    try:
        step = open_backend("onnxruntime")(bundle.path("step"), 1)
        raw = step.run({"latent": field, "time": times, "condition": words})["raw"]
        maps = open_backend("onnxruntime")(bundle.path("decode"), 1).run({"latent": field})["maps"]
        open_backend("onnxruntime")(bundle.path("loop"), 1)
    except Refusal:
        raise
    except Exception as error:  # ONNX Runtime's errors have no common type
        sentence = f"the graph does not run as it is described: {first_line(error)}"
        raise Refusal("contradiction", "adopt", sentence, "look at latent, words and inputs") from error
    if raw.shape != field.shape:
        sentence = f"the graph answers {raw.shape} to {field.shape}, (batch, channels, height, width)"
        raise Refusal("contradiction", "adopt.latent", sentence, "describe the latent as it is")
    if maps.shape[2] != cells * latent.factor:
        sentence = f"is {latent.factor} pixels a cell, and the maps of {cells} cells have {maps.shape[2]} pixels"
        raise Refusal("contradiction", "adopt.latent.factor", sentence, f"give {maps.shape[2] // cells}")


def _step(foreign: onnx.ModelProto, told: Description) -> onnx.ModelProto:
    """A graph of the bundle's contract: latent, time, condition to raw, around the foreign one."""
    inside = compose.add_prefix(foreign, "foreign.", rename_nodes=False)
    weights = {tensor.name for tensor in foreign.graph.initializer}  # which old exporters list among the inputs, too
    inputs = {value.name: value for value in foreign.graph.input if value.name not in weights}
    outputs = {value.name: value for value in foreign.graph.output}
    names = [told.inputs.latent, told.inputs.time, *([told.inputs.condition] if told.inputs.condition else [])]
    if bool(told.words) != bool(told.inputs.condition):
        sentence = "words and the input `condition` go together: a word for each of its numbers"
        raise Refusal("contradiction", "adopt.words", sentence, "give both or neither")
    for name in names:
        if name not in inputs:
            raise Unknown("adopt.inputs", name, inputs)
    for name in inputs:
        if name not in names:
            raise Refusal(
                "unsupported", "adopt.inputs", f"the graph has another input {name!r}", f"describe {', '.join(inputs)}"
            )
    if told.inputs.output not in outputs:
        raise Unknown("adopt.inputs.output", told.inputs.output, outputs)
    for value in (inputs[told.inputs.latent], outputs[told.inputs.output]):
        kind = value.type.tensor_type.elem_type
        if kind != TensorProto.FLOAT:
            found = TensorProto.DataType.Name(kind).lower()
            sentence = f"is {found}, and what goes into a network and comes out of it is float32"
            raise Refusal("unsupported", f"source.{value.name}", sentence, "export it in float32")
    if inputs[told.inputs.latent].type.tensor_type.shape.dim[0].dim_value:
        raise Refusal(
            "unsupported", f"source.{told.inputs.latent}", "has a fixed batch", "export it with a dynamic batch"
        )
    n = Nodes("step_")
    noisy, time, finish = _precondition(n, told.preconditioning)
    n.do("Identity", noisy, out=f"foreign.{told.inputs.latent}")
    _fit(n, time, inputs[told.inputs.time], f"foreign.{told.inputs.time}")
    if told.inputs.condition:
        _fit(n, "condition", inputs[told.inputs.condition], f"foreign.{told.inputs.condition}")
    before = len(n.nodes)
    finish(f"foreign.{told.inputs.output}")
    field: list[int | str] = ["batch", told.latent.channels, "height", "width"]
    graph = helper.make_graph(
        [*n.nodes[:before], *inside.graph.node, *n.nodes[before:]],
        "adopted",
        [value_info("latent", *field), value_info("time", "batch"), value_info("condition", "batch", len(told.words))],
        [value_info("raw", *field)],
        [*n.constants, *inside.graph.initializer],
    )
    return _model(graph, foreign)


def _precondition(n: Nodes, how: Preconditioning) -> tuple[str, str, Callable[[str], str]]:
    """(what the network reads, what it is told, a function that ends the graph with its answer)."""
    if how.kind == "none":
        return "latent", "time", lambda answer: n.do("Identity", answer, out="raw")

    def number(value: float) -> str:
        return n.constant(value, np.float32)

    spread = number(how.sigma_data**2)
    axes = n.constant([1, 2, 3])
    sigma = n.do("Unsqueeze", "time", axes)
    root = n.do("Sqrt", n.do("Add", n.do("Mul", sigma, sigma), spread))
    above = n.do("Sub", sigma, number(how.sigma_min if how.kind == "consistency" else 0.0))
    skip = n.do("Div", spread, n.do("Add", n.do("Mul", above, above), spread))
    out = n.do("Div", n.do("Mul", above, number(how.sigma_data)), root)
    told = n.do("Mul", n.do("Log", "time"), number(0.25))

    def finish(answer: str) -> str:
        return n.do("Add", n.do("Mul", skip, "latent"), n.do("Mul", out, answer), out="raw")

    return n.do("Div", "latent", root), told, finish


def _fit(n: Nodes, value: str, target: onnx.ValueInfoProto, out: str) -> None:
    """(B, ...) in the target's rank and type, behind the batch axis as many numbers as there are."""
    rank, kind = len(target.type.tensor_type.shape.dim), target.type.tensor_type.elem_type
    if rank == 0:
        raise Refusal("unsupported", f"source.{target.name}", "has no batch axis", "export it with one number a sample")
    shape = n.constant([-1] if rank == 1 else [0, -1, *[1] * (rank - 2)])
    n.do("Cast", n.do("Reshape", value, shape), out=out, to=kind)


def _decode(told: Description, step: onnx.ModelProto) -> onnx.ModelProto:
    """maps (B, 6, H, W): those the latent has. Without colours the height is grey; without height it is 0.5 everywhere, and
    the rest is wholly rough and not metallic."""
    n = Nodes("decode_")
    low, high = n.constant(0.0, np.float32), n.constant(1.0, np.float32)
    scaled = n.do("Mul", "latent", n.constant(told.pixels.scale, np.float32))
    cut = n.do("Clip", n.do("Add", scaled, n.constant(told.pixels.offset, np.float32)), low, high)
    maps = maps_of(told)
    found = {name: n.do("Gather", cut, n.constant([at]), axis=1) for at, name in enumerate(maps)}
    none = n.do("Mul", found[maps[0]], low)
    height = found.setdefault("height", n.do("Add", none, n.constant(0.5, np.float32)))
    rest = {"roughness": n.do("Add", none, high), "metallic": none}
    n.do("Concat", *(found.get(name) or rest.get(name, height) for name in CHANNELS), out="maps", axis=1)
    graph = helper.make_graph(
        n.nodes, "maps", [value_info("latent", "batch", told.latent.channels, "height", "width")],
        [value_info("maps", "batch", len(CHANNELS), "height", "width")], n.constants,
    )  # fmt: skip
    return _model(graph, step)


def _model(graph: onnx.GraphProto, like: onnx.ModelProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)
    model.producer_name = ""
    return model
