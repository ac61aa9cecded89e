"""A diffusers pipeline as a bundle: parts found, graphs traced, weights stored, parity checked, folder sealed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...assets.bundle import Bundle, add_files, load_bundle, write_bundle
from ...assets.manifest import Channel, Manifest, Text, Tokenizer
from ...assets.refusal import Refusal, Unknown
from ...runtime.solver.samplers import SAMPLERS
from ..families import FAMILIES, choose
from ..graph import trace
from ..loop import wrap_step
from ..materials import CHANNELS, Materials
from ..report import report_files
from ..texture import FIELD
from ..verify import TOLERANCE, check_bundle
from ..weights import GraphFiles
from .flow import flux, stable_diffusion_3
from .parity import against_pipeline, check
from .parts import Parts
from .seamless import AXES, make_seamless
from .stable_diffusion import stable_diffusion, stable_diffusion_xl

ARCHITECTURES: dict[str, Callable[[Any], Parts]] = {
    "StableDiffusionPipeline": stable_diffusion,
    "LatentConsistencyModelPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "StableDiffusion3Pipeline": stable_diffusion_3,
    "FluxPipeline": flux,
}
"""By the name of diffusers' pipeline class."""
PRECISIONS = {"fp32": 4, "fp16": 2}
"""Bytes a stored weight; arithmetic is float32 in either."""
SMALL = 50_000_000
"""Parameters of a denoiser up to which every sampler is verified; of larger ones the recommended tables."""


@dataclass(frozen=True)
class Options:
    family: str = "auto"
    steps: tuple[int, ...] = ()
    precision: str = "fp32"
    seamless: str = ""  # "", "x", "y" or "xy"
    name: str = ""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise Unknown("precision", self.precision, PRECISIONS)
        if self.seamless not in ("", *AXES):
            raise Unknown("seamless", self.seamless, AXES)


