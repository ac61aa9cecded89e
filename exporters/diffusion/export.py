"""A diffusers pipeline as a bundle: parts found, graphs traced, weights stored, parity checked, folder sealed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch

from ...assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ...assets.inputs import loop_of
from ...assets.manifest import Manifest, Text, Tokenizer
from ...assets.refusal import OutOfRange, Refusal, Unknown
from ...runtime.solver import Plan
from ...runtime.solver.samplers import SAMPLERS
from ..choosing import choose
from ..families import FAMILIES
from ..graph import trace
from ..loop import wrap_step
from ..measured import write_measured
from ..precision import PRECISIONS, quantized
from ..report import report_files
from ..texture import FIELD
from ..unrolled import unroll
from ..verify import TOLERANCE, check_bundle, installed
from ..weights import GraphFiles
from .adapter import adapters_of
from .audio import stable_audio
from .audio_3 import stable_audio_3
from .beside import axes_of, examples
from .calibrate import trajectories
from .card import said_of
from .control import controls_of
from .flow import flux, stable_diffusion_3
from .flux_2 import flux_2_klein
from .maps import channels_of, maps_of
from .masked import pixart, sana_sprint
from .parity import against_pipeline, check, plan_of_table, unrolled_name
from .parts import Parts
from .pictures import side_by_side
from .precisions import SEEDS, precision_figures
from .resume import KEPT_FROM, Kept, Stages, key_of
from .seamless import AXES, make_seamless
from .stable_diffusion import stable_diffusion, stable_diffusion_xl
from .tiling import against_whole, finish_of, tiles_of
from .variants import Variant, against_variants, encoder_of, step_of
from .video import FRAMES, animate_diff

ARCHITECTURES: dict[str, Callable[[Any], Parts]] = {
    "StableDiffusionPipeline": stable_diffusion,
    "LatentConsistencyModelPipeline": stable_diffusion,
    "StableDiffusionInpaintPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "StableDiffusionXLInpaintPipeline": stable_diffusion_xl,
    "StableDiffusion3Pipeline": stable_diffusion_3,
    "FluxPipeline": flux,
    "Flux2KleinPipeline": flux_2_klein,
    "SanaSprintPipeline": sana_sprint,
    "PixArtAlphaPipeline": pixart,
    "PixArtSigmaPipeline": pixart,
    "StableAudioPipeline": stable_audio,
    "StableAudio3Pipeline": stable_audio_3,
    "AnimateDiffPipeline": animate_diff,
}
"""By the name of diffusers' pipeline class."""
MEMORY = 3.2
"""Times the float32 weights of the largest part that an export takes of memory: 10.8 GB for the 860 M of SD 1.5."""
GUESS = "height and roughness are guessed from colour, see exporters/materials.py"
FLAT = "the model gives colour only; height and roughness are the same everywhere"
SMALL = 50_000_000
"""Parameters of a denoiser up to which every sampler is verified; of larger ones the recommended tables."""


@dataclass(frozen=True)
class Options:
    family: str = "auto"
    steps: tuple[int, ...] = ()
    precision: str = "fp32"
    seamless: str = ""  # "", "x", "y" or "xy"
    name: str = ""
    size: int = 1024  # pixels a side that the tables are made for, in families whose grid follows from it
    frames: int = FRAMES  # of a pipeline that makes clips
    unrolled: int = 0  # steps of a table to write out as a graph without a loop
    controls: tuple[tuple[str, str], ...] = ()  # name and source of ControlNets
    materials: bool = True  # guess height and roughness from colour; without, the surface is flat
    said: tuple[tuple[str, str], ...] = ()  # where and what names and cards say, of which `auto` takes the family
    adapters: tuple[tuple[str, str], ...] = ()  # name and file of IP-Adapters
    tiles: int = 0  # latent cells a side of the tiles in which large pictures are decoded; 0 for the whole at once

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise Unknown("precision", self.precision, PRECISIONS)
        if self.seamless not in ("", *AXES):
            raise Unknown("seamless", self.seamless, AXES)
        if not 16 <= self.size <= 8192:
            raise OutOfRange("size", self.size, "16 to 8192 pixels")
        if not 1 < self.frames <= 128:
            raise OutOfRange("frames", self.frames, "2 to 128 frames")


def parts_of(pipe: Any, options: Options) -> Parts:
    name = type(pipe).__name__
    if name not in ARCHITECTURES:
        raise Unknown("source", name, ARCHITECTURES)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    parts = animate_diff(pipe, options.frames) if name == "AnimateDiffPipeline" else ARCHITECTURES[name](pipe)
    return replace(parts, materials=options.materials)


def plan_export(pipe: Any, options: Options) -> dict[str, Any]:
    """What an export would make, and how large: for --dry-run."""
    parts = parts_of(pipe, options)
    family, why = family_of(pipe, parts, options)
    graphs = graphs_of(parts, variants_of(pipe, parts, options))
    tiles_of(parts, options.tiles, options.seamless)
    return {
        "pipeline": type(pipe).__name__,
        "family": family,
        "why": why,
        "steps": [table.steps for table in FAMILIES[family].tables(options.steps, options.size**2)],
        "licence": FAMILIES[family].licence,
        "sale": FAMILIES[family].sale,
        "graphs": graphs,
        "bytes": bytes_of(graphs, options),
        "memory_bytes": int(MEMORY * 4 * max(graphs.values())),
        "sizes": [parts.latent.minimum, parts.latent.maximum, parts.latent.multiple],
    }


