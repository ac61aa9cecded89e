"""A bundle against diffusers' own pipeline: the same prompt, start and step noise, compared stage by stage."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.manifest import Flow, Recommended
from ...assets.refusal import Refusal
from ...runtime.engine.backends import Graph, open_backend
from ...runtime.resolve import process_of
from ...runtime.solver import Plan, compile_plan
from ..verify import relative, short
from .flow import TEXT_LENGTH
from .parts import Picture

Array = NDArray[np.float32]
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing"}),
}
"""diffusers' class of a sampler on variance-preserving models, with what the family's table implies."""
EXPLICIT = ("lcm", "tcd", "euler")
"""Schedulers that take timesteps as they are; the others space them by themselves, trailing."""
SIDE = 32
"""Cells a side, at most."""
PROMPT = "low wall of stones"


@torch.no_grad()
def against_pipeline(pipe: Any, bundle: Bundle, seed: int = 7, backend: str = "onnxruntime") -> dict[str, Any]:
    """Relative errors of the condition, of the latent for each recommended step count, and of the last latent's colours."""
    graphs = {name: open_backend(backend)(bundle.path(name), 1) for name in ("step", "encode_text", "decode")}
    conditions = _conditions(bundle, graphs["encode_text"])
    text, arguments = _text(pipe, bundle, conditions)
    errors: dict[str, Any] = {"text": short(text)}
    for table in bundle.manifest.recommended:
        plan = _plan(bundle, table)
        start, draws = _noise(bundle, plan, seed)
        ours = _ours(graphs["step"], plan, conditions, start, draws)
        theirs = _theirs(pipe, bundle, table, arguments, start, draws)
        stage = f"latent, {table.steps} steps"
        errors[stage] = "no scheduler of diffusers takes this grid" if theirs is None else short(relative(ours, theirs))
    painted = Picture(pipe.vae)(torch.from_numpy(ours)).numpy()
    errors["decoded"] = short(relative(graphs["decode"].run({"latent": ours})["maps"][:, :3], painted))
    return errors


def _conditions(bundle: Bundle, encoder: Graph) -> Array:
    tokens = [bundle.parse_prompt(PROMPT)[0], bundle.parse_negative("")[0]]
    return np.stack([encoder.run({"tokens": t[None]})["condition"] for t in tokens])


def _text(pipe: Any, bundle: Bundle, conditions: Array) -> tuple[float, dict[str, Any]]:
    """(error of the condition, the pipeline's own embeddings as arguments of its call)."""
    encoded = [part for part in pipe.encode_prompt(PROMPT, **_silent(pipe)) if part is not None]
    names = ("prompt_embeds", "pooled_prompt_embeds") if len(encoded) > 1 else ("prompt_embeds",)
    kept = encoded[: len(names)]
    flat = np.concatenate([part.flatten(1).numpy() for part in kept], 1)
    return relative(conditions[0], flat), dict(zip(names, kept, strict=True))


def _silent(pipe: Any) -> dict[str, Any]:
    known = {
        "device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False,
        "max_sequence_length": TEXT_LENGTH,
    }  # fmt: skip
    wanted = signature(pipe.encode_prompt).parameters
    return {name: value for name, value in {**known, **_extra(wanted)}.items() if name in wanted}


