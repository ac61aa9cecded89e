"""A diffusers pipeline as a bundle: parts found, graphs traced, weights stored, parity checked, folder sealed."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch

from ...assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ...assets.inputs import loop_of
from ...assets.manifest import Manifest, Text, Tokenizer
from ...assets.refusal import Refusal
from ...runtime.plans import plan_of_table
from ...runtime.solver import Plan
from ...runtime.solver.samplers import SAMPLERS
from ..families import FAMILIES
from ..folders import replacing
from ..graph import trace
from ..loop import wrap_step
from ..measured import write_measured
from ..precision import PRECISIONS, quantized
from ..report import report_files
from ..texture import FIELD
from ..tokenizer import tokenizer_file
from ..unrolled import unroll
from ..verify import TOLERANCE, check_bundle, installed
from ..weights import GraphFiles
from .beside import axes_of, examples
from .calibrate import trajectories
from .maps import channels_of, maps_of
from .parity import against_pipeline, check, unrolled_name
from .parts import Parts
from .pictures import side_by_side
from .planning import Options, bytes_of, check_unrolled, family_of, graphs_of, parts_of, tables_of, variants_of
from .precisions import SEEDS, precision_figures
from .resume import KEPT_FROM, Kept, Stages, key_of
from .seamless import make_seamless
from .tiling import against_whole, finish_of, tiles_of
from .variants import Variant, against_variants, encoder_of, step_of

GUESS = "height and roughness are guessed from colour, see exporters/materials.py"
FLAT = "the model gives colour only; height and roughness are the same everywhere"
SMALL = 50_000_000
"""Parameters of a denoiser up to which every sampler is verified; of larger ones the recommended tables."""
NEAR = {"fp32": TOLERANCE, "fp16": 0.05, "bf16": 0.2, "int8": 0.5, "int8_weights": 0.5, "int4_weights": 0.5}
"""By precision how far from diffusers a stage may be. Outside float32 rounding grows along a run and depends on the network
(1.1e-4 to 1.4e-2 on the toy of the tests), so these let all of it pass; what is exported wrongly is off by its whole range."""
ONCE = {"text", "encoded", "decoded", "embedding", "unconditional"}
"""Stages that run once, in the precision that graphs beside the denoiser have: no rounding grows there."""
PICTURES = {"decoded", "painted"}


def export_pipeline(pipe: Any, out: Path, options: Options) -> Bundle:
    """Exports into a folder beside `out`, which takes its place when everything is checked.

    Of a large model the traced graphs are kept in OUT.unfinished until then: the same export goes on from them after it was
    stopped.
    """
    parts = parts_of(pipe, options)
    variants = variants_of(pipe, parts, options)
    graphs = graphs_of(parts, variants)
    needed = bytes_of(graphs, options)
    keeps = parts.parameters["step"] >= KEPT_FROM
    nets = {variant.name: net for variant in variants for net in variant.nets}
    key = key_of({**pipe.components, **nets}, asdict(options)) if keeps else None
    with replacing(out) as part:
        _check_space(out, needed + (4 * sum(graphs.values()) if keeps else 0))
        kept = Kept(out.with_name(f"{out.name}.unfinished"), key)
        try:
            _export(pipe, parts, variants, part, options, out.name, kept)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            kept.clear()
            raise _full(out, needed) from error
        except Refusal:
            kept.clear()
            raise
    kept.clear()
    return load_bundle(out)


def _check_space(out: Path, needed: int) -> None:
    there = next(folder for folder in out.absolute().parents if folder.is_dir())
    if shutil.disk_usage(there).free < needed:
        raise _full(out, needed)


def _full(out: Path, needed: int) -> Refusal:
    sentence = f"{out.parent} has no space left; the bundle takes about {max(1, needed >> 20)} MB"
    return Refusal("full", "out", sentence, "free some, or give another")


def _export(
    pipe: Any, parts: Parts, variants: Sequence[Variant], folder: Path, options: Options, name: str, kept: Kept
) -> None:
    family, why = family_of(pipe, parts, options)
    check_unrolled(parts, family, options)
    if options.seamless:
        nets = [net for variant in variants for net in variant.nets]
        make_seamless((parts.step, parts.decode, *nets), options.seamless)
    draw = torch.Generator().manual_seed(0)
    cells = parts.latent.multiple // parts.latent.factor
    rows = 1 if parts.kind == "sound" else 4 * cells
    latent = torch.randn(2, parts.latent.channels, rows, 6 * cells, generator=draw)
    field = {0: "batch", 3: "width"} if parts.kind == "sound" else FIELD
    given = {
        "latent": latent,
        "time": torch.tensor([0.9, 0.1]),
        "condition": torch.randn(2, parts.size + parts.told.shape[1], generator=draw),
    }
    batch = {0: "batch"}
    tokenizers = {
        f"tokenizer_{i}.json": tokenizer_file(t, n, parts.prepare) for i, (t, n) in enumerate(parts.tokenizers)
    }
    tiles = tiles_of(parts, options.tiles, options.seamless)
    reads = {"step": parts.inputs, **{variant.graph: variant.inputs for variant in variants}}
    names = [*parts.graphs, *(["finish"] if tiles else []), *(graph for each in variants for graph in each.graphs)]
    manifest = Manifest(
        name=options.name or name,
        kind=parts.kind,
        process=parts.process,
        prediction=FAMILIES[family].prediction or parts.prediction,  # type: ignore[arg-type]
        latent=parts.latent,
        conditioning=Text(
            tokenizers=[Tokenizer(file, n) for file, (_, n) in zip(tokenizers, parts.tokenizers, strict=True)],
            size=parts.size,
            empty=parts.empty,
            guidance=parts.guidance,
        ),
        recommended=tables_of(pipe, family, options),
        channels=channels_of(parts),
        graphs={graph: f"{graph}.onnx" for graph in names},
        tiles=tiles,
        inputs={name: each for inputs in reads.values() for name, each in inputs.items()},
        reads={graph: list(names) for graph, names in reads.items() if names},
        samples=parts.samples,
        sheet=parts.sheet,
        licence=FAMILIES[family].licence,
        provenance=_provenance(pipe, parts, family, why, options),
    )
    precision = PRECISIONS[options.precision]
    axes = {"latent": field, "time": batch, "condition": batch}

    def denoiser() -> onnx.ModelProto:
        more = examples(parts.inputs, latent, parts.latent.factor)
        step = trace(parts.step, {**given, **more}, ["raw"], {**axes, **axes_of(parts.inputs)})
        return quantized(step, trajectories(parts, manifest)) if precision.static else step

    with Stages(6 + (parts.encode is not None) + len(variants)) as stages:
        with GraphFiles(folder, precision.rest) as graphs:
            stages.begin("denoiser")
            step = kept.graph("step", denoiser)
            graphs.add("step", step, precision.step)
            graphs.add("loop", wrap_step(step))
            if options.unrolled:
                graphs.add(unrolled_name(options.unrolled), unroll(step, _unrolled_plan(manifest, options.unrolled)))
            for variant in variants:
                stages.begin(variant.title)
                made = kept.graph(variant.name, partial(step_of, variant, parts, given, axes))
                graphs.add(variant.graph, made, precision.rest if precision.static else precision.step)
                graphs.add(loop_of(variant.graph), wrap_step(made))
                for which, encoder in variant.encoders.items():
                    graphs.add(which, kept.graph(which, partial(encoder_of, encoder)))
            stages.begin("decoder")
            maps, decoder = {"latent": latent}, maps_of(parts) if tiles is None else parts.decode
            graphs.add("decode", kept.graph("decode", lambda: trace(decoder, maps, ["maps"], {"latent": field})))
            if tiles is not None:
                colours = {"colours": torch.rand(2, 3, 32, 48, generator=draw)}
                graphs.add("finish", trace(finish_of(parts), colours, ["maps"], {"colours": FIELD}))
            encode = parts.encode
            if encode is not None:
                stages.begin("picture encoder")
                image = torch.rand(2, 3, 2 * parts.latent.multiple, 3 * parts.latent.multiple, generator=draw)
                pictures = {"image": image}
                made = kept.graph("encode_image", lambda: trace(encode, pictures, ["latent"], {"image": FIELD}))
                graphs.add("encode_image", made)
            stages.begin("text encoder")
            tokens = {"tokens": torch.ones(2, parts.tokens)}
            text = kept.graph("encode_text", lambda: trace(parts.encode_text, tokens, ["condition"], {"tokens": batch}))
            graphs.add("encode_text", text)
        bundle = write_bundle(folder, manifest, tokenizers, graphs.names)
        stages.begin("against diffusers")
        small = parts.parameters["step"] <= SMALL
        backends = installed() if small else installed()[:1]
        seeds = range(SEEDS[0], SEEDS[0] + (options.seeds or (len(SEEDS) if small else 1)))
        compared = against_pipeline(pipe, bundle, parts, seeds, backends)
        errors = {**compared.errors, **against_variants(pipe, variants, bundle, parts)}
        judge(errors, compared.means, options.precision)
        stages.begin("verify")
        tiled = {} if tiles is None else {"tiles": against_whole(bundle, tiles)}
        samplers = SAMPLERS if small else ()
        report = check_bundle(
            bundle,
            {**tiled, "seeds": list(seeds), "diffusers": errors, "diffusers_mean": compared.means},
            samplers,
        )
        bundle = add_files(bundle, report_files(report))
        stages.begin("measure")
        files = {}
        if compared.theirs is not None and parts.kind != "sound":
            files["pictures.png"] = side_by_side(compared.ours, compared.theirs)
        figures = precision_figures(bundle, parts) if small and options.precision == "fp32" else {}
        write_measured(bundle, report, files, {"export_seconds": stages.told(), "precisions": figures})
        stages.begin("")


def judge(errors: Mapping[str, Any], means: Mapping[str, float], precision: str) -> None:
    """Refuses an export whose errors against diffusers, by stage, are more than its precision explains.

    Outside float32 a picture is judged by its mean: where an edge moves by a pixel, that is as far off as a wrong picture's.
    """
    for stage, error in errors.items():
        said = set(stage.split(", "))
        judged = means.get(stage, error) if said & PICTURES and precision != "fp32" else error
        check({stage: judged}, NEAR[PRECISIONS[precision].rest if said & ONCE else precision])


def _unrolled_plan(manifest: Manifest, steps: int) -> Plan:
    table = next(table for table in manifest.recommended if table.steps == steps)
    return plan_of_table(manifest, table, table.guidance)


def _provenance(pipe: Any, parts: Parts, family: str, why: str, options: Options) -> dict[str, Any]:
    return {
        "pipeline": type(pipe).__name__,
        "family": family,
        "family_why": why,
        "family_source": FAMILIES[family].source,
        "sale": FAMILIES[family].sale,
        "precision": options.precision,
        "seamless": options.seamless,
        **({"materials": GUESS if parts.materials else FLAT} if parts.kind != "sound" else {}),
        **parts.notes,
    }
