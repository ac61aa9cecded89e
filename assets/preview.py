"""Pictures of a texture for people: 3 x 3 tiles, a lit sphere, a lit plane, and sheets of many with labels.

All pictures are uint8 (H, W, 3) sRGB. Sphere and plane are ray-marched through the height map, which stands out by as
many pixels as the normal map says (NORMAL_STRENGTH), and lit by `shading`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from . import shading
from .maps import NORMAL_STRENGTH
from .mips import to_linear
from .shading import Field, Surface, dot, row, unit
from .texture import Texture

Picture = NDArray[np.uint8]
SAMPLES = 2
"""Rays a pixel, along each side."""
BLOCK = 1 << 14
"""Rays followed together: few enough to stay in a processor's cache."""
UNIT = 128
"""Pixels of a texture in a unit of the scenes: the grain looks alike whatever the texture's size."""
RELIEF = np.float32(NORMAL_STRENGTH / UNIT)
"""Units from height 0 to height 1."""
FINER = 3
"""Maps are enlarged so many times by a cubic before they are looked up, so that relief close to the eye is smooth."""


def tiled(texture: Texture, times: int = 3) -> Picture:
    """The colour map so many times across and down: a seam would show as a line."""
    return np.tile(texture.albedo, (times, times, 1))


def sphere(texture: Texture, size: int = 512) -> Picture:
    """A ball in a studio, about 256 texels across its face; `size` pixels a side."""
    lookup = _prepare(texture)
    width = texture.albedo.shape[1]
    around = max(1, round(4 * UNIT / width)) * width / UNIT  # whole tiles, in units
    scale = np.float32(around / (2 * np.pi))  # units a radian
    depth = RELIEF / scale
    eye, light, zoom = row(0, 0, 5.2), unit(row(-0.52, 0.62, 0.59)), np.float32(0.238)
    behind = dot(eye, eye)

    def place(at: Field) -> tuple[Field, Field, Field]:
        """u and v in units, and how far from the middle."""
        far = shading.length(at)[:, 0]
        u = np.arctan2(at[:, 0], at[:, 2]) * scale
        v = np.arccos(np.clip(at[:, 1] / far, -1, 1)) * scale
        return u, v, far

    def height(at: Field) -> Field:
        u, v, far = place(at)
        return far - (1 - depth) - depth * lookup(u, v)

    def seen(across: Field) -> Field:
        out = _backdrop(across)
        ray = unit(np.concatenate([across * zoom, np.full((len(across), 1), -1, np.float32)], -1))
        closest = -dot(ray, eye)
        outer = 1 - (behind - closest**2)
        hit = np.flatnonzero(outer[:, 0] > 0)
        ray, closest, outer = ray[hit], closest[hit], outer[hit]
        inner = (1 - depth) ** 2 - (behind - closest**2)
        end = np.where(inner > 0, closest - np.sqrt(np.maximum(inner, 0)), closest + np.sqrt(outer))
        at, met = _march(eye, ray, closest - np.sqrt(outer), end, height, steps=28)
        at, ray = at[met], ray[met]
        up = unit(at)
        east = unit(np.stack([at[:, 2], np.zeros_like(at[:, 0]), -at[:, 0]], -1))
        u, v, _ = place(at)
        surface = _surface(lookup, u, v, east, np.cross(up, east).astype(np.float32), up)
        out[hit[met]] = shading.lit(surface, -ray, light, _shadow(at, up, light, depth, height))
        return out

    return _draw(size, size, seen)


def plane(texture: Texture, width: int = 640, height: int = 400) -> Picture:
    """Ground seen at a slant, to the edges of the picture."""
    lookup, depth = _prepare(texture), RELIEF
    eye, centre, light = row(0, 1.75, 1.5), row(0, 0, 0.06), unit(row(-0.72, 0.52, -0.46))
    forward, right = unit(centre - eye), row(1, 0, 0)
    down = np.cross(forward, right).astype(np.float32)

    def above(at: Field) -> Field:
        return at[:, 1] + depth - depth * lookup(at[:, 0], at[:, 2])

    def seen(across: Field) -> Field:
        ray = unit(forward + np.float32(0.30) * (across[:, :1] * right - across[:, 1:] * down))
        begin, end = -eye[1] / ray[:, 1:2], -(eye[1] + depth) / ray[:, 1:2]
        at, _ = _march(eye, ray, begin, end, above, steps=16)
        east, north, up = (np.broadcast_to(axis, at.shape) for axis in (right, row(0, 0, -1), row(0, 1, 0)))
        surface = _surface(lookup, at[:, 0], at[:, 2], east, north, up)
        return shading.lit(surface, -ray, light, _shadow(at, up, light, depth, above))

    return _draw(width, height, seen)