def _extra(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt_2": None, "prompt_3": None} if "prompt_2" in wanted else {}


def _plan(bundle: Bundle, table: Recommended) -> Plan:
    manifest = bundle.manifest
    options = dict[str, Any](table.options)
    return compile_plan(
        table.sampler, {"times": table.times}, table.steps, process_of(manifest), manifest.prediction,
        guidance=1.0, eta=table.eta, **options,
    )  # fmt: skip


def _noise(bundle: Bundle, plan: Plan, seed: int) -> tuple[Array, Array]:
    latent = bundle.manifest.latent
    side = min(latent.maximum // 2 // latent.factor, SIDE)
    rng = np.random.default_rng(seed)
    shape = (1, latent.channels, side, side)
    return rng.standard_normal(shape, np.float32), rng.standard_normal((plan.noise_draws, *shape), np.float32)


def _ours(step: Graph, plan: Plan, conditions: Array, start: Array, draws: Array) -> Array:
    def model(x: NDArray[Any], time: float, conditional: bool) -> Array:
        condition = conditions[0 if conditional else 1]
        return step.run({"latent": x.astype(np.float32), "time": np.full(1, time, np.float32), "condition": condition})[
            "raw"
        ]

    return plan.run(model, start, lambda k: draws[k]).astype(np.float32)


def _theirs(
    pipe: Any, bundle: Bundle, table: Recommended, arguments: Mapping[str, Any], start: Array, draws: Array
) -> Array | None:
    import diffusers

    latents = torch.from_numpy(start.copy())
    given: dict[str, Any] = {}
    if isinstance(bundle.manifest.process, Flow):  # its tables are shifted already
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, shift=1.0, use_dynamic_shifting=False)
        given["sigmas"] = list(table.times)
    else:
        name, settings = SCHEDULERS[table.sampler]
        said = {"prediction_type": {"x0": "sample", "v": "v_prediction"}.get(bundle.manifest.prediction, "epsilon")}
        pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **settings, **said)
        if table.sampler in EXPLICIT:
            given["timesteps"] = [int(t) for t in table.times[: table.steps]]
        else:
            pipe.scheduler.set_timesteps(table.steps)
            if not np.allclose(pipe.scheduler.timesteps, table.times[: table.steps]):
                return None
        if table.sampler == "tcd":
            given["eta"] = table.eta  # else the pipeline passes 0
        latents = latents * _start_scale(pipe.scheduler, table)
    if hasattr(pipe, "_pack_latents"):
        latents = pipe._pack_latents(latents, *latents.shape)
    side = start.shape[-1] * bundle.manifest.latent.factor
    with _noise_of(pipe.scheduler, draws):
        result = pipe(
            **arguments, latents=latents, num_inference_steps=table.steps, guidance_scale=_off(pipe), height=side,
            width=side, output_type="latent", **given,
        )  # fmt: skip
    images = result.images
    if hasattr(pipe, "_unpack_latents"):
        images = pipe._unpack_latents(images, side, side, bundle.manifest.latent.factor)
    return np.asarray(images)


def _off(pipe: Any) -> float:
    """The guidance scale that means none; a network that embeds it was exported with its own default."""
    from .stable_diffusion import EMBEDDED_GUIDANCE

    unet = getattr(pipe, "unet", None)
    return EMBEDDED_GUIDANCE if unet is not None and unet.config.time_cond_proj_dim else 1.0


def _start_scale(scheduler: Any, table: Recommended) -> float:
    """Ours starts at unit variance on VP; some schedulers start at their largest sigma, without the clean part's 1."""
    if not hasattr(scheduler, "sigmas") or table.sampler not in ("euler", "euler_ancestral"):
        return 1.0
    scheduler.set_timesteps(table.steps)
    sigma = float(scheduler.sigmas[0])
    return float((1 + sigma**2) ** 0.5) / float(scheduler.init_noise_sigma)


@contextmanager
def _noise_of(scheduler: Any, draws: Array) -> Iterator[None]:
    """The scheduler's module draws these, in order, and zeros after them: some draw at the last step and add none of it."""
    module = sys.modules[type(scheduler).__module__]
    left, shape = iter(draws), draws.shape[1:]

    def drawn(*_: Any, **__: Any) -> torch.Tensor:
        return torch.from_numpy(next(left, np.zeros(shape, np.float32)).copy())

    if not hasattr(module, "randn_tensor"):
        yield
        return
    with patch.object(module, "randn_tensor", drawn):
        yield


def check(errors: Mapping[str, Any], tolerance: float) -> None:
    """Refuses errors outside the tolerance, naming the first stage."""
    for stage, error in errors.items():
        if isinstance(error, float) and not error <= tolerance:
            raise Refusal(
                "diverged", f"diffusers, {stage}", f"differs by {error:g}, more than {tolerance:g}",
                "report it with the pipeline's config",
            )  # fmt: skip
