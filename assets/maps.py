"""From decoded channels to the maps of a texture, and those that follow from its height.

Everything here is + - * / sqrt and comparisons in float32 on a torus, in a fixed order: the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Field = NDArray[np.float32]

NORMAL_STRENGTH = 6.0
"""Slope of the normal map: height 0 to 1 is this many pixels, the same at every size because the grain is."""
HORIZONS = {(0, 1): (2, 6), (1, 0): (2, 6), (1, 1): (2, 4), (1, -1): (2, 4)}
"""Axes (rows, columns) along which occlusion looks both ways, and how many places far. Not at the nearest: single grains are
no walls."""
REACH = max(map(max, HORIZONS.values()))


def _number(value: float) -> Field:
    """A constant as an array without axes, which numpy takes in half the time of a scalar."""
    return np.array(value, np.float32)


_ZERO, _HALF, _ONE, _TWO, _TOP = map(_number, (0, 0.5, 1, 2, 255))
_SLOPE, _MIDDLE, _ROUNDED = map(_number, (NORMAL_STRENGTH / 8, 127.5, 128))  # 128: the middle, and the half that rounds
_SHARE = _number(255 / 8)
_HORIZONS = [
    (axis, [(far, _number(NORMAL_STRENGTH / (far * sqrt(sum(map(abs, axis)))))) for far in steps])
    for axis, steps in HORIZONS.items()
]


def quantise(field: Field) -> Bytes:
    """[0, 1] to 0..255, rounded half up; what lies outside goes to the ends."""
    inside: Field = field.clip(_ZERO, _ONE)
    inside *= _TOP
    inside += _HALF
    return inside.astype(np.uint8)


def derive(decoded: Field, names: Sequence[str]) -> dict[str, Bytes]:
    """All maps from the decoder's (M, H, W) in [0, 1]; normals and occlusion come from the height."""
    at = dict(zip(names, quantise(decoded), strict=False))
    height = decoded[names.index("height")]
    maps = {
        "albedo": _interleaved([at[f"albedo.{c}"] for c in "rgb"]),
        "normal": normals_of(height),
        "height": at["height"],
        "roughness": at["roughness"],
        "metallic": at["metallic"],
        "occlusion": occlusion_of(height),
    }
    for each in maps.values():
        each.flags.writeable = False  # several may hold it
    return maps


# Below, neighbours are reached by shifting whole wrapped fields, flat and with their margins: a pass over one long row is
# three times as quick as one over many short ones. What is computed in the margins is not used.


def normals_of(height: Field) -> Bytes:
    """Tangent-space normals (H, W, 3), OpenGL: x right, y up, by periodic Sobel differences; 0 is the byte 128."""
    high, wide = height.shape
    pitch = wide + 2
    around = _wrapped(height, 1).reshape(-1)
    places = high * pitch - 2
    planes = np.empty((3, high * pitch), np.float32)
    normal = planes[:, :places]
    x, y, z = normal
    across = _smoothed(around[: -2 * pitch], around[pitch:-pitch], around[2 * pitch :])
    np.subtract(across[:-2], across[2:], out=x)
    along = _smoothed(around[:-2], around[1:-1], around[2:])
    np.subtract(along[2 * pitch :], along[: -2 * pitch], out=y)  # rows go down, y goes up
    normal[:2] *= _SLOPE
    np.multiply(x, x, out=z)
    z += np.multiply(y, y, out=across[:places])
    z += _ONE
    np.sqrt(z, out=z)
    np.divide(_MIDDLE, z, out=z)
    normal[:2] *= z
    normal += _ROUNDED
    return _interleaved(list(planes.reshape(3, high, pitch)[:, :, :wide]))


def occlusion_of(height: Field) -> Bytes:
    """Ambient occlusion (H, W): the share of an even sky's light that reaches a place between the horizons around it.

    In each of eight directions the steepest slope t of HORIZONS hides the sky below it; the rest of it there gives
    1 / (1 + t^2) of its light, less as it comes in more slantingly. Heights are in pixels, as for the normals. Sources: Max,
    "Horizon mapping: shadows for bump-mapped surfaces" (1988, https://doi.org/10.1007/BF01905562); Bavoil, Sainz, Dimitrov,
    "Image-space horizon-based ambient occlusion" (2008, https://doi.org/10.1145/1401032.1401061).
    """
    (high, wide), margin = height.shape, REACH
    pitch = wide + 2 * margin
    around = _wrapped(height, margin).reshape(-1)
    first, places = margin * (pitch + 1), (high - 1) * pitch + wide
    slopes, up, down, product, light, nothing = np.empty((6, first + places), np.float32)
    up, down, product, light, nothing = (each[:places] for each in (up, down, product, light, nothing))
    nothing.fill(0)  # a maximum with a constant would take three times as long
    light.fill(0)
    for (rows, columns), steps in _HORIZONS:
        steepest, lowest = nothing, nothing
        for far, slope in steps:
            by = far * (rows * pitch + columns)
            np.subtract(around[by:][: slopes.size], around[: slopes.size], out=slopes)
            slopes *= slope
            steepest = np.maximum(slopes[first:], steepest, out=up)
            lowest = np.minimum(slopes[first - by :][:places], lowest, out=down)  # seen from the other end it falls
        for side in (up, down):
            side *= side
            side += _ONE
        np.multiply(up, down, out=product)
        up += down
        up /= product  # 1 / up + 1 / down by one division
        light += up
    light *= _SHARE
    light += _HALF
    out = np.empty(high * pitch, np.uint8)
    out[:places] = light
    return out.reshape(high, pitch)[:, :wide].copy()


def _wrapped(field: Field, by: int) -> Field:
    """The field (H, W) with `by` places of its other end on each side, (H + 2 by, W + 2 by)."""
    high, wide = field.shape
    if min(high, wide) < by:  # it comes more than once on a side
        return field[np.ix_(np.arange(-by, high + by) % high, np.arange(-by, wide + by) % wide)]
    around = np.empty((high + 2 * by, wide + 2 * by), np.float32)
    inside = around[:, by:-by]
    inside[by:-by], inside[:by], inside[-by:] = field, field[-by:], field[:by]
    around[:, :by], around[:, -by:] = inside[:, -by:], inside[:, :by]
    return around


def _smoothed(before: Field, here: Field, after: Field) -> Field:
    total: Field = here * _TWO
    total += before
    total += after
    return total


def _interleaved(planes: Sequence[Bytes] | Sequence[Field]) -> Bytes:
    """(H, W, n) of n planes (H, W), of reals what is whole of them; numpy's stack takes twice as long."""
    out = np.empty((*planes[0].shape, len(planes)), np.uint8)
    for channel, plane in enumerate(planes):
        out[..., channel] = plane
    return out
