"""A recipe's plan, on the process that its bundle's manifest describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..assets.manifest import Flow, Manifest, Recommended, Ve, Vp
from ..assets.refusal import Refusal
from .recipe import Recipe
from .solver import Plan, Process, compile_plan
from .solver.live import LivePlan, live_plan
from .solver.samplers import LIVE


def plan_of(recipe: Recipe, manifest: Manifest) -> Plan | LivePlan:
    """The recipe's plan; compiled plans are cached by the solver."""
    if recipe.sampler in LIVE and recipe.noise == "brownian":
        sentence = f"needs the levels of every draw beforehand, and {recipe.sampler!r} chooses its own"
        raise Refusal("contradiction", "noise", sentence, "take independent noise")
    make = live_plan if recipe.sampler in LIVE else compile_plan
    try:
        return make(
            sampler=recipe.sampler,
            spacing=recipe.spacing,
            steps=recipe.steps,
            process=process_of(manifest),
            prediction=manifest.prediction,
            guidance=_acting(recipe.guidance, manifest.guidance_share_at(recipe.steps)),
            denoise=recipe.denoise,
            guidance_interval=recipe.guidance_interval,
            corrector=recipe.corrector,
            eta=recipe.eta,
            **dict[str, Any](recipe.options),
        )
    except Refusal as refusal:
        if refusal.field in recipe.options:
            raise refusal.inside("options") from refusal
        raise


def plan_of_table(
    manifest: Manifest, table: Recommended, guidance: float = 1.0, times: Sequence[float] | None = None
) -> Plan:
    """The plan of a table of the manifest, as it stands there; `times` in place of its own."""
    return compile_plan(
        table.sampler,
        {"times": table.times if times is None else times},
        table.steps,
        process_of(manifest),
        manifest.prediction,
        guidance=guidance,
        eta=table.eta,
        **dict[str, Any](table.options),
    )


def _acting(guidance: float | tuple[float, ...], share: float) -> float | tuple[float, ...]:
    """The guidance that the plan is made with; as asked up to 1, and where the share is 1 to the last bit."""
    if isinstance(guidance, tuple):
        return tuple(_acting(strength, share) for strength in guidance)  # type: ignore[misc]
    return guidance if share == 1.0 or guidance <= 1.0 else 1.0 + share * (guidance - 1.0)


def process_of(manifest: Manifest) -> Process:
    """The process that the manifest's numbers describe."""
    match manifest.process:
        case Vp(alphas_cumprod=values):
            return Process.vp(values)
        case Ve(sigma_min=low, sigma_max=high):
            return Process.ve(low, high)
        case Flow(shift=shift):
            return Process.flow(shift)
