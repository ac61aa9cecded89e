"""Requests for sounds: seconds in place of sizes. The recipe is a picture's, one latent cell high: its width counts samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..assets.bundle import Bundle
from ..assets.refusal import OutOfRange, Refusal, WrongType
from ..assets.sound import rate_of
from . import checks
from . import resolve as latents
from .masks import cells_of, digits_of
from .recipe import Recipe
from .resolve import check_depth
from .resolved import Resolved

SECONDS = 10.0
"""Of a request that names no length, where the bundle makes as much."""
PICTURES = ("size", "x", "y")
"""Fields that a sound has no use for; 0 and null are what its recipe says of them."""
SPANS = "a list of spans [begin, end] in seconds; one whose end lies before its begin runs across the end of the sound"


def resolve(request: Mapping[str, Any], bundle: Bundle, depth: int = 0) -> Resolved:
    """Completes a request or refuses it in words. `seconds` are rounded up to whole latent cells.

    `anew`, spans in seconds, stands for a mask: they are rounded outwards to whole cells. An image may be shorter than the
    request, which then goes on with it: what lies behind it is made anew. `depth` counts images of images.
    """
    asked = {field: value for field, value in request.items() if value is not None}
    for field in PICTURES:
        if asked.get(field):
            raise Refusal("unsupported", field, "is of pictures, and this is a sound", "leave it out; say `seconds`")
    latent = bundle.manifest.latent
    if asked.get("height", latent.factor) != latent.factor:
        raise OutOfRange("height", asked["height"], f"{latent.factor} for a sound, or leave it out")
    seconds = asked.pop("seconds", None)
    if seconds is not None and "width" in asked:
        raise Refusal("contradiction", "seconds", "stands beside width", "give one of them")
    if "width" not in asked:
        asked["width"] = _width(seconds, bundle)
    image, spans = asked.get("image"), asked.pop("anew", None)
    if isinstance(image, Mapping) and "seconds" in image:
        asked["image"] = image = _image(image, bundle, depth)
    if spans is not None and "mask" in asked:
        raise Refusal("contradiction", "anew", "stands beside mask", "give one of them")
    if spans is not None:
        asked["mask"] = _mask(spans, asked["width"], bundle)
        if image is None:
            raise Refusal("contradiction", "anew", "stands without an image", "give the sound that is kept around it")
    elif "mask" not in asked and isinstance(image, Mapping) and _is_shorter(image, asked["width"]):
        asked["mask"] = [image["width"], 0, asked["width"] - image["width"], latent.factor]
    resolved = latents.resolve({**asked, "height": latent.factor}, {bundle.digest: bundle})
    _check_kept(resolved.recipe, latent.factor)
    return resolved


def _width(seconds: Any, bundle: Bundle) -> int:
    """Samples."""
    latent, rate = bundle.manifest.latent, rate_of(bundle.manifest)
    shortest, longest = latent.minimum / rate, latent.maximum / rate
    length = min(SECONDS, longest) if seconds is None else seconds
    if isinstance(length, bool) or not isinstance(length, int | float):
        raise WrongType("seconds", seconds, "a number")
    width = math.ceil(round(length * rate) / latent.multiple) * latent.multiple if 0 < length <= longest else 0
    if width < latent.minimum:  # NaN is here too
        remedy = f"ask for {shortest:g} and cut it" if 0 < length < shortest else ""
        raise OutOfRange("seconds", seconds, f"a number from {shortest:g} to {longest:g}", remedy)
    return width


def _image(image: Mapping[str, Any], bundle: Bundle, depth: int) -> dict[str, Any]:
    check_depth(depth)
    try:
        return resolve(image, bundle, depth + 1).recipe.to_dict()
    except Refusal as refusal:
        raise refusal.inside("image") from refusal


def _is_shorter(image: Mapping[str, Any], width: Any) -> bool:
    own = image.get("width")
    return isinstance(own, int) and isinstance(width, int) and 0 < own < width


def _mask(spans: Any, width: Any, bundle: Bundle) -> str:
    """The digits of the cells that lie in the spans, even in part."""
    factor, rate = bundle.manifest.latent.factor, rate_of(bundle.manifest)
    if not isinstance(width, int) or not isinstance(spans, list | tuple) or not spans:
        raise WrongType("anew", spans, SPANS)
    cells = width // factor
    row = np.zeros((1, cells), np.uint8)
    for span in spans:
        if not isinstance(span, list | tuple) or len(span) != 2 or span[0] == span[1]:
            raise WrongType("anew", span, SPANS)
        begin, end = (checks.number(each, "anew", 0.0, width / rate) * rate / factor for each in span)
        first, last = math.floor(begin), math.ceil(end)
        row[0, (first + np.arange(last - first if first < last else last - first + cells)) % cells] = 1
    return digits_of(row)


def _check_kept(recipe: Recipe, factor: int) -> None:
    """Of a sound that goes on with a shorter one nothing can be kept that is not there."""
    if not isinstance(recipe.image, Recipe) or recipe.image.width >= recipe.width:
        return
    there, cells = recipe.image.width // factor, recipe.width // factor
    if recipe.mask is None or not cells_of(recipe.mask, 1, cells, factor)[0, 0, there:].all():
        sentence = f"keeps parts behind the image, which has {recipe.image.width} of {recipe.width} samples"
        raise Refusal("contradiction", "mask", sentence, "make all that lies behind it anew")
