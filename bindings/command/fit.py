"""`cadenza fit`: numbers learned for a bundle against its own fine-step runs, and what they gain on seeds not seen."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ...assets.store import default_folder
from ...runtime.draws import initial
from ...runtime.flight import shape
from ...runtime.looking import Workbench
from ...runtime.plans import process_of
from ...runtime.resolved import Resolved
from ...runtime.solver.fitting import Model, fit_corrections, fit_spacing, trajectory
from ...runtime.solver.levels import check_spacing, levels_of
from ...runtime.solver.process import Level, Process, coefficients
from . import dials
from .output import show, waited

Reals = NDArray[np.float64]

FINE_LEVELS = 60
"""Of which a fitted spacing is a selection."""
COEFFICIENTS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)


def fit(
    steps: Annotated[str, typer.Option(help="Step counts to learn numbers for.")] = "4,5,6,8",
    seeds: Annotated[int, typer.Option(min=2, help="Textures to learn from; half as many others judge.")] = 16,
    size: dials.Size = "64",
    spacing: dials.Spacing = "sgm_uniform",
    fine: Annotated[int, typer.Option(min=1, help="Heun steps of the exact run from level to level.")] = 8,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; without it the embedded one.")] = None,
    backend: dials.Backend = "auto",
    threads: dials.Threads = None,
    json: dials.Json = False,
) -> None:
    """Learn corrections for the sampler `fitted`, and a spacing of its own, for each step count; print what they gain.

    --json gives the numbers, for a recipe or the bundle's table: sampler "fitted", options {"corrections": [...]}.
    """
    counts = dials.parse_wholes(steps, "steps", "step counts such as 4,6,8")
    bench = Workbench(bundle, backend, default_folder() / "proofs", threads or os.cpu_count() or 1)
    asked = _requests(bench, size, dials.parse_spacing(spacing or "sgm_uniform"), seeds + seeds // 2)
    learn, judge = Bed(bench, asked[:seeds]), Bed(bench, asked[seeds:])
    results: dict[str, Any] = {}
    for n in waited(counts, "step count"):
        levels = levels_of(check_spacing(asked[0]["spacing"], n), n, learn.process, 1.0)
        corrections = fit_corrections(learn.model, learn.exact(levels, fine), levels)
        target = judge.exact(levels, fine)[-1]
        ratios = learn.spacing(n)
        results[f"{n} steps"] = {
            "error": {
                "euler": judge.error(target, n, sampler="euler"),
                "euler on its own spacing": judge.error(target, n, sampler="euler", spacing=ratios),
                "dpmpp_2m": judge.error(target, n, sampler="dpmpp_2m"),
                "fitted": judge.error(target, n, sampler="fitted", options={"corrections": corrections}),
            },
            "corrections": [round(number, 6) for number in corrections],
            "spacing": ratios,
        }
    errors = {
        name: ", ".join(f"{how} {off:.4g}" for how, off in each["error"].items()) for name, each in results.items()
    }
    show(results if json else errors, json)


class Bed:
    """Requests of one bundle run together: their exact runs, and how far a sampler ends from them."""

    def __init__(self, bench: Workbench, requests: Sequence[dict[str, Any]]) -> None:
        self.bench, self.requests = bench, requests
        self.process: Process = process_of(bench.bundle.manifest)
        resolved = [bench.resolve(request) for request in requests]
        self._conditions = np.stack([bench.network.conditions(each.condition)[0] for each in resolved])
        self._starts = np.stack([_start(each) for each in resolved])

    def model(self, x: Reals, level: Level) -> Reals:
        """Clean estimates for latents (B, C, h, w) in the sampler's frame, each under its own prompt."""
        own, network = x * level.scale, self.bench.network
        at_once = network.batch_for(x.shape[2:])
        parts = [slice(k, k + at_once) for k in range(0, len(x), at_once)]
        told = np.full(len(x), level.time, np.float32)
        raw = [network.evaluate(own[at].astype(np.float32), told[at], self._conditions[at]) for at in parts]
        a, b = coefficients(self.bench.bundle.manifest.prediction, level)
        clean: Reals = a * own + b * np.concatenate(raw).astype(np.float64)
        return clean

    def exact(self, levels: Sequence[Level], fine: int) -> list[Reals]:
        model: Model = self.model
        return trajectory(model, self.process.start_scale(levels[0]) * self._starts, levels, self.process, fine)

    def spacing(self, steps: int) -> dict[str, list[float]]:
        """The fitted spacing as explicit times, of the coefficient that serves Euler's method best on these requests."""
        fine = levels_of(check_spacing("log_snr", FINE_LEVELS), FINE_LEVELS, self.process, 1.0)
        exact = self.exact(fine, 1)
        fitted = [fit_spacing(self.model, exact, fine, steps, coefficient) for coefficient in COEFFICIENTS]
        told = [{"times": [round(level.time, 6) for level in levels[:-1]]} for levels in fitted]
        return min(told, key=lambda times: self.error(exact[-1], steps, sampler="euler", spacing=times))

    def error(self, target: Reals, steps: int, **how: Any) -> float:
        """Root mean square distance of the recipes' results to the target over its deviation."""
        ends = [self.bench.run({**request, "steps": steps, **how}).latent for request in self.requests]
        return round(math.sqrt(float(np.mean((np.stack(ends) - target) ** 2))) / float(target.std()), 6)


def _requests(bench: Workbench, size: str, spacing: Any, count: int) -> list[dict[str, Any]]:
    """Seeds from 0, the bundle's prompts in turn."""
    kind, words = bench.bundle.manifest.kind, bench.prompts
    asked = [dials.request(kind, words[k % len(words)], size, seed=k, guidance="1") for k in range(count)]
    return [{**request, "spacing": spacing} for request in asked]


def _start(resolved: Resolved) -> Reals:
    return initial(resolved.recipe, shape(resolved)).astype(np.float64)
