"""A large latent decoded in overlapping tiles, so that memory follows the tile's size and not the picture's.

Each tile is decoded alone, in order. Of its overlap with the next one the outer quarter, where it lacks its neighbours, is
thrown away, and over the rest one fades into the other. Along an axis that wraps tiles go on across the edge, so that a
seamless picture stays one. A decoder that looks at the whole picture (attention, normalisation over it) sees a tile in its
place: what differs from the picture decoded at once is measured when a bundle is exported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...assets.manifest import Tiles

Array = NDArray[np.float32]
Decode = Callable[[Array, Array | None], Array]
"""Maps (M, H, W) from a latent (C, h, w) and its noise."""


def decode_tiled(decode: Decode, latent: Array, grain: Array | None, tiles: Tiles) -> Array:
    """Maps (M, H, W) of a latent (C, h, w), decoded at once where it is no larger than a tile."""
    height, width = latent.shape[1:]
    rows, columns = (starts(n, tiles, axis in tiles.wrap) for n, axis in ((height, "y"), (width, "x")))
    if len(rows) == len(columns) == 1:
        return decode(latent, grain)
    total: Array | None = None
    for top in rows:
        for left in columns:
            y, x = (_cells(at, n, tiles.cells) for at, n in ((top, height), (left, width)))
            maps = decode(_cut(latent, y, x, 1), None if grain is None else _cut(grain, y, x, grain.shape[1] // height))
            factor = maps.shape[1] // len(y)
            if total is None:
                total = np.zeros((len(maps), height * factor, width * factor), np.float32)
                sums = np.zeros(total.shape[1:], np.float32)
            down, across = (
                fade(at, n, tiles, axis in tiles.wrap, factor)
                for at, n, axis in ((top, height, "y"), (left, width, "x"))
            )
            weight = down[:, None] * across[None]
            places = np.ix_(np.arange(len(maps)), _pixels(y, factor), _pixels(x, factor))
            total[places] += maps * weight
            sums[places[1][0], places[2][0]] += weight
    assert total is not None
    return np.divide(total, sums, out=total)


def starts(cells: int, tiles: Tiles, wraps: bool) -> list[int]:
    """Where tiles begin along an axis of so many cells; as few as their overlap allows, evenly laid."""
    if cells <= tiles.cells:
        return [0]
    stride = tiles.cells - tiles.overlap
    if wraps:
        count = max(2, -(-cells // stride))
        return [k * cells // count for k in range(count)]
    count = -(-(cells - tiles.cells) // stride) + 1
    return [k * (cells - tiles.cells) // (count - 1) for k in range(count)]


def fade(start: int, cells: int, tiles: Tiles, wraps: bool, factor: int) -> Array:
    """Weights (pixels,) of a tile along one axis: 0 in its outer margin, rising to 1; 1 up to an edge of the picture."""
    length = min(tiles.cells, cells) * factor
    if cells <= tiles.cells:
        return np.ones(length, np.float32)
    overlap = tiles.overlap * factor
    margin = overlap // 4
    ramp = np.clip((np.arange(overlap, dtype=np.float32) + 0.5 - margin) / np.float32(overlap - 2 * margin), 0.0, 1.0)
    weights = np.ones(length, np.float32)
    if wraps or start > 0:
        weights[:overlap] = ramp
    if wraps or start + tiles.cells < cells:
        weights[-overlap:] = np.minimum(weights[-overlap:], ramp[::-1])
    return weights


def _cells(start: int, cells: int, tile: int) -> NDArray[np.int64]:
    return (start + np.arange(min(tile, cells))) % cells


def _pixels(cells: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    return (cells[:, None] * factor + np.arange(factor)).reshape(-1)


def _cut(field: Array, rows: NDArray[np.int64], columns: NDArray[np.int64], factor: int) -> Array:
    return field[np.ix_(np.arange(len(field)), _pixels(rows, factor), _pixels(columns, factor))]
