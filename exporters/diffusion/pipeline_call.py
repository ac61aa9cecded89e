"""Diffusers' own pipeline run with a bundle's table, start and step noise: what a bundle is compared with."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from ...assets.manifest import Flow, Manifest, Recommended, Vp
from .flow import TEXT_LENGTH
from .parts import Parts

Array = NDArray[np.float32]
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing", "final_sigmas_type": "zero"}),
}
"""diffusers' class of a sampler on variance-preserving models, with what the family's table implies."""
EXPLICIT = ("lcm", "tcd", "euler")
"""Schedulers that take timesteps as they are; the others space them by themselves, trailing."""


def own_text(pipe: Any, parts: Parts, prompt: str) -> tuple[Array, dict[str, Any]]:
    """(the condition (1, K) as the pipeline encodes it, the same as arguments of its call)."""
    results = pipe.encode_prompt(prompt, **_silent(pipe))
    if isinstance(results, torch.Tensor):
        results = (results,)
    kept = [part for part in results if part is not None][: len(parts.names)]
    flat = np.concatenate([part.flatten(1).float().numpy() for part in kept], 1)
    return flat, dict(zip(parts.names, kept, strict=True))


def _silent(pipe: Any) -> dict[str, Any]:
    """Arguments that make encode_prompt do what the pipeline's call does without guidance."""
    wanted = signature(pipe.encode_prompt).parameters
    own = signature(type(pipe).__call__).parameters
    known: dict[str, Any] = {
        "device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False, "prompt_2": None,
        "prompt_3": None, "num_waveforms_per_prompt": 1,
    }  # fmt: skip
    for name in ("max_sequence_length", "complex_human_instruction"):
        if name in own:
            known[name] = own[name].default
    if "prompt_2" in wanted:  # the encoders that CLIP and T5 share
        known["max_sequence_length"] = TEXT_LENGTH
    return {name: value for name, value in known.items() if name in wanted}


def own_result(
    pipe: Any,
    parts: Parts,
    manifest: Manifest,
    table: Recommended,
    arguments: Mapping[str, Any],
    start: Array,
    draws: Array,
    output: str = "latent",
    seen: list[Array] | None = None,
) -> NDArray[Any] | None:
    """The pipeline's latent in the bundle's layout, or with output "np" its pictures; None where its scheduler cannot.

    What its network is given at each step is added to `seen`.
    """
    wanted = signature(type(pipe).__call__).parameters
    given, scale = _schedule(pipe, manifest, table, wanted)
    if given is None:
        return None
    side = {}
    if "height" in wanted:
        height, width = (cells * manifest.latent.factor for cells in start.shape[2:])
        side = {"height": height, "width": width}
    asked = {"guidance_scale": 1.0, **parts.call, **side, **given, **arguments}
    with _noise_of(pipe.scheduler, draws, parts), _watched(pipe, parts, seen), modes():
        result = pipe(
            latents=parts.given(torch.from_numpy(start.copy())) * scale,
            num_inference_steps=table.steps,
            output_type=output,
            **{name: value for name, value in asked.items() if name in wanted},
        )
    made = next(getattr(result, name) for name in ("images", "frames", "audios") if hasattr(result, name))
    if output != "latent":
        return np.asarray(made)
    return parts.made(made).float().numpy()


