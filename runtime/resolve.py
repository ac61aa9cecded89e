"""From what a caller asked to a complete recipe: the bundle's defaults filled in, every dial checked, words read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets.bundle import Bundle
from ..assets.manifest import Flow, Manifest, Recommended, Ve, Vp
from ..assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from .noise import check_seed
from .recipe import FIELDS, Recipe, Spacing, from_dict
from .solver import Plan, Process, compile_plan

ASKED = (*FIELDS, "size")
NOISES = ("independent", "brownian")
DEFAULT_SPACING = "sgm_uniform"
"""For a sampler or step count that the bundle has no explicit table for."""
PROMPT_LIMIT = 1000


@dataclass(frozen=True)
class Resolved:
    """A recipe with what the engine needs to make it. `condition` is float32 (2, K): conditional, unconditional."""

    recipe: Recipe
    bundle: Bundle
    plan: Plan
    condition: NDArray[np.float32]
    ignored: tuple[str, ...]  # words of the prompts that the bundle does not know


def resolve(request: Mapping[str, Any], bundles: Mapping[str, Bundle]) -> Resolved:
    """Completes a request (any part of a recipe, and `size` for width and height) or refuses it in words.

    `bundles` maps digests to bundles; a request may name one by its digest, its name, or only say the kind.
    """
    for field in request:
        if field not in ASKED:
            raise Unknown(str(field), field, ASKED)
    asked = {field: value for field, value in request.items() if value is not None}
    bundle = _bundle(asked, bundles)
    manifest = bundle.manifest
    width, height = _size(asked, manifest)
    dials = _dials(asked, manifest)
    condition, ignored = _condition(asked, bundle)
    recipe = from_dict(
        {
            "kind": manifest.kind,
            "bundle": bundle.digest,
            "prompt": asked["prompt"],
            "negative": asked.get("negative", ""),
            "seed": check_seed(asked.get("seed", 0)),
            "variation_seed": check_seed(asked.get("variation_seed", 0), "variation_seed"),
            "variation_strength": _number(asked.get("variation_strength", 0.0), "variation_strength", 0.0, 1.0),
            "width": width,
            "height": height,
            "noise": _one_of(asked.get("noise", NOISES[0]), "noise", NOISES),
            **dials,
        }
    )
    return Resolved(recipe, bundle, plan_of(recipe, manifest), condition, ignored)


def plan_of(recipe: Recipe, manifest: Manifest) -> Plan:
    """The recipe's plan; compiled plans are cached by the solver."""
    return compile_plan(
        sampler=recipe.sampler,
        spacing=recipe.spacing,
        steps=recipe.steps,
        process=process_of(manifest),
        prediction=manifest.prediction,
        guidance=recipe.guidance,
        eta=recipe.eta,
        **dict[str, Any](recipe.options),
    )


def process_of(manifest: Manifest) -> Process:
    """The process that the manifest's numbers describe."""
    match manifest.process:
        case Vp(alphas_cumprod=values):
            return Process.vp(values)
        case Ve(sigma_min=low, sigma_max=high):
            return Process.ve(low, high)
        case Flow(shift=shift):
            return Process.flow(shift)


def _bundle(asked: Mapping[str, Any], bundles: Mapping[str, Bundle]) -> Bundle:
    kinds = sorted({bundle.manifest.kind for bundle in bundles.values()})
    kind = asked.get("kind")
    if kind is not None and kind not in kinds:
        raise Unknown("kind", kind, kinds)
    wanted = asked.get("bundle")
    if wanted is None:
        return next(bundle for bundle in bundles.values() if kind in (None, bundle.manifest.kind))
    for digest, bundle in bundles.items():
        if wanted in (digest, bundle.manifest.name):
            if kind not in (None, bundle.manifest.kind):
                raise Refusal("contradiction", "bundle", f"{wanted!r} makes {bundle.manifest.kind}, not {kind}")
            return bundle
    names = [f"{bundle.manifest.name} ({digest[:12]})" for digest, bundle in bundles.items()]
    raise Refusal(
        "unknown",
        "bundle",
        f"{wanted!r} is not loaded here",
        f"loaded: {', '.join(names)}; start the server with --bundle",
    )


