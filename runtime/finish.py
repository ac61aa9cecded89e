"""From decoded maps to what the game receives, by kind of asset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets import flipbook, sound
from ..assets.manifest import FLIPBOOK, HEIGHTMAP, SOUND, Manifest
from ..assets.maps import derive
from ..assets.sound import Sound
from ..assets.texture import Texture
from .recipe import Recipe

Maps = Mapping[str, NDArray[np.uint8]]


def texture(maps: NDArray[np.float32], manifest: Manifest) -> Maps:
    return derive(maps, [channel.name for channel in manifest.channels])


OTHERS: dict[str, Callable[..., Texture | Sound]] = {SOUND: sound.finished, FLIPBOOK: flipbook.finished}
"""Kinds whose assets are more than maps."""
KINDS: dict[str, Callable[[NDArray[np.float32], Manifest], Maps]] = {"texture": texture, HEIGHTMAP: texture}
"""A heightmap comes with the maps that follow from its height, so it is lit and packed as a texture is."""


def finish(
    decoded: NDArray[np.float32],
    manifest: Manifest,
    recipe: Recipe,
    ignored: tuple[str, ...],
    made_by: Mapping[str, Any],
) -> Texture | Sound:
    """The asset of decoded maps float32 (M, H, W) in [0, 1]; of samples (channels, 1, length)."""
    name, fields = recipe.told()
    told: dict[str, Any] = {"recipe": fields, "id": name, "ignored": ignored, "made_by": dict(made_by)}
    if recipe.kind in OTHERS:
        return OTHERS[recipe.kind](decoded, manifest, **told)
    return Texture(KINDS[recipe.kind](decoded, manifest), **told)
