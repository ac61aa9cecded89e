"""Requests for sounds: seconds in place of sizes. The recipe is a picture's, one latent cell high: its width counts samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..assets.bundle import Bundle
from ..assets.refusal import OutOfRange, Refusal
from ..assets.sound import rate_of
from . import checks
from . import resolve as latents
from .resolve import Resolved

SECONDS = 10.0
"""Of a request that names no length, where the bundle makes as much."""
PICTURES = ("size", "mask", "x", "y")
"""Fields that a sound has no use for; 0 and null are what its recipe says of them."""


def resolve(request: Mapping[str, Any], bundle: Bundle) -> Resolved:
    """Completes a request or refuses it in words. `seconds` are rounded up to whole latent cells."""
    asked = {field: value for field, value in request.items() if value is not None}
    for field in PICTURES:
        if asked.get(field):
            raise Refusal("unsupported", field, "is of pictures, and this is a sound", "leave it out; say `seconds`")
    latent, rate = bundle.manifest.latent, rate_of(bundle.manifest)
    if asked.get("height", latent.factor) != latent.factor:
        raise OutOfRange("height", asked["height"], f"{latent.factor} for a sound, or leave it out")
    seconds = asked.pop("seconds", None)
    if seconds is not None and "width" in asked:
        raise Refusal("contradiction", "seconds", "stands beside width", "give one of them")
    if "width" not in asked:
        longest = latent.maximum / rate
        length = checks.number(min(SECONDS, longest) if seconds is None else seconds, "seconds", 1 / rate, longest)
        cells = math.ceil(round(length * rate) / latent.multiple)
        asked["width"] = max(cells * latent.multiple, latent.minimum)
    return latents.resolve({**asked, "height": latent.factor}, {bundle.digest: bundle})