def open_pipeline(source: str) -> Any:
    """A pipeline from a folder, a hub id (HF_HUB_OFFLINE is respected) or a single-file checkpoint, float32 on the processor."""
    import diffusers

    path = Path(source)
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise Refusal(
            "missing", "source", f"{source} has no model_index.json", "give the folder of a diffusers pipeline"
        )
    try:
        if path.is_file():
            return diffusers.StableDiffusionPipeline.from_single_file(source, torch_dtype=torch.float32)
        return diffusers.DiffusionPipeline.from_pretrained(source, torch_dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().split("\n")[0]
        raise Refusal(
            "missing",
            "source",
            f"{source} cannot be opened as a pipeline: {first}",
            "give a folder, a hub id or a checkpoint",
        ) from error


def parts_of(pipe: Any) -> Parts:
    name = type(pipe).__name__
    if name not in ARCHITECTURES:
        raise Unknown("source", name, ARCHITECTURES)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return ARCHITECTURES[name](pipe)


def plan_export(pipe: Any, options: Options) -> dict[str, Any]:
    """What an export would make, and how large: for --dry-run."""
    parts = parts_of(pipe)
    family, why = family_of(pipe, options)
    graphs = dict(parts.parameters)
    return {
        "pipeline": type(pipe).__name__,
        "family": family,
        "why": why,
        "steps": [table.steps for table in FAMILIES[family].tables(options.steps)],
        "licence": FAMILIES[family].licence,
        "graphs": graphs,
        "bytes": sum(graphs.values()) * PRECISIONS[options.precision],
        "sizes": [parts.latent.minimum, parts.latent.maximum, parts.latent.multiple],
    }


def family_of(pipe: Any, options: Options) -> tuple[str, str]:
    """(name, why); a family of the other process than the pipeline's is refused."""
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    embeds = bool(getattr(denoiser.config, "time_cond_proj_dim", None))
    scheduler = {"_class_name": type(pipe.scheduler).__name__, **pipe.scheduler.config}
    name, why = choose(options.family, scheduler, embeds, str(pipe.config.get("_name_or_path") or ""))
    flow = "FlowMatch" in type(pipe.scheduler).__name__
    if FAMILIES[name].flow != flow:
        raise Refusal(
            "contradiction",
            "family",
            f"{name!r} is for {'flow' if FAMILIES[name].flow else 'variance-preserving'} models, this pipeline is not one",
            f"one of {', '.join(n for n, f in FAMILIES.items() if f.flow == flow)}",
        )
    return name, why


def export_pipeline(pipe: Any, out: Path, options: Options) -> Bundle:
    """Exports into a folder beside `out`, which takes its place when everything is checked."""
    if out.exists() and not (out / "bundle.json").is_file() and any(out.iterdir()):
        raise Refusal("exists", "out", f"{out} is there and is no bundle", "give a new folder")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _export(pipe, part, options, out.name)
        shutil.rmtree(out, ignore_errors=True)
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_bundle(out)


def _export(pipe: Any, folder: Path, options: Options, name: str) -> None:
    parts = parts_of(pipe)
    family, why = family_of(pipe, options)
    if options.seamless:
        make_seamless((parts.step, parts.decode), options.seamless)
    draw = torch.Generator().manual_seed(0)
    cells = parts.latent.multiple // parts.latent.factor
    latent = torch.randn(2, parts.latent.channels, 4 * cells, 6 * cells, generator=draw)
    given = {
        "latent": latent,
        "time": torch.tensor([0.9, 0.1]),
        "condition": torch.randn(2, parts.size, generator=draw),
    }
    batch = {0: "batch"}
    with tqdm(total=5, desc="export", unit="stage") as bar:

        def stage(what: str) -> None:
            bar.set_postfix_str(what)
            bar.update()

        with GraphFiles(folder, half=options.precision == "fp16") as graphs:
            stage("denoiser")
            step = trace(parts.step, given, ["raw"], {"latent": FIELD, "time": batch, "condition": batch})
            graphs.add("step", step)
            graphs.add("loop", wrap_step(step))
            stage("decoder")
            graphs.add("decode", trace(Materials(parts.decode), {"latent": latent}, ["maps"], {"latent": FIELD}))
            stage("text encoder")
            tokens = {"tokens": torch.ones(2, parts.tokens)}
            graphs.add("encode_text", trace(parts.encode_text, tokens, ["condition"], {"tokens": batch}))
        tokenizers = {f"tokenizer_{i}.json": tokenizer_file(t, n) for i, (t, n) in enumerate(parts.tokenizers)}
        manifest = Manifest(
            name=options.name or name,
            kind="texture",
            process=parts.process,
            prediction=FAMILIES[family].prediction or parts.prediction,  # type: ignore[arg-type]
            latent=parts.latent,
            conditioning=Text(
                tokenizers=[Tokenizer(file, n) for file, (_, n) in zip(tokenizers, parts.tokenizers, strict=True)],
                size=parts.size,
                empty=parts.empty,
            ),
            recommended=FAMILIES[family].tables(options.steps),
            channels=[Channel(name=n, encoding="srgb" if n.startswith("albedo") else "linear") for n in CHANNELS],
            graphs={graph: f"{graph}.onnx" for graph in ("step", "loop", "decode", "encode_text")},
            licence=FAMILIES[family].licence,
            provenance=_provenance(pipe, parts, family, why, options),
        )
        bundle = write_bundle(folder, manifest, tokenizers, graphs.names)
        stage("against diffusers")
        errors = against_pipeline(pipe, bundle)
        if options.precision == "fp32":
            check(errors, TOLERANCE)
        stage("verify")
        samplers = SAMPLERS if parts.parameters["step"] <= SMALL else ()
        add_files(bundle, report_files(check_bundle(bundle, {"diffusers": errors}, samplers)))


def _provenance(pipe: Any, parts: Parts, family: str, why: str, options: Options) -> dict[str, Any]:
    return {
        "pipeline": type(pipe).__name__,
        "family": family,
        "family_why": why,
        "family_source": FAMILIES[family].source,
        "precision": options.precision,
        "seamless": options.seamless,
        "materials": "height and roughness are guessed from colour, see exporters/materials.py",
        **parts.notes,
    }


def tokenizer_file(tokenizer: Any, length: int) -> bytes:
    """A file of the `tokenizers` library that does what the pipeline does: cut to the length, pad with its own token."""
    fast = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(length)
    fast.enable_padding(length=length, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    return (json.dumps(json.loads(fast.to_str()), sort_keys=True, ensure_ascii=False) + "\n").encode()
