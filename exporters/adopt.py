"""A foreign ONNX denoiser as a bundle, by description alone: `cadenza export denoiser.onnx --adopt manifest.toml`.

The description says what the graph's inputs are called, how it is preconditioned, on which process it was trained and what
its output means; exporters/EXPORT.md has an example. Nothing of torch is needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import compose, helper

from ..assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ..assets.manifest import Channel, Flow, Latent, Manifest, Recommended, Ve, Vp, Words
from ..assets.refusal import Refusal, Unknown
from .folders import replacing
from .loop import Nodes, value_info, wrap_step
from .report import report_files
from .verify import check_bundle
from .weights import GraphFiles, graphs_of

CHANNELS = ("albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic")


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the foreign graph calls things; without `condition` it has none."""

    latent: str
    time: str
    output: str
    condition: str = ""


class Preconditioning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """none: the graph answers for (noisy, time) as they are. edm, consistency: it is the network inside c_skip and c_out.

    Karras et al. 2022, table 1, https://arxiv.org/abs/2206.00364; Song et al., "Consistency models", 2023, appendix C,
    https://arxiv.org/abs/2303.01469
    """

    kind: Literal["none", "edm", "consistency"] = "none"
    sigma_data: float = 0.5
    sigma_min: float = 0.002


class Pixels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Height in [0, 1] = clean latent * scale + offset, cut there."""

    scale: float = 0.5
    offset: float = 0.5


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file. `words` name the condition's numbers, which a prompt sets by strength: "roughness 0.7"."""

    name: str
    kind: Literal["heightmap"]
    process: Vp | Ve | Flow
    prediction: Literal["epsilon", "v", "x0", "flow"]
    inputs: Names
    latent: Latent
    words: list[str]
    recommended: list[Recommended]
    preconditioning: Preconditioning = Preconditioning()
    pixels: Pixels = Pixels()
    licence: str = ""


def adopt(source: Path, description: Path, out: Path) -> Bundle:
    """The foreign graph of a file as a verified bundle in the folder `out`."""
    told, step = opened(source, description)
    manifest = Manifest(
        name=told.name,
        kind=told.kind,
        process=told.process,
        prediction=told.prediction,
        latent=told.latent,
        conditioning=Words(words=told.words, materials=len(told.words)),
        recommended=told.recommended,
        channels=[Channel(name=name) for name in CHANNELS],
        graphs={name: f"{name}.onnx" for name in ("step", "loop", "decode")},
        licence=told.licence,
        provenance={"adopted": source.name, "preconditioning": msgspec.to_builtins(told.preconditioning)},
    )
    with replacing(out) as part:
        with GraphFiles(part, "fp32") as graphs:
            graphs.add("step", step)
            graphs.add("loop", wrap_step(step))
            graphs.add("decode", _decode(told, step))
        bundle = write_bundle(part, manifest, {}, graphs.names)
        add_files(bundle, report_files(check_bundle(bundle)))
    return load_bundle(out)


def plan_adoption(source: Path, description: Path) -> dict[str, Any]:
    """What would be made, and how large: for --dry-run."""
    told, step = opened(source, description)
    return {
        "name": told.name,
        "kind": told.kind,
        "words": told.words,
        "steps": [table.steps for table in told.recommended],
        "bytes": sum(tensor.ByteSize() for graph in graphs_of(step.graph) for tensor in graph.initializer),
        "sizes": [told.latent.minimum, told.latent.maximum, told.latent.multiple],
        "licence": told.licence,
    }


def opened(source: Path, description: Path) -> tuple[Description, onnx.ModelProto]:
    """The description, and the foreign graph as a step of the bundle's contract."""
    told = read(description)
    try:
        foreign = onnx.load(source)
        onnx.checker.check_model(foreign)
    except (onnx.checker.ValidationError, ValueError, TypeError, OSError, DecodeError) as error:
        first = str(error).strip().split("\n")[0][:200]
        raise Refusal("corrupt", "source", f"{source} is no ONNX model: {first}", "export it again") from error
    return told, _step(foreign, told)


def read(path: Path) -> Description:
    try:
        return convert(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is no text"
        raise Refusal("missing", "adopt", f"{path}: {what}", "give a description, see exporters/EXPORT.md") from error
    except tomllib.TOMLDecodeError as error:
        raise Refusal("corrupt", "adopt", f"{path} is no TOML: {error}", "see exporters/EXPORT.md") from error
    except msgspec.ValidationError as error:
        sentence, _, at = str(error).partition(" - at `$.")
        raise Refusal("type", f"adopt.{at.rstrip('`')}".rstrip("."), sentence, "see exporters/EXPORT.md") from error


def convert(text: str) -> Description:
    return msgspec.convert(tomllib.loads(text), Description)


def _step(foreign: onnx.ModelProto, told: Description) -> onnx.ModelProto:
    """A graph of the bundle's contract: latent, time, condition to raw, around the foreign one."""
    inside = compose.add_prefix(foreign, "foreign.", rename_nodes=False)
    inputs = {value.name: value for value in foreign.graph.input}
    names = [told.inputs.latent, told.inputs.time, *([told.inputs.condition] if told.inputs.condition else [])]
    for name in names:
        if name not in inputs:
            raise Unknown("adopt.inputs", name, inputs)
    for name in inputs:
        if name not in names:
            raise Refusal(
                "unsupported", "adopt.inputs", f"the graph has another input {name!r}", f"describe {', '.join(inputs)}"
            )
    if told.inputs.output not in {value.name for value in foreign.graph.output}:
        raise Unknown("adopt.inputs.output", told.inputs.output, [value.name for value in foreign.graph.output])
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
    """maps (B, 6, H, W): the height, grey as its albedo, wholly rough and not metallic."""
    n = Nodes("decode_")
    low, high = n.constant(0.0, np.float32), n.constant(1.0, np.float32)
    scaled = n.do("Mul", "latent", n.constant(told.pixels.scale, np.float32))
    height = n.do("Clip", n.do("Add", scaled, n.constant(told.pixels.offset, np.float32)), low, high)
    none = n.do("Mul", height, low)
    n.do("Concat", height, height, height, height, n.do("Add", none, high), none, out="maps", axis=1)
    graph = helper.make_graph(
        n.nodes, "height", [value_info("latent", "batch", told.latent.channels, "height", "width")],
        [value_info("maps", "batch", len(CHANNELS), "height", "width")], n.constants,
    )  # fmt: skip
    return _model(graph, step)


def _model(graph: onnx.GraphProto, like: onnx.ModelProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)
    model.producer_name = ""
    return model
