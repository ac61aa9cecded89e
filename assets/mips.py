"""Mip chains of seamless textures: 2 x 2 boxes, colour averaged in linear light, normals made unit again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
_BYTE = np.arange(256) / 255.0
_LINEAR = np.where(_BYTE <= 0.04045, _BYTE / 12.92, ((_BYTE + 0.055) / 1.055) ** 2.4)


def to_linear(image: Bytes) -> NDArray[np.float64]:
    """sRGB bytes as linear light, 0 to 1 [IEC 61966-2-1]."""
    linear: NDArray[np.float64] = _LINEAR[image]
    return linear


def chain(name: str, image: Bytes) -> list[Bytes]:
    """All levels of a map, the image itself first, down to 1 x 1; an odd side keeps its last row or column."""
    levels = [image]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(_half(name, levels[-1]))
    return levels


def _half(name: str, image: Bytes) -> Bytes:
    values = _LINEAR[image] if name == "albedo" else image / 255.0
    for axis in (0, 1):
        if values.shape[axis] > 1:
            even = np.take(values, range(0, values.shape[axis] - 1, 2), axis)
            odd = np.take(values, range(1, values.shape[axis], 2), axis)
            values = (even + odd) / 2
    if name == "albedo":
        values = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    if name.startswith("normal"):
        vector = values * 2 - 1
        values = vector / np.maximum(np.sqrt((vector**2).sum(-1, keepdims=True)), 1e-6) / 2 + 0.5
    smaller: Bytes = np.floor(values * 255 + 0.5).astype(np.uint8)
    return smaller
