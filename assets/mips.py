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


def chain(name: str, image: Bytes, frames: tuple[int, int] = (1, 1)) -> list[Bytes]:
    """All levels of a map (H, W) or (H, W, C), the image itself first, down to 1 x 1; each half as large, rounded down.

    A sheet of `frames`, rows and columns, ends where the next level would mix them: where a frame has an odd side.
    """
    levels = [image]
    while max(levels[-1].shape[:2]) > 1 and not _would_mix(levels[-1].shape, frames):
        levels.append(_half(name, levels[-1]))
    return levels


def _would_mix(shape: tuple[int, ...], frames: tuple[int, int]) -> bool:
    return any(count > 1 and side // count % 2 for side, count in zip(shape, frames, strict=False))


def _halve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of pairs of rows; of an odd number n, n / 2 rows rounded down, each the mean of n / that many.

    [Guthe and Heckbert, "Non-Power-of-Two Mipmapping", NVIDIA 2005]
    """
    n, m = len(values), len(values) // 2
    first, second = values[: 2 * m : 2], values[1 : 2 * m : 2]
    if n % 2 == 0:
        return (first + second) / 2
    third = values[2::2]
    place = np.arange(m, dtype=np.float64).reshape(-1, *[1] * (values.ndim - 1))
    mean: NDArray[np.float64] = ((m - place) * first + m * second + (place + 1) * third) / n
    return mean


def _half(name: str, image: Bytes) -> Bytes:
    values = _LINEAR[image] if name == "albedo" else image / 255.0
    for axis in (0, 1):
        if values.shape[axis] > 1:
            values = np.swapaxes(_halve(np.swapaxes(values, 0, axis)), 0, axis)
    if name == "albedo":
        values = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    if name.startswith("normal"):
        vector = values * 2 - 1
        values = vector / np.maximum(np.sqrt((vector**2).sum(-1, keepdims=True)), 1e-6) / 2 + 0.5
    smaller: Bytes = np.floor(values * 255 + 0.5).astype(np.uint8)
    return smaller