def _size(asked: Mapping[str, Any], manifest: Manifest) -> tuple[int, int]:
    if "size" in asked and ("width" in asked or "height" in asked):
        raise Refusal("contradiction", "size", "stands beside width or height", "give size, or width and height")
    sides = asked.get(
        "size", (asked.get("width", asked.get("height", 128)), asked.get("height", asked.get("width", 128)))
    )
    width, height = sides if isinstance(sides, tuple | list) and len(sides) == 2 else (sides, sides)
    latent = manifest.latent
    for field, value in (
        ("size" if "size" in asked else "width", width),
        ("size" if "size" in asked else "height", height),
    ):
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongType(field, value, "a whole number of pixels")
        if not latent.minimum <= value <= latent.maximum or value % latent.multiple:
            raise OutOfRange(
                field, value, f"a multiple of {latent.multiple} from {latent.minimum} to {latent.maximum} pixels"
            )
    return width, height


def _condition(asked: Mapping[str, Any], bundle: Bundle) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    prompt = _text(asked.get("prompt"), "prompt")
    negative = _text(asked.get("negative", ""), "negative")
    positive, ignored = bundle.parse_prompt(prompt)
    unconditional = np.zeros_like(positive)
    if negative:
        unconditional, also = bundle.parse_prompt(negative, field="negative")
        ignored += also
    return np.stack([positive, unconditional]), ignored


def _dials(asked: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Sampler, spacing, steps, guidance, eta and options: what was asked, else the bundle's table for that step count."""
    tables = {table.steps: table for table in manifest.recommended}
    steps = asked.get("steps", manifest.recommended[-1].steps)
    table = tables.get(steps) if isinstance(steps, int) else None
    family = manifest.recommended[-1]
    sampler, spacing, options = family.sampler, None, dict(family.options)
    if "sampler" in asked:
        if not isinstance(asked["sampler"], str):
            raise WrongType("sampler", asked["sampler"], "the name of a sampler")
        sampler, options = asked["sampler"], {}
    if sampler == (table or family).sampler and table is not None and "spacing" not in asked and spacing is None:
        spacing = {"times": tuple(table.times)}
        options = {**table.options, **options}
    options |= _options(asked.get("options", {}))
    default_guidance = (table or family).guidance
    return {
        "sampler": sampler,
        "spacing": _spacing(asked.get("spacing", spacing or DEFAULT_SPACING)),
        "steps": steps,
        "guidance": _number(asked.get("guidance", default_guidance), "guidance", 0.0, 30.0),
        "eta": _eta(asked, table, sampler),
        "options": options,
    }


def _eta(asked: Mapping[str, Any], table: Recommended | None, sampler: str) -> float | None:
    if "eta" in asked:
        return _number(asked["eta"], "eta", 0.0, 10.0)
    return table.eta if table is not None and table.sampler == sampler else None


def _spacing(value: Any) -> Spacing:
    if isinstance(value, str | dict):
        return value
    if isinstance(value, list | tuple):
        return tuple(_number(level, "spacing", 0.0, math.inf) for level in value)
    raise WrongType("spacing", value, "the name of a spacing or a list of noise ratios")


def _options(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise WrongType("options", value, "a mapping of the sampler's option names to values")
    return dict(value)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise WrongType(field, value, "text")
    if len(value) > PROMPT_LIMIT:
        raise OutOfRange(field, f"{value[:20]}... ({len(value)} characters)", f"at most {PROMPT_LIMIT} characters")
    return value


def _number(value: Any, field: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(field, value, "a number")
    if not low <= value <= high:  # NaN fails here too
        raise OutOfRange(field, value, f"a number from {low:g} to {high:g}")
    return float(value)


def _one_of(value: Any, field: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise Unknown(field, value, valid)
    return str(value)
