"""Which family a model is of: by what its LoRAs, name and model card say, else by the config of its scheduler; and why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..assets.refusal import Refusal, Unknown
from .families import FAMILIES, TRAINED

ONE = r"(?<!\d)1[ _-]?step"
MENTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"lightning.*{ONE}|{ONE}.*lightning", ("lightning_1", "qwen_lightning")),
    (r"lightning", ("lightning", "qwen_lightning")),
    (rf"dmd2?.*{ONE}|{ONE}.*dmd2?", ("dmd2_1",)),
    (r"dmd2?(?![a-z])", ("dmd2",)),
    (rf"hyper-?sd.*{ONE}.*unet", ("hyper_1",)),
    (r"hyper-?sd.*cfg", ("hyper_cfg",)),
    (r"hyper-?sd.*(?<!\d)[248][ _-]?steps?", ("hyper",)),
    (r"hyper-?sd", ("hyper_unified",)),
    (r"sdxs", ("sdxs",)),
    (r"(pcm|phased).*normal", ("pcm_normal",)),
    (r"(?<![a-z])pcm(?![a-z])|phased[ -]consistency", ("pcm",)),
    (r"(?<![a-z])tcd(?![a-z])", ("tcd",)),
    (r"(?<![a-z])lcm(?![a-z])|latent[ -]consistency", ("lcm_lora",)),
    (r"schnell", ("schnell",)),
    (r"klein", ("klein",)),
    (r"sana[ _-]?sprint", ("sana_sprint",)),
    (r"z-?image-?turbo", ("z_image_turbo",)),
    (r"ace-?step.*turbo", ("ace_step_turbo",)),
    (r"stable-audio-(3|open-small)", ("stable_audio_3",)),
    (r"turbo", ("turbo", "sd3")),
)
"""What a name or card says, the most particular first, and the family it is on each process."""
OF = {"sd3": "StableDiffusion3Pipeline", "klein": "Flux2KleinPipeline", "schnell": "FluxPipeline"}
"""Families whose grid is that of one class of pipeline: `auto` takes them for no other."""


def choose(
    name: str,
    scheduler: Mapping[str, Any],
    embeds_guidance: bool,
    said: Mapping[str, str] | None = None,
    pipeline: str = "",
) -> tuple[str, str]:
    """(family, why). `auto` takes what names and model cards say, else the scheduler's config; a name is taken as it is.

    scheduler        the config of diffusers' scheduler, with _class_name
    embeds_guidance  the denoiser takes a guidance embedding
    said             texts by where they are from, the first with a mention of a family for this scheduler's process counts
    pipeline         diffusers' class, where it is known: a family of another is not taken
    """
    if name != "auto":
        if name not in FAMILIES:
            raise Unknown("family", name, ("auto", *FAMILIES))
        return name, "asked for"
    process = _process_of(str(scheduler.get("_class_name", "")))
    for where, text in (said or {}).items():
        for pattern, families in MENTIONS:
            found = re.search(pattern, text.lower())
            fits = next((f for f in families if FAMILIES[f].process == process and _of(f, pipeline)), None)
            if found and fits:
                family = "lcm" if fits == "lcm_lora" and embeds_guidance else fits
                return family, f"{where} says {found.group()!r}"
    return _of_scheduler(scheduler, embeds_guidance, pipeline)


def check_fit(
    name: str, asked: bool, scheduler: Mapping[str, Any], pipeline: str, distilled: bool | None = None
) -> None:
    """Refuses a family whose table is not what the pipeline would run, as far as their configs tell.

    asked      the family was named: then its grid counts, and not the shift of the scheduler
    distilled  what FLUX.2 says of itself
    """
    if name == "klein" and not _of(name, pipeline):
        sentence = f"'klein' does not fit {pipeline}: its shift is FLUX.2-klein's own"
        raise Refusal("contradiction", "family", sentence, "name the family that it was distilled as")
    if pipeline == OF["klein"] and distilled is False:
        sentence = (
            "the pipeline says is_distilled false: it takes many steps and guidance, of which no family has a table"
        )
        raise Refusal("unsupported", "source", sentence, "export FLUX.2-klein, which is distilled")
    trained = scheduler.get("num_train_timesteps", TRAINED)
    if FAMILIES[name].process == "flow" and name != "stable_audio_3" and trained != TRAINED:
        sentence = f"is {trained}, and every family's table counts timesteps to {TRAINED}"
        raise Refusal("unsupported", "scheduler.num_train_timesteps", sentence, f"export a model with {TRAINED}")
    if asked or pipeline not in (OF["schnell"], OF["sd3"]):
        return
    if scheduler.get("use_dynamic_shifting") and not (name == "qwen_lightning" and _always_three(scheduler)):
        sentence = f"is true: {pipeline} shifts by the size of the picture, which no family's table does"
        remedy = "export a pipeline that was distilled on a fixed shift, or name the family if this was"
        raise Refusal("unsupported", "scheduler.use_dynamic_shifting", sentence, remedy)
    shift = float(scheduler.get("shift", 1.0))
    if name == "schnell" and shift != 1.0:
        sentence = f"is {shift:g}, and FLUX.1-schnell runs without"
        raise Refusal("contradiction", "scheduler.shift", sentence, "name the family that it was distilled as")


def _of(family: str, pipeline: str) -> bool:
    """Whether a family is for this class of pipeline; where that is not known, it is."""
    return not pipeline or OF.get(family, pipeline) == pipeline


def _process_of(kind: str) -> str:
    """The process of a class of diffusers' schedulers."""
    if kind.startswith("FlowMatch") or kind == "SCMScheduler":
        return "flow"
    return "ve" if kind == "CosineDPMSolverMultistepScheduler" else "vp"


