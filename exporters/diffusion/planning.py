"""What an export would make: its options, the parts of a pipeline, its family, and how large it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...assets.inputs import OWN
from ...assets.manifest import Recommended
from ...assets.refusal import OutOfRange, Refusal, Unknown
from ..choosing import check_fit, choose
from ..families import FAMILIES, configured
from ..precision import PRECISIONS
from ..unrolled import MOST_ROWS
from .adapter import adapters_of
from .audio import stable_audio
from .audio_3 import stable_audio_3
from .card import said_of
from .control import controls_of
from .flow import flux, stable_diffusion_3
from .flux_2 import flux_2_klein
from .masked import pixart, sana_sprint
from .parts import Parts
from .seamless import AXES, padded
from .stable_diffusion import stable_diffusion, stable_diffusion_xl
from .tiling import tiles_of
from .variants import Variant
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
CLIPS = "AnimateDiffPipeline"
"""That whose parts depend on the number of frames."""
MEMORY = 3.2
"""Times the float32 weights of the largest part that an export takes of memory: 10.8 GB for the 860 M of SD 1.5."""


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
    seeds: int = 0  # that the report compares with diffusers; 0 for SEEDS, of large models one

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise Unknown("precision", self.precision, PRECISIONS)
        if self.seamless not in ("", *AXES):
            raise Unknown("seamless", self.seamless, AXES)
        if not 16 <= self.size <= 8192:
            raise OutOfRange("size", self.size, "16 to 8192 pixels")
        if not 1 < self.frames <= 128:
            raise OutOfRange("frames", self.frames, "2 to 128 frames")
        if not 0 <= self.seeds <= 100:
            raise OutOfRange("seeds", self.seeds, "1 to 100 seeds, or 0 for the usual")


def parts_of(pipe: Any, options: Options) -> Parts:
    name = type(pipe).__name__
    if name not in ARCHITECTURES:
        raise Unknown("source", name, ARCHITECTURES)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    parts = animate_diff(pipe, options.frames) if name == CLIPS else ARCHITECTURES[name](pipe)
    return replace(parts, materials=options.materials)


def plan_export(pipe: Any, options: Options) -> dict[str, Any]:
    """What an export would make, and how large: for --dry-run."""
    parts = parts_of(pipe, options)
    family, why = family_of(pipe, parts, options)
    graphs = graphs_of(parts, variants_of(pipe, parts, options))
    if options.seamless:
        for network in (parts.step, parts.decode):
            padded(network)
    tiles_of(parts, options.tiles, options.seamless)
    check_unrolled(parts, family, options)
    return {
        "pipeline": type(pipe).__name__,
        "kind": parts.kind,
        "family": family,
        "why": why,
        "steps": [table.steps for table in tables_of(pipe, family, options)],
        "licence": FAMILIES[family].licence,
        "sale": FAMILIES[family].sale,
        "graphs": graphs,
        "bytes": bytes_of(graphs, options),
        "memory_bytes": int(MEMORY * 4 * max(graphs.values())),
        "sizes": [parts.latent.minimum, parts.latent.maximum, parts.latent.multiple],
    }


def unused(planned: Mapping[str, Any]) -> set[str]:
    """Options of the command that say nothing to an export, given what `plan_export` said."""
    sized, clip = FAMILIES[planned["family"]].sized, planned["pipeline"] == CLIPS
    painted = planned["kind"] != "sound"
    used = {"size": sized, "frames": clip, "seconds": False, "materials": painted}
    return {name for name, said in used.items() if not said}


def variants_of(pipe: Any, parts: Parts, options: Options) -> list[Variant]:
    """What is exported beside the plain step."""
    named = [*options.controls, *options.adapters]
    for name, _ in named:
        taken = {*OWN, "anew", "kept", *(f"{other}_strength" for other, _ in named)}
        if name in taken or [other for other, _ in named].count(name) > 1:
            sentence = f"{name!r} is the name of another input"
            field = "control" if name in dict(options.controls) else "adapter"
            raise Refusal("contradiction", field, sentence, "choose another")
    return [
        *controls_of(pipe, parts, dict(options.controls)),
        *adapters_of(pipe, parts, dict(options.adapters)),
    ]


def check_unrolled(parts: Parts, family: str, options: Options) -> None:
    """Refuses a run without a loop of another step count than the bundle's, or of a network that reads more than text."""
    if not options.unrolled:
        return
    if parts.inputs:
        sentence = "the network reads more than text"
        raise Refusal("unsupported", "unrolled", sentence, "leave it out; take the loop graph")
    known = options.steps or FAMILIES[family].steps
    if options.unrolled not in known:
        raise OutOfRange("unrolled", options.unrolled, f"one of {', '.join(map(str, known))}")
    if options.unrolled > MOST_ROWS:
        raise OutOfRange("unrolled", options.unrolled, f"at most {MOST_ROWS} steps; the loop graph runs more")


def graphs_of(parts: Parts, variants: Sequence[Variant]) -> dict[str, int]:
    """Numbers in the weights of each graph that none before it has."""
    counted = dict(parts.parameters)
    known = {weight.data_ptr() for weight in parts.step.parameters()}
    for variant in variants:
        counted[variant.graph] = sum(many for at, many in variant.weights.items() if at not in known)
        known |= set(variant.weights)
    return counted


def bytes_of(graphs: Mapping[str, int], options: Options) -> int:
    """Of the stored weights, about."""
    precision = PRECISIONS[options.precision]
    rest = sum(graphs.values()) - graphs["step"]
    return int(graphs["step"] * precision.bytes + rest * (4 if precision.rest == "fp32" else 2))


def tables_of(pipe: Any, family: str, options: Options) -> list[Recommended]:
    """The recommended tables of a bundle."""
    shift = float(pipe.scheduler.config.get("shift", 1.0))
    return configured(family, shift).tables(options.steps, options.size**2)


def family_of(pipe: Any, parts: Parts, options: Options) -> tuple[str, str]:
    """(name, why); a family of another process than the pipeline's is refused."""
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    embeds = bool(getattr(denoiser.config, "time_cond_proj_dim", None))
    scheduler = {"_class_name": type(pipe.scheduler).__name__, **pipe.scheduler.config}
    said = options.said or said_of(str(pipe.config.get("_name_or_path") or ""))
    pipeline = type(pipe).__name__
    name, why = choose(options.family, scheduler, embeds, dict(said), pipeline)
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
    check_fit(name, options.family != "auto", scheduler, pipeline, pipe.config.get("is_distilled"))
    return name, why
