"""What turns the solver: sampler, spacing, steps, guidance, eta and options, as asked or as the bundle's table has them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from ..assets.manifest import Manifest, Recommended
from ..assets.refusal import Refusal, WrongType
from . import checks
from .recipe import Spacing
from .solver import compile_plan
from .solver.levels import options_of
from .solver.names import resolve_names, resolve_spacing
from .solver.samplers import LIVE

DEFAULT_SPACING = "sgm_uniform"
"""For a sampler or step count that the bundle has no explicit table for."""
LIVE_SPACING = "karras"
"""For a sampler that takes the ends of a spacing only; this one begins and ends where the training did."""
OWN_FIELDS = frozenset(inspect.signature(compile_plan).parameters) - {"options", "eta"}
"""Fields of a plan that are no options of its sampler."""
RATIO_LIMIT = 1e6
"""Of explicit spacings, which are JSON in a recipe and so have no infinity; flow's t = 1 is said by {"times": [1.0, ...]}."""


def dials_of(asked: Mapping[str, Any], manifest: Manifest, pixels: int) -> dict[str, Any]:
    """Sampler, spacing, steps, guidance, eta and options: what was asked, else the bundle's table for that step count."""
    tables = {table.steps: table for table in manifest.recommended}
    steps = asked.get("steps", manifest.recommended[-1].steps)
    table = tables.get(steps) if isinstance(steps, int) else None
    family = table or manifest.recommended[-1]
    sampler, options, spacing = family.sampler, dict(manifest.recommended[-1].options), asked.get("spacing")
    if "sampler" in asked:
        named = resolve_names(asked["sampler"], spacing if isinstance(spacing, str) else None)
        sampler, options = named.sampler, dict(named.options)
        spacing = named.spacing if spacing is None else spacing
    if sampler in LIVE:
        steps, spacing = asked.get("steps", 0), LIVE_SPACING if spacing is None else spacing
    if spacing is None and table is not None and sampler == table.sampler:
        times = table.times if asked.get("image") is None else table.image_times or table.times
        spacing = {"times": tuple(times)}
        options = {**table.options, **options}
    own = _options(asked.get("options", {}))
    if "eta" in own and asked.get("eta") not in (None, own["eta"]):
        sentence = f"is {own['eta']!r}, and eta is {asked['eta']!r}"
        raise Refusal("contradiction", "options.eta", sentence, "say it in one place")
    options |= own
    implied_eta = options.pop("eta", None)
    return {
        "sampler": sampler,
        "spacing": _spacing(DEFAULT_SPACING if spacing is None else spacing, manifest, pixels),
        "steps": steps,
        "guidance": _guidance(asked.get("guidance", family.guidance)),
        "guidance_interval": _interval(asked.get("guidance_interval")),
        "corrector": asked.get("corrector"),
        "eta": _eta(asked, implied_eta, family, sampler),
        "options": options,
    }


def _eta(asked: Mapping[str, Any], implied: Any, family: Recommended, sampler: str) -> float | None:
    """What was asked, else what the sampler's name says, else the family's: a distilled network keeps it at any step count.

    A null is the sampler's own default, as it is in complete recipes.
    """
    eta = implied if asked.get("eta") is None else asked["eta"]
    if eta is not None:
        return checks.number(eta, "eta", 0.0, 10.0)
    return family.eta if family.sampler == sampler and "eta" not in asked else None


def _interval(value: Any) -> Any:
    """As asked, an infinite end as None, which JSON has; a plan checks the rest."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) != 2:
        raise WrongType("guidance_interval", value, "two noise ratios, lowest and highest, such as 0.3 and 5")
    return tuple(None if isinstance(each, float) and math.isinf(each) and each > 0 else each for each in value)


def _guidance(value: Any) -> float | tuple[float, ...]:
    if isinstance(value, list | tuple):
        return tuple(checks.number(each, "guidance", 0.0, 30.0) for each in value)
    return checks.number(value, "guidance", 0.0, 30.0)


def _spacing(value: Any, manifest: Manifest, pixels: int) -> Spacing:
    """As the registry spells it; a spacing that depends on resolution is told the recipe's."""
    if isinstance(value, list | tuple):
        return tuple(checks.number(level, "spacing", 0.0, RATIO_LIMIT) for level in value)
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise WrongType("spacing", value, "the name of a spacing, a mapping of its options, or a list of noise ratios")
    if "name" not in value:
        return dict(value)
    if not isinstance(value["name"], str):
        raise WrongType("spacing.name", value["name"], "the name of a spacing")
    name = resolve_spacing(value["name"])
    given = {**value, "name": name}
    if "tokens" in options_of(name):
        given.setdefault("tokens", max(1, pixels // (2 * manifest.latent.factor) ** 2))
    return name if list(given) == ["name"] else given


def _options(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise WrongType("options", value, "a mapping of the sampler's option names to values")
    for name in value:
        if name in OWN_FIELDS:
            raise Refusal("contradiction", f"options.{name}", "is no option of a sampler", "give it as a field")
    return dict(value)