def _schedule(
    pipe: Any, manifest: Manifest, table: Recommended, wanted: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, float]:
    """(arguments that make the pipeline's scheduler run the table, or None; what a start of ours is multiplied by)."""
    import diffusers

    kind = type(pipe.scheduler)
    if kind.__name__ == "SCMScheduler":
        angles = [math.atan2(t, 1.0 - t) for t in table.times[: table.steps]]
        between = angles[1] if table.steps == 2 else None
        pipe.scheduler.set_timesteps(table.steps, intermediate_timesteps=between)
        if not np.allclose(pipe.scheduler.timesteps[: table.steps], angles, atol=1e-5):
            return None, 1.0
        return {"intermediate_timesteps": between}, 1.0  # its pipeline cannot hand explicit timesteps on
    if kind.__name__ == "CosineDPMSolverMultistepScheduler":
        pipe.scheduler = kind.from_config(pipe.scheduler.config)
        pipe.scheduler.set_timesteps(table.steps)
        if not np.allclose(pipe.scheduler.sigmas[: table.steps], table.times[: table.steps], rtol=1e-5):
            return None, 1.0
        return {}, table.times[0] / float(pipe.scheduler.init_noise_sigma)
    if isinstance(manifest.process, Flow) and "logsnr_min" in wanted:  # spaces the steps by itself
        own = sys.modules[type(pipe).__module__].logsnr_sigma_schedule(
            table.steps, *(wanted[end].default for end in ("logsnr_min", "logsnr_max"))
        )
        return ({} if np.allclose(own, table.times[: table.steps], atol=1e-6) else None), 1.0
    if isinstance(manifest.process, Flow):  # its tables are shifted already
        pipe.scheduler = kind.from_config(pipe.scheduler.config, shift=1.0, use_dynamic_shifting=False)
        return {"sigmas": list(table.times)}, 1.0
    if table.sampler not in SCHEDULERS:
        return None, 1.0
    name, settings = SCHEDULERS[table.sampler]
    said = {"prediction_type": {"x0": "sample", "v": "v_prediction"}.get(manifest.prediction, "epsilon")}
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **settings, **said)
    if pipe.scheduler.config.get("rescale_betas_zero_snr") and isinstance(manifest.process, Vp):
        # the last level is pure noise, and classes differ in what stands for it
        pipe.scheduler.alphas_cumprod = torch.tensor(manifest.process.alphas_cumprod)
    given: dict[str, Any] = {}
    if table.sampler in EXPLICIT and "timesteps" in wanted:
        given["timesteps"] = [int(t) for t in table.times[: table.steps]]
    else:
        pipe.scheduler.set_timesteps(table.steps)
        if not np.allclose(pipe.scheduler.timesteps, table.times[: table.steps]):
            return None, 1.0
    if table.sampler == "tcd":
        given["eta"] = table.eta  # else the pipeline passes 0
    return given, _start_scale(pipe.scheduler, table)


def _start_scale(scheduler: Any, table: Recommended) -> float:
    """Ours starts at unit variance on VP; some schedulers start at their largest sigma, without the clean part's 1."""
    if not hasattr(scheduler, "sigmas") or table.sampler not in ("euler", "euler_ancestral"):
        return 1.0
    scheduler.set_timesteps(table.steps)
    sigma = float(scheduler.sigmas[0])
    return float((1 + sigma**2) ** 0.5) / float(scheduler.init_noise_sigma)


@contextmanager
def modes() -> Iterator[None]:
    """An autoencoder's latents are the mode of their posterior, as a bundle has them, and not drawn from it."""
    posterior = sys.modules["diffusers.models.autoencoders.vae"].DiagonalGaussianDistribution
    with patch.object(posterior, "sample", lambda self, generator=None: self.mode()):
        yield


@contextmanager
def _watched(pipe: Any, parts: Parts, seen: list[Array] | None) -> Iterator[None]:
    """Adds what the pipeline's network is given, in the bundle's layout, to `seen`."""
    if seen is None or parts.seen is None:
        yield
        return
    layout = parts.seen

    def note(network: torch.nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        x = given[0] if given else named.get("sample", named.get("hidden_states"))
        seen.append(layout(x).float().numpy())

    hook = (getattr(pipe, "unet", None) or pipe.transformer).register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _noise_of(scheduler: Any, draws: Array, parts: Parts) -> Iterator[None]:
    """The scheduler draws these, in order, and zeros after them: some draw at the last step and add none of it."""
    module = sys.modules[type(scheduler).__module__]
    left, shape = iter(draws), draws.shape[1:]

    def drawn(*_: Any, **__: Any) -> torch.Tensor:
        return parts.given(torch.from_numpy(next(left, np.zeros(shape, np.float32)).copy()))

    name = next((n for n in ("BrownianTreeNoiseSampler", "randn_tensor") if hasattr(module, n)), None)
    if name is None:
        yield
        return
    with patch.object(module, name, drawn if name == "randn_tensor" else lambda *_, **__: drawn):
        yield