def _of_scheduler(scheduler: Mapping[str, Any], embeds_guidance: bool, pipeline: str) -> tuple[str, str]:
    kind = str(scheduler.get("_class_name", ""))
    if kind == "LCMScheduler":
        return ("lcm" if embeds_guidance else "lcm_lora"), f"its scheduler is {kind}"
    if kind == "SCMScheduler":
        return "sana_sprint", f"its scheduler is {kind}"
    if kind == "CosineDPMSolverMultistepScheduler":
        return "stable_audio", f"its scheduler is {kind}"
    if kind == "TCDScheduler":
        return "tcd", f"its scheduler is {kind}"
    if kind == "FlowMatchEulerDiscreteScheduler":
        return _of_flow_scheduler(scheduler, f"its scheduler is {kind}", pipeline)
    spacing = scheduler.get("timestep_spacing")
    if kind == "EulerAncestralDiscreteScheduler" and spacing == "trailing":
        return "turbo", f"its scheduler is {kind}, trailing"
    if kind == "EulerDiscreteScheduler" and spacing == "trailing":
        one = scheduler.get("prediction_type") == "sample"
        return ("lightning_1" if one else "lightning"), f"its scheduler is {kind}, trailing"
    return "base", f"nothing says it was distilled: scheduler {kind or 'unknown'}"


def _of_flow_scheduler(scheduler: Mapping[str, Any], what: str, pipeline: str) -> tuple[str, str]:
    if scheduler.get("stochastic_sampling"):
        return "stable_audio_3", f"{what} that draws noise at each step"
    if scheduler.get("use_dynamic_shifting"):
        if _always_three(scheduler) and pipeline != OF["klein"]:
            return "qwen_lightning", f"{what} with a shift that is log 3 at any size"
        return _owns(pipeline, "klein"), f"{what} with a shift that follows from the size"
    shift = float(scheduler.get("shift", 1.0))
    return _owns(pipeline, "schnell" if shift == 1.0 else "sd3"), f"{what} with shift {shift:g}"


def _always_three(scheduler: Mapping[str, Any]) -> bool:
    """Whether a shift that follows from the size is 3 at any."""
    base, most = (float(scheduler.get(f"{end}_shift", default)) for end, default in (("base", 0.5), ("max", 1.15)))
    return base == most and math.isclose(base, math.log(3.0), rel_tol=1e-3)


def _owns(pipeline: str, family: str) -> str:
    """The family whose only pipeline this is, else the one that its scheduler speaks for."""
    return next((name for name, kind in OF.items() if kind == pipeline), family)
