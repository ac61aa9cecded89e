"""Seeded procedural materials with full PBR ground truth; all of them tile."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from ..vocabulary import MATERIALS as NAMES
from .canvas import STANDARD, Canvas, Field
from .crafted import CRAFTED
from .elements import ELEMENTS
from .ground import GROUND
from .masonry import MASONRY
from .modifiers import GRAINS, MODIFIERS

RECIPES = {**MASONRY, **GROUND, **CRAFTED, **ELEMENTS}
CHANNELS = ("albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic")


def make(material: str, modifiers: Mapping[str, float], seed: int, size: int = STANDARD, grain: float = 1.0) -> Field:
    """Maps float32 (6, size, size) in [0, 1]: albedo r, g, b (sRGB), height, roughness, metallic.

    `modifiers` are strengths of 0 to 1 by name; `grain` scales the size of features in pixels; a size of 256 has twice
    as many features as 128, of the same grain.
    """
    for name, strength in modifiers.items():
        if name in GRAINS:
            grain *= GRAINS[name] ** strength
    rng = np.random.default_rng([seed, zlib.crc32(material.encode())])
    canvas = Canvas(size, size / grain, rng)
    surface = RECIPES[material](canvas)
    for name, apply in MODIFIERS.items():
        if modifiers.get(name, 0.0) > 0.0:
            surface = apply(canvas, surface, float(modifiers[name]))
    maps = np.concatenate([surface.rgb, np.stack([surface.height, surface.rough, surface.metal])])
    return np.clip(maps, 0.0, 1.0).astype(np.float32)


assert set(RECIPES) == set(NAMES), "every material of the vocabulary has a recipe"
