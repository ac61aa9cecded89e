"""From what a caller asked to a complete recipe: the bundle's defaults filled in, every dial checked, words read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets.bundle import Bundle
from ..assets.guidance import embedding
from ..assets.manifest import FLIPBOOK, HEIGHTMAP, SOUND, Manifest
from ..assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from . import checks
from .dials import dials_of
from .inputs import read_image, read_inputs
from .masks import check_mask
from .noise import check_seed
from .pictures import USUAL_SIDE, Array, Shelf
from .plans import plan_of
from .recipe import FIELDS, Recipe, from_dict
from .resolved import Resolved

ASKED = (*FIELDS, "size")
SIDES = ("size", "width", "height")
NOISES = ("independent", "brownian")
CORNER_LIMIT = 2**24
IMAGE_DEPTH = 4
"""An image may be of a recipe that has an image itself, so many times."""


def resolve(
    request: Mapping[str, Any], bundles: Mapping[str, Bundle], depth: int = 0, shelf: Shelf | None = None
) -> Resolved:
    """Completes a request (any part of a recipe, and `size` for width and height) or refuses it in words.

    `bundles` maps digests to bundles; a request may name one by its digest, its name, or only say the kind. `depth`
    counts images of images. Arrays in a request are put on the `shelf`, from which those named by digest are taken.
    """
    shelf = Shelf() if shelf is None else shelf
    asked = {field: value for field, value in request.items() if value is not None}
    if "eta" in request:
        asked["eta"] = request["eta"]
    bundle = choose_bundle(asked, bundles)  # first: what is of another kind has other fields
    for name in request:
        if name not in ASKED:
            raise Unknown(str(name), name, ASKED)
    manifest = bundle.manifest
    width, height = _size(asked, manifest)
    dials = dials_of(asked, manifest, width * height)
    told = _embedded_guidance(asked, bundle)
    condition, ignored = _condition(asked, bundle, told)
    image, source, arrays = _image(asked, bundle, (width, height), depth, shelf)
    inputs, more = read_inputs(asked.get("inputs"), bundle, (width, height), shelf)
    recipe = from_dict(
        {
            "kind": manifest.kind,
            "bundle": bundle.digest,
            "prompt": asked["prompt"],
            "negative": asked.get("negative", ""),
            "seed": check_seed(asked.get("seed", 0)),
            "variation_seed": check_seed(asked.get("variation_seed", 0), "variation_seed"),
            "variation_strength": checks.number(asked.get("variation_strength", 0.0), "variation_strength", 0.0, 1.0),
            "x": _corner(asked.get("x", 0), "x", manifest),
            "y": _corner(asked.get("y", 0), "y", manifest),
            "width": width,
            "height": height,
            "image": image,
            "inputs": inputs,
            "denoise": checks.number(asked.get("denoise", 1.0), "denoise", 0.001, 1.0),
            "mask": check_mask(asked.get("mask"), (width, height), manifest.latent.factor),
            "embedded_guidance": told,
            "noise": checks.one_of(asked.get("noise", NOISES[0]), "noise", NOISES),
            **dials,
        }
    )
    _check_image(recipe)
    return Resolved(recipe, bundle, plan_of(recipe, manifest), condition, ignored, source, arrays | more)


def choose_bundle(asked: Mapping[str, Any], bundles: Mapping[str, Bundle]) -> Bundle:
    kinds = sorted({bundle.manifest.kind for bundle in bundles.values()})
    for name in ("kind", "bundle"):
        if asked.get(name) is not None:
            checks.text(asked[name], name)
    kind = asked.get("kind")
    if kind in (FLIPBOOK, HEIGHTMAP) and kind not in kinds:
        sentence = f"{kind!r} is made by no bundle that is loaded, only {', '.join(kinds)}"
        raise Refusal("unknown", "kind", sentence, f"load a bundle of kind {kind}: --bundle FOLDER")
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
    """Width and height that are asked for, or without a word on them those of the recipe it starts from."""
    if "size" in asked and ("width" in asked or "height" in asked):
        raise Refusal("contradiction", "size", "stands beside width or height", "give size, or width and height")
    image = asked.get("image")
    if isinstance(image, Mapping) and not any(side in asked for side in SIDES):
        asked = {side: image[side] for side in SIDES if image.get(side) is not None}
    width = asked.get("width", asked.get("height", USUAL_SIDE))
    height = asked.get("height", asked.get("width", USUAL_SIDE))
    sides = asked.get("size", (width, height))
    width, height = sides if isinstance(sides, tuple | list) and len(sides) == 2 else (sides, sides)
    latent = manifest.latent
    for side, value in (
        ("size" if "size" in asked else "width", width),
        ("size" if "size" in asked else "height", height),
    ):
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongType(side, value, "a whole number of pixels")
        if manifest.kind == SOUND and side == "height" and value == latent.factor:
            continue  # one cell, whatever lengths are multiples of
        if not latent.minimum <= value <= latent.maximum or value % latent.multiple:
            raise OutOfRange(
                side, value, f"a multiple of {latent.multiple} from {latent.minimum} to {latent.maximum} pixels"
            )
    return width, height


def _image(
    asked: Mapping[str, Any], bundle: Bundle, size: tuple[int, int], depth: int, shelf: Shelf
) -> tuple[dict[str, Any] | str | None, Resolved | None, dict[str, Array]]:
    """What a recipe has of its image; that recipe, of the same bundle and size, or the picture by its digest."""
    image = asked.get("image")
    if image is None:
        return None, None, {}
    if isinstance(image, Mapping):
        source = _source(image, bundle, size, depth, shelf)
        return source.recipe.to_dict(), source, {}
    digest, array = read_image(image, bundle.manifest, size, shelf)
    return digest, None, {digest: array}


def check_depth(depth: int) -> None:
    """Of an image whose own image is so many images deep."""
    if depth >= IMAGE_DEPTH:
        raise OutOfRange("image", f"an image of an image {depth + 1} deep", f"at most {IMAGE_DEPTH} deep")


def _source(image: Mapping[str, Any], bundle: Bundle, size: tuple[int, int], depth: int, shelf: Shelf) -> Resolved:
    check_depth(depth)
    try:
        whole = {"size": size, **image} if "width" not in image else image
        source = resolve(whole, {bundle.digest: bundle}, depth + 1, shelf)
    except Refusal as refusal:
        raise refusal.inside("image") from refusal
    shorter = bundle.manifest.kind == SOUND and source.recipe.width < size[0]
    if (source.recipe.width, source.recipe.height) != size and not shorter:
        sentence = f"is {source.recipe.width} x {source.recipe.height} pixels, the request {size[0]} x {size[1]}"
        raise Refusal("contradiction", "image", sentence, "ask for its size")
    return source


def _check_image(recipe: Recipe) -> None:
    """Image, mask and denoise must go together, so that none of them is without effect."""
    if recipe.image is None and (recipe.denoise < 1.0 or recipe.mask is not None):
        field = "mask" if recipe.mask is not None else "denoise"
        raise Refusal(
            "missing", "image", f"{field} is set and there is no image", "give `image`, a recipe to start from"
        )
    if recipe.image is not None and recipe.denoise == 1.0 and recipe.mask is None:
        raise Refusal("contradiction", "image", "has no effect on a whole run", "set `denoise` below 1, or a `mask`")


def _embedded_guidance(asked: Mapping[str, Any], bundle: Bundle) -> float | None:
    """The strength of guidance that a distilled network is told; None where it is told none."""
    known, value = bundle.embedded_guidance, asked.get("embedded_guidance")
    if known is None:
        if value is not None:
            sentence = f"{value!r} cannot be told to the network of {bundle.manifest.name!r}, which embeds no guidance"
            raise Refusal("unknown", "embedded_guidance", sentence, "leave it out; `guidance` works with any bundle")
        return None
    return known.default if value is None else checks.number(value, "embedded_guidance", 0.0, 30.0)


def _condition(
    asked: Mapping[str, Any], bundle: Bundle, told: float | None
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    if "prompt" not in asked:
        raise Refusal("missing", "prompt", "is missing", "say what to make")
    prompt = checks.text(asked["prompt"], "prompt")
    negative = checks.text(asked.get("negative", ""), "negative")
    positive, ignored = bundle.parse_prompt(prompt)
    unconditional, also = bundle.parse_negative(negative)
    both = np.stack([positive, unconditional])
    if told is not None and bundle.embedded_guidance is not None:
        both = np.hstack([both, np.tile(embedding(told, bundle.embedded_guidance), (2, 1))])
    return both, ignored + also


def _corner(value: Any, field: str, manifest: Manifest) -> int:
    factor = manifest.latent.factor
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(field, value, "a whole number of pixels")
    if value % factor or abs(value) > CORNER_LIMIT:
        raise OutOfRange(field, value, f"a multiple of {factor} from {-CORNER_LIMIT} to {CORNER_LIMIT} pixels")
    return value