def sheet(pictures: Sequence[tuple[str, Picture]], columns: int, side: int = 192) -> Picture:
    """Labelled pictures (H, W, 3) or (H, W) in a grid, each `side` pixels wide."""
    gap, line = 10, 22
    images = [Image.fromarray(picture).convert("RGB") for _, picture in pictures]
    high = max(round(image.height * side / image.width) for image in images)
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (gap + columns * (side + gap), gap + rows * (high + line + gap)), (24, 25, 28))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    for number, ((label, _), image) in enumerate(zip(pictures, images, strict=True)):
        x, y = gap + number % columns * (side + gap), gap + number // columns * (high + line + gap)
        page.paste(image.resize((side, round(image.height * side / image.width)), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + high + 3), _fit(label, side, draw, font), (205, 206, 210), font)
    return np.asarray(page)


def _fit(label: str, width: int, draw: ImageDraw.ImageDraw, font: Any) -> str:
    """The label, or as much of it as fits."""
    if draw.textlength(label, font) <= width:
        return label
    while label and draw.textlength(label + "…", font) > width:
        label = label[:-1]
    return label + "…"


def png(picture: Picture) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", compress_level=6)
    return out.getvalue()


def maps(texture: Texture, side: int = 256) -> Picture:
    """Every map over its name, and what they make together."""
    together = ("together", sphere(texture, side))
    return sheet([*texture.maps().items(), ("orm", texture.packed("orm")), together], 4, side)


PREVIEWS: dict[str, Callable[[Texture], Picture]] = {"tiled": tiled, "sphere": sphere, "plane": plane, "maps": maps}

Lookup = Callable[..., Field]


def _prepare(texture: Texture) -> Lookup:
    """A look-up of all maps by place in units."""
    given = texture.maps()
    layers = [to_linear(given["albedo"]), given["height"][..., None] / 255, given["normal"] / 127.5 - 1]
    layers += [given[name][..., None] / 255 for name in ("roughness", "metallic", "occlusion")]
    table = np.concatenate(layers, -1).astype(np.float32)
    for axis in (0, 1):
        table = _enlarge(table, axis)
    rows, columns, channels = table.shape
    stride, texels = columns + 1, np.float32(UNIT * FINER)
    flat = np.pad(table, ((0, 1), (0, 1), (0, 0)), mode="wrap").reshape(-1, channels)
    heights = np.clip(flat[:, 3], 0.01, 1)  # above the floor, so that every ray that reaches it has met something

    def lookup(u: Field, v: Field, everything: bool = False) -> Field:
        """Bilinear at u to the right and v down; all channels (N, 10), or only the height (N,)."""
        x, y = u * texels - np.float32(0.5), v * texels - np.float32(0.5)
        x, y = x - columns * np.floor(x / columns), y - rows * np.floor(y / rows)
        left, top = np.minimum(np.floor(x), columns - 1), np.minimum(np.floor(y), rows - 1)
        x, y = x - left, y - top
        at = (top * stride + left).astype(np.int32)
        source = flat if everything else heights
        if everything:
            x, y = x[..., None], y[..., None]
        above, below = source.take(at, 0), source.take(at + stride, 0)
        above = above + (source.take(at + 1, 0) - above) * x
        below = below + (source.take(at + stride + 1, 0) - below) * x
        out: Field = above + (below - above) * y
        return out

    return lookup