def variants_of(pipe: Any, parts: Parts, options: Options) -> list[Variant]:
    """What is exported beside the plain step."""
    if options.unrolled and parts.inputs:
        sentence = "the network reads more than text"
        raise Refusal("unsupported", "unrolled", sentence, "leave it out; take the loop graph")
    controls = controls_of(pipe, parts, dict(options.controls))
    return [*controls, *adapters_of(pipe, parts, dict(options.adapters))]


def graphs_of(parts: Parts, variants: Sequence[Variant]) -> dict[str, int]:
    """Numbers in the weights of each graph that no other has."""
    return {**parts.parameters, **{variant.graph: variant.parameters(parts.step) for variant in variants}}


def bytes_of(graphs: Mapping[str, int], options: Options) -> int:
    """Of the stored weights, about."""
    precision = PRECISIONS[options.precision]
    rest = sum(graphs.values()) - graphs["step"]
    return int(graphs["step"] * precision.bytes + rest * (4 if precision.rest == "fp32" else 2))


def family_of(pipe: Any, parts: Parts, options: Options) -> tuple[str, str]:
    """(name, why); a family of another process than the pipeline's is refused."""
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    embeds = bool(getattr(denoiser.config, "time_cond_proj_dim", None))
    scheduler = {"_class_name": type(pipe.scheduler).__name__, **pipe.scheduler.config}
    said = options.said or said_of(str(pipe.config.get("_name_or_path") or ""))
    name, why = choose(options.family, scheduler, embeds, dict(said))
    if embeds != (name == "lcm"):
        has = "takes an embedding of guidance" if embeds else "takes no embedding of guidance"
        raise Refusal(
            "contradiction", "family", f"{name!r} does not fit these weights: the network {has}",
            "take lcm" if embeds else "take lcm_lora",
        )  # fmt: skip
    process = type(parts.process).__name__.lower()
    if FAMILIES[name].process != process:
        raise Refusal(
            "contradiction",
            "family",
            f"{name!r} is for {FAMILIES[name].process} models, this pipeline is {process}",
            f"one of {', '.join(n for n, f in FAMILIES.items() if f.process == process)}",
        )
    return name, why


def export_pipeline(pipe: Any, out: Path, options: Options) -> Bundle:
    """Exports into a folder beside `out`, which takes its place when everything is checked.

    Of a large model the traced graphs are kept in OUT.unfinished until then: the same export goes on from them after it was
    stopped.
    """
    if out.exists() and not (out / "bundle.json").is_file() and any(out.iterdir()):
        raise Refusal("exists", "out", f"{out} is there and is no bundle", "give a new folder")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    parts = parts_of(pipe, options)
    variants = variants_of(pipe, parts, options)
    graphs = graphs_of(parts, variants)
    needed = bytes_of(graphs, options)
    keeps = parts.parameters["step"] >= KEPT_FROM
    _check_space(out, needed + (4 * sum(graphs.values()) if keeps else 0))
    nets = {variant.name: net for variant in variants for net in variant.nets}
    key = key_of({**pipe.components, **nets}, asdict(options)) if keeps else None
    kept = Kept(out.with_name(f"{out.name}.unfinished"), key)
    try:
        _export(pipe, parts, variants, part, options, out.name, kept)
        shutil.rmtree(out, ignore_errors=True)
        os.replace(part, out)
        kept.clear()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        kept.clear()
        raise _full(out, needed) from error
    except Refusal:
        kept.clear()
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
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
        recommended=FAMILIES[family].tables(options.steps, options.size**2),
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
        compared = against_pipeline(pipe, bundle, parts, SEEDS if small else SEEDS[:1], backends)
        errors = {**compared.errors, **against_variants(pipe, variants, bundle, parts)}
        if options.precision == "fp32":
            check(errors, TOLERANCE)
        stages.begin("verify")
        tiled = {} if tiles is None else {"tiles": against_whole(bundle, tiles)}
        samplers = SAMPLERS if small else ()
        report = check_bundle(
            bundle,
            {**tiled, "seeds": SEEDS if small else SEEDS[:1], "diffusers": errors, "diffusers_mean": compared.means},
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


def _unrolled_plan(manifest: Manifest, steps: int) -> Plan:
    for table in manifest.recommended:
        if table.steps == steps:
            return plan_of_table(manifest, table, table.guidance)
    raise OutOfRange("unrolled", steps, f"one of {', '.join(str(t.steps) for t in manifest.recommended)}")


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


def tokenizer_file(tokenizer: Any, length: int, prepare: Callable[[Any], None] | None = None) -> bytes:
    """A file of the `tokenizers` library that does what the pipeline does: cut to the length, pad with its own token."""
    fast = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    if prepare is not None:
        prepare(fast)
    fast.enable_truncation(length, direction=tokenizer.truncation_side)
    padding = dict(direction=tokenizer.padding_side, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    fast.enable_padding(length=length, **padding)
    return (json.dumps(json.loads(fast.to_str()), sort_keys=True, ensure_ascii=False) + "\n").encode()
