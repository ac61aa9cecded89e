"""The torus that materials are made on: noise, cells and lattices that wrap around at any size.

Lengths are in standard pixels: one 128th of the side of a 128 px tile at grain 1. A field is float32 (size, size).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Field = NDArray[np.floating[Any]]
Choice = TypeVar("Choice")
STANDARD = 128


@dataclass(frozen=True)
class Canvas:
    """`size` pixels; `span` standard pixels across (size / grain); every random choice comes from `rng`."""

    size: int
    span: float
    rng: np.random.Generator

    @property
    def pixel(self) -> float:
        """Length of one pixel in standard pixels."""
        return self.span / self.size

    def count(self, length: float, even: bool = False) -> int:
        """How many features of a length fit the side: whole, so that they wrap; even where every other row differs."""
        n = max(1, round(self.span / length))
        return max(2, n + n % 2) if even else n

    def uv(self) -> tuple[Field, Field]:
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        return np.broadcast_to(axis[None, :], (self.size,) * 2), np.broadcast_to(axis[:, None], (self.size,) * 2)

    def noise(self, length: float, slope: float = 1.6, stretch: float = 1.0, grain: float = 1.5) -> Field:
        """Gaussian noise with mean 0 and deviation 1: features of `length` and finer ones falling off as f^-slope.

        `stretch` above 1 makes it longer along y; nothing finer than `grain` standard pixels.
        """
        white = self.rng.standard_normal((self.size, self.size), dtype=np.float32)
        shaped = fft.irfft2(
            fft.rfft2(white) * _filter(self.size, self.span, length, slope, stretch, grain), s=white.shape
        )
        return ((shaped - shaped.mean()) / (shaped.std() + 1e-9)).astype(np.float32)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, *choices: Choice) -> Choice:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def blur(self, field: Field, length: float) -> Field:
        return ndimage.gaussian_filter(field, length / self.pixel, mode="wrap")

    def each(self, ids: NDArray[np.int64], low: float = 0.0, high: float = 1.0) -> Field:
        """One uniform number for each cell id, spread over the cell."""
        return self.rng.uniform(low, high, int(ids.max()) + 1).astype(np.float32)[ids]


@lru_cache(maxsize=512)
def _filter(size: int, span: float, length: float, slope: float, stretch: float, grain: float) -> Field:
    fy = fft.fftfreq(size)[:, None] * size / span * stretch
    fx = fft.rfftfreq(size)[None, :] * size / span
    f = np.sqrt(fx * fx + fy * fy) * length
    keep = 1.0 / (1.0 + f**2) ** (slope / 2 + 0.25) * np.exp(-((f * grain / length) ** 2) * 0.7)
    keep = keep * (1 - np.exp(-((f * 1.7) ** 2)))  # no drift longer than the feature itself
    return keep.astype(np.float32)


def step(low: float, high: float, field: Field) -> Field:
    """Smooth step from 0 at low to 1 at high (low above high falls)."""
    t = np.clip((field - low) / (high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def mix(a: Field | float, b: Field | float, t: Field | float) -> Field:
    return np.asarray(a + (b - a) * t, dtype=np.float32)


def ramp(t: Field, *colours: tuple[float, float, float]) -> Field:
    """sRGB (3, size, size) along evenly spaced colours for t in [0, 1]."""
    at = np.linspace(0.0, 1.0, len(colours))
    return np.stack([np.interp(t, at, [c[k] for c in colours]) for k in range(3)]).astype(np.float32)


@dataclass(frozen=True)
class Cells:
    """A division of the torus: `edge` distance to the border (standard pixels), `id`, and the place in the cell (-1..1)."""

    edge: Field
    id: NDArray[np.int64]
    x: Field
    y: Field


def lattice(canvas: Canvas, length_x: float, length_y: float, offset: float = 0.5, wobble: float = 0.0) -> Cells:
    """Courses of cells: bricks with offset 0.5, tiles with 0, planks with a random shift a row (offset below 0)."""
    columns, rows = canvas.count(length_x), canvas.count(length_y, even=True)
    u, v = canvas.uv()
    if wobble:
        u, v = u + canvas.noise(16, 3.5) * wobble / canvas.span, v + canvas.noise(16, 3.5) * wobble / canvas.span
    row = np.floor(v * rows).astype(np.int64) % rows
    shift = canvas.rng.random(rows) if offset < 0 else np.arange(rows) % 2 * offset
    along = u * columns + shift[row]
    column = np.floor(along).astype(np.int64) % columns
    fx, fy = (along % 1.0).astype(np.float32), (v * rows % 1.0).astype(np.float32)
    wide, high = canvas.span / columns, canvas.span / rows
    edge = np.minimum(np.minimum(fx, 1 - fx) * wide, np.minimum(fy, 1 - fy) * high)
    return Cells(edge.astype(np.float32), row * columns + column, 2 * fx - 1, 2 * fy - 1)


def herringbone(canvas: Canvas, width: float) -> Cells:
    """Bricks two by one in a herringbone: each square of a fine grid knows its brick by (row + column) mod 4."""
    n = max(4, round(canvas.span / width / 4) * 4)
    u, v = canvas.uv()
    gx, gy = np.floor(u * n).astype(np.int64), np.floor(v * n).astype(np.int64)
    fx, fy = u * n % 1.0, v * n % 1.0
    phase = (gx - gy) % 4
    across = phase < 2  # lies along x: squares 0, 1; along y: squares 2, 3
    x0 = np.where(across, gx - phase, gx) % n
    y0 = np.where(across, gy, gy - (3 - phase)) % n
    lx = np.where(across, (fx + phase) / 2, fx)
    ly = np.where(across, fy, (fy + 3 - phase) / 2)
    side = canvas.span / n
    edge = (
        np.minimum(np.minimum(lx, 1 - lx) * np.where(across, 2, 1), np.minimum(ly, 1 - ly) * np.where(across, 1, 2))
        * side
    )
    return Cells(edge.astype(np.float32), y0 * n + x0, (2 * lx - 1).astype(np.float32), (2 * ly - 1).astype(np.float32))


def voronoi(canvas: Canvas, length: float, jitter: float = 0.8, squash: float = 1.0, wobble: float = 0.0) -> Cells:
    """Cells around jittered grid points (Worley, "A cellular texture basis function", 1996); jitter 0 a grid, 1 wild.

    `squash` above 1 makes cells that much wider than high.
    """
    nx, ny = canvas.count(length * squash), canvas.count(length, even=True)
    u, v = canvas.uv()
    if wobble:
        u, v = u + canvas.noise(14, 3.5) * wobble / canvas.span, v + canvas.noise(14, 3.5) * wobble / canvas.span
    px = canvas.rng.uniform(0.5 - jitter / 2, 0.5 + jitter / 2, (ny, nx)) + np.arange(ny)[:, None] % 2 * 0.5
    py = canvas.rng.uniform(0.5 - jitter / 2, 0.5 + jitter / 2, (ny, nx))
    cx, cy = np.floor(u * nx).astype(np.int64), np.floor(v * ny).astype(np.int64)
    wide, high = canvas.span / nx, canvas.span / ny
    candidates = []
    for dy in (-1, 0, 1):
        for dx in (-2, -1, 0, 1):
            gx, gy = (cx + dx) % nx, (cy + dy) % ny
            ox = (cx + dx + px[gy, gx] - u * nx) * wide
            oy = (cy + dy + py[gy, gx] - v * ny) * high
            candidates.append((ox, oy, gy * nx + gx))
    x, y, ids = (np.stack(part) for part in zip(*candidates, strict=True))
    distance = x * x + y * y
    first = np.argmin(distance, axis=0)[None]
    own_x, own_y = np.take_along_axis(x, first, 0), np.take_along_axis(y, first, 0)
    ex, ey = x - own_x, y - own_y
    apart = np.sqrt(ex * ex + ey * ey)
    middle = ((own_x + x) * ex + (own_y + y) * ey) / (
        2 * apart + 1e-6
    )  # distance to the bisector with each other point
    edge = np.where(apart < 1e-3, np.inf, middle).min(axis=0)
    radius = length / 2
    return Cells(
        edge.astype(np.float32),
        np.take_along_axis(ids, first, 0)[0],
        (-own_x[0] / radius / squash).astype(np.float32),
        (-own_y[0] / radius).astype(np.float32),
    )