def _enlarge(table: Field, axis: int) -> Field:
    """FINER times as many along an axis, by the Catmull-Rom cubic, around the torus."""
    before, here, after, last = (np.roll(table, shift, axis) for shift in (1, 0, -1, -2))
    parts = []
    for step in range(FINER):
        t = (step + 0.5) / FINER - 0.5
        a, b, c, d = (before, here, after, last) if t >= 0 else (np.roll(before, 1, axis), before, here, after)
        t = t % 1
        weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
        parts.append(sum(np.float32(w / 2) * part for w, part in zip(weights, (a, b, c, d), strict=True)))
    shape = list(table.shape)
    shape[axis] *= FINER
    out: Field = np.stack(parts, axis + 1).reshape(shape)
    return out


def _march(
    eye: Field, ray: Field, begin: Field, end: Field, height: Callable[[Field], Field], steps: int
) -> tuple[Field, NDArray[np.bool_]]:
    """Where rays (N, 3) first go below height 0 between two distances (N, 1), and which do."""
    low, high = begin.copy(), end.copy()
    met = np.zeros(len(ray), np.bool_)
    for step in range(1, steps + 1):
        far = begin + (end - begin) * np.float32(step / steps)
        open_ = np.flatnonzero(~met)
        if not len(open_):
            break
        below = height(eye + ray[open_] * far[open_]) <= 1e-5
        met[open_[below]] = True
        high[open_[below]] = far[open_[below]]
        low[open_[~below]] = far[open_[~below]]
    for _ in range(5):
        middle = (low + high) / 2
        below = (height(eye + ray * middle) <= 0)[:, None]
        low, high = np.where(below, low, middle), np.where(below, middle, high)
    return eye + ray * high, met


def _shadow(at: Field, up: Field, light: Field, depth: np.float32, height: Callable[[Field], Field]) -> Field:
    """How much of the sun reaches places (N, 3): 1 all of it; edges soften with the distance of what is in the way."""
    rise = (up @ light)[:, None]
    reach = depth / np.maximum(rise, 0.15)
    open_ = np.ones(len(at), np.float32)
    steps = 14
    for step in range(1, steps + 1):
        far = reach * np.float32((step / steps) ** 1.5)
        clear = height(at + up * (depth * np.float32(0.03)) + light * far)
        open_ = np.minimum(open_, 0.5 + clear / (np.float32(0.16) * far[:, 0]))
    out: Field = (np.clip(open_, 0, 1) ** 2 * (3 - 2 * np.clip(open_, 0, 1)))[:, None]
    return out


def _surface(lookup: Lookup, u: Field, v: Field, east: Field, north: Field, up: Field) -> Surface:
    """The maps at places (N,) in tiles, normals turned into the frame (N, 3) given."""
    found = lookup(u, v, everything=True)
    bump = found[:, 4:7]
    normal = unit(east * bump[:, :1] + north * bump[:, 1:2] + up * bump[:, 2:3])
    return Surface(np.clip(found[:, :3], 0, 1), normal, *(np.clip(found[:, i : i + 1], 0, 1) for i in (7, 8, 9)))


def _draw(width: int, height: int, seen: Callable[[Field], Field]) -> Picture:
    """The mean of each pixel's rays, on film. `seen` gives the radiance (N, 3) at places (N, 2): x right, y up, -1 to 1
    along the shorter side."""
    wide, high = width * SAMPLES, height * SAMPLES
    x = (np.arange(wide, dtype=np.float32) + np.float32(0.5) - wide / 2) * np.float32(2 / min(wide, high))
    y = (high / 2 - np.arange(high, dtype=np.float32) - np.float32(0.5)) * np.float32(2 / min(wide, high))
    places = np.stack(np.broadcast_arrays(x[None], y[:, None]), -1).reshape(-1, 2).astype(np.float32)
    film = np.empty((len(places), 3), np.float32)
    for first in range(0, len(places), BLOCK):
        film[first : first + BLOCK] = shading.film(seen(places[first : first + BLOCK]))
    exposed = film.reshape(height, SAMPLES, width, SAMPLES, 3)
    picture: Picture = (exposed.mean((1, 3)) + np.float32(0.5)).astype(np.uint8)
    return picture


def _backdrop(place: Field) -> Field:
    """A wall with a soft light on it."""
    away = ((place - row(-0.15, 0.2)) ** 2).sum(-1, keepdims=True)
    wall = row(0.055, 0.058, 0.066) + row(0.095, 0.100, 0.110) * np.exp(-away * 0.9)
    out: Field = wall.astype(np.float32)
    return out
