"""Runs of one bundle to be looked at and measured: latents, clean estimates at every row, time and evaluations."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..assets.bundle import Bundle
from ..assets.manifest import Manifest, Words
from ..assets.refusal import Refusal
from ..assets.texture import Texture
from .bundles import load_bundles, open_network
from .draws import StepDraws, initial
from .engine.engine import Engine
from .engine.job import Job, start
from .engine.live import job_for
from .engine.network import Network
from .finish import finish
from .flight import grain_of, shape
from .inputs import given
from .resolve import resolve
from .resolved import Resolved

Latent = NDArray[np.float32]

PROMPTS = ("stone", "brick", "wood planks", "grass", "rusty metal", "sand", "cracked marble", "leather")
CONVERGED = {"sampler": "rk4", "steps": 200, "spacing": "sgm_uniform"}
"""What stands for the exact solution: 800 evaluations of a fourth-order method."""


@dataclass(frozen=True, eq=False)
class Run:
    """`latent` float32 (channels, height, width); `estimates` one a row, empty unless they were asked for."""

    resolved: Resolved
    latent: Latent
    seconds: float  # model and arithmetic, without the decoder
    estimates: tuple[Latent, ...] = ()

    @property
    def evaluations(self) -> int:
        return self.resolved.plan.evaluations


@dataclass
class _Recorder:
    """A network that keeps what it read and said, for one job at a time."""

    network: Network
    heard: list[tuple[Latent, Latent]] = field(default_factory=list)

    def evaluate(self, latents: Latent, times: Latent, conditions: Any, inputs: Any) -> Latent:
        raw = self.network.evaluate(latents, times, conditions, inputs)
        self.heard.append((latents[0], raw[0]))
        return raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


class Workbench:
    """One bundle on a backend, one request after another and nothing beside it."""

    def __init__(self, folder: Path | None, backend: str, cache: Path, threads: int = 1) -> None:
        self.bundles: Mapping[str, Bundle] = load_bundles(None if folder is None else [folder])
        self.bundle = next(iter(self.bundles.values()))
        found: object = self.bundle.manifest
        if not isinstance(found, Manifest):
            sentence = f"makes {self.bundle.manifest.kind}, which has no latents to look at"
            raise Refusal("unsupported", "bundle", sentence, "give another bundle")
        self.network = open_network(self.bundle, backend, threads, cache)

    @property
    def prompts(self) -> list[str]:
        """Things to ask this bundle for: the materials of a closed vocabulary, or a few plain ones."""
        known = self.bundle.manifest.conditioning
        return known.words[: known.materials] if isinstance(known, Words) else list(PROMPTS)

    def resolve(self, request: Mapping[str, Any]) -> Resolved:
        return resolve(request, {self.bundle.digest: self.bundle})

    def run(self, request: Mapping[str, Any], *, watch: bool = False, step_seed: int | None = None) -> Run:
        """Makes a request. `watch` keeps the conditional clean estimate of every row; `step_seed` draws the step noise
        from another seed than the start, which a recipe cannot."""
        resolved = self.resolve(request)
        recipe, plan, size = resolved.recipe, resolved.plan, shape(resolved)
        stepped = recipe if step_seed is None else msgspec.structs.replace(recipe, seed=step_seed)
        draw = StepDraws(stepped, plan, size)
        source = None if resolved.source is None else self.run(resolved.source.recipe.to_dict()).latent
        more = given(resolved, self.network, source)
        network = _Recorder(self.network) if watch else self.network
        job = job_for(
            plan,
            network=network,
            shape=size,
            begin=lambda: start(plan, initial(recipe, size), more["image"], draw),
            condition=self.network.conditions(resolved.condition),
            draw=draw,
            **more,
            on_error=_raise,
        )
        engine = Engine()
        engine.add(job)
        began = time.perf_counter()
        while not job.finished:
            engine.tick()
        seconds = time.perf_counter() - began
        run = Run(resolved, job.latent, seconds)
        if isinstance(network, _Recorder):
            clean = [
                (raw - b * x) / a for (x, raw), (a, b) in zip(network.heard, resolved.fixed_plan.blend, strict=True)
            ]
            run = replace(run, estimates=tuple(np.asarray(each, np.float32) for each in clean))
        return run

    def texture(self, run: Run, latent: Latent | None = None) -> Texture:
        """The asset of a run, or of one of its estimates."""
        maps = self.network.maps(run.latent if latent is None else latent, grain_of(run.resolved))
        resolved = run.resolved
        made = finish(maps, self.bundle.manifest, resolved.recipe, resolved.ignored, self.network.made_by)
        if not isinstance(made, Texture):
            raise Refusal("unsupported", "bundle", f"makes {resolved.recipe.kind}, not pictures", "give another bundle")
        return made

    def converged(self, request: Mapping[str, Any]) -> Run:
        """The exact solution of the request's noise, as nearly as it can be had."""
        own = {key: value for key, value in request.items() if key not in ("eta", "options", "corrector")}
        return self.run({**own, **CONVERGED})


def distance(run: Run, exact: Run) -> float:
    """Root mean square difference of two latents over the deviation of the second: 0 the same, 1.4 unrelated."""
    return float(np.sqrt(np.mean((run.latent - exact.latent) ** 2)) / exact.latent.std())


def _raise(job: Job, error: Exception) -> None:
    raise error
