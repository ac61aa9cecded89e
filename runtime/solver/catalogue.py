"""What there is, derived from traced plans: for listings and documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .compile import compile_plan, dials
from .levels import options_of
from .live import live_plan
from .names import aliases_of
from .process import Process
from .samplers import LIVE, SAMPLERS
from .samplers.dials import parameters
from .spacings import SPACINGS

STEPS = 12


def describe_samplers() -> list[dict[str, Any]]:
    """A row a sampler: order claimed, evaluations a step, slots and draws of a 12-step plan with default dials."""
    return [_sampler(name) for name in SAMPLERS]


def describe_live() -> list[dict[str, Any]]:
    """A row a live sampler: it has no plan before it runs, so evaluations are what its defaults take on a reference mixture."""
    return [
        {
            "name": name,
            "title": each.title,
            "aliases": aliases_of(name),
            "order": each.order,
            "converges": each.order is not None,
            "live": True,
            "evaluations": live_plan(name, "karras", Process.flow(), "flow").evaluations,
            "options": {dial: p.default for dial, p in parameters(each.run).items()},
            "about": inspect.getdoc(each.run) or "",
        }
        for name, each in LIVE.items()
    ]


def _sampler(name: str) -> dict[str, Any]:
    sampler = SAMPLERS[name]
    plan = compile_plan(name, "sgm_uniform", STEPS, Process.flow(), "flow")
    return {
        "name": name,
        "title": sampler.title,
        "aliases": aliases_of(name),
        "order": sampler.order,
        "converges": sampler.order is not None,
        "evaluations_per_step": plan.evaluations / STEPS,
        "stochastic": plan.stochastic,
        "noise_draws": plan.noise_draws,
        "slots": plan.slots,
        "options": dials(name),
        "about": inspect.getdoc(sampler.run) or "",
    }


def describe_spacings() -> list[dict[str, Any]]:
    """A row a spacing: its options with their defaults, and what it is."""
    return [
        {"name": name, "title": _title(run), "options": options_of(name), "about": inspect.getdoc(run) or ""}
        for name, run in SPACINGS.items()
    ]


def _title(run: Callable[..., Any]) -> str:
    """The first paragraph of what it says about itself, up to its source."""
    first = " ".join((inspect.getdoc(run) or "").split("\n\n")[0].split())
    return first.split(" [")[0].rstrip(".")
