"""Underfoot: sand, dirt, mud, gravel, grass, moss, snow, ice."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Field, mix, ramp, step, voronoi
from .surface import Surface, bevel, jitter, paint, scale, speckle, surface, tint


def sand(c: Canvas) -> Surface:
    """Wind ripples, or smooth drifts with grains."""
    base = jitter(c, c.pick((0.80, 0.68, 0.48), (0.84, 0.76, 0.60), (0.72, 0.55, 0.36), (0.70, 0.66, 0.58)), 0.03)
    u, v = c.uv()
    rows = c.count(c.uniform(11, 20))
    lean = int(c.rng.integers(-2, 3))
    phase = 2 * np.pi * (v * rows + u * lean) + c.uniform(0.9, 1.8) * c.noise(44, 2.2)
    wave = 0.5 + 0.5 * np.sin(phase + 0.45 * np.sin(phase))
    ripple = wave * (0.85 if c.chance(0.75) else 0.15)
    grain = c.noise(2.2, 0.4)
    height = 0.2 + 0.5 * ripple + 0.07 * c.noise(40) + 0.02 * grain
    rgb = ramp(np.clip(0.3 + 0.45 * ripple + 0.08 * c.noise(30), 0, 1), scale(base, 0.82), base, scale(base, 1.1))
    return surface(rgb * (1 + 0.035 * grain), height, 0.93 + 0.02 * grain)


def _pebbles(c: Canvas, length: float, share: float) -> tuple[Field, Field, Field]:
    """(cover, dome, shade) of loose stones, a share of the cells of a division."""
    cells = voronoi(c, length, 0.75, 1.2, 0.8)
    here = (c.each(cells.id) < share).astype(np.float32)
    size = c.each(cells.id, 0.6, 1.0)
    reach = np.hypot(cells.x, cells.y) / size
    cover = here * step(0.72, 0.56, reach) * step(0.2, 0.9, cells.edge)
    return cover, np.sqrt(np.clip(1 - (reach / 0.74) ** 2, 0, 1)).astype(np.float32), c.each(cells.id, 0.7, 1.25)


def dirt(c: Canvas) -> Surface:
    """Packed earth, lumps and a few pebbles; sometimes dried and split."""
    base = jitter(c, c.pick((0.40, 0.29, 0.20), (0.34, 0.26, 0.19), (0.48, 0.36, 0.25), (0.44, 0.27, 0.18)), 0.03)
    lump, fine = c.noise(15, 1.4), c.noise(4, 0.9)
    height = 0.42 + 0.12 * lump + 0.07 * fine
    rgb = ramp(np.clip(0.5 + 0.2 * lump + 0.16 * fine, 0, 1), scale(base, 0.6), base, scale(base, 1.3))
    cover, dome, shade = _pebbles(c, c.uniform(9, 14), c.uniform(0.15, 0.4))
    pebble = jitter(c, (0.50, 0.46, 0.40))
    rgb = mix(rgb, ramp(np.clip(0.25 + 0.5 * dome, 0, 1), scale(pebble, 0.6), pebble) * shade, cover)
    height = mix(height, 0.5 + 0.3 * dome, cover)
    return surface(speckle(c, rgb, 0.06), height, 0.95 - 0.12 * cover)


def mud(c: Canvas) -> Surface:
    """Dried plates curling at their edges, or wet mud with puddles."""
    base = jitter(c, c.pick((0.36, 0.28, 0.20), (0.42, 0.34, 0.26), (0.30, 0.25, 0.20)), 0.03)
    if c.chance(0.6):
        cells = voronoi(c, c.uniform(20, 32), 0.8, 1.1, 2.0)
        body = step(0.5, 1.9, cells.edge)
        curl = np.exp(-np.clip(cells.edge - 1.5, 0, None) / 3.0)
        height = body * (0.55 + 0.2 * curl + 0.05 * c.noise(8) + c.each(cells.id, -0.05, 0.05))
        pale = scale(base, 1.45)
        rgb = tint(
            c, ramp(np.clip(0.35 + 0.4 * curl + 0.15 * c.noise(12), 0, 1), base, scale(base, 1.2), pale), cells, 0.08
        )
        return surface(speckle(c, paint(rgb, scale(base, 0.4), 1 - body), 0.04), height, 0.9 - 0.05 * body)
    lump = c.noise(20, 1.8)
    wet = step(0.2, -0.5, lump)
    height = np.maximum(0.45 + 0.16 * lump + 0.04 * c.noise(5), 0.38)
    rgb = ramp(np.clip(0.5 + 0.25 * lump + 0.1 * c.noise(5), 0, 1), scale(base, 0.65), base, scale(base, 1.2))
    return surface(paint(rgb, scale(base, 0.5), 0.7 * wet), height, mix(0.75, 0.1, wet))


def gravel(c: Canvas) -> Surface:
    """Two layers of stones of many greys."""
    base = jitter(c, c.pick((0.52, 0.50, 0.47), (0.46, 0.43, 0.40), (0.58, 0.52, 0.44)), 0.04)
    under = voronoi(c, c.uniform(8, 10), 0.85)
    body, rise = bevel(under, 0.5, 3.0)
    height: Field = body * (0.2 + 0.3 * rise + c.each(under.id, -0.08, 0.08))
    rgb = tint(c, ramp(np.clip(0.2 + 0.6 * rise, 0, 1), scale(base, 0.45), scale(base, 0.95)), under, 0.28)
    for length, share in ((15, 0.55), (11, 0.45)):
        cover, dome, shade = _pebbles(c, length, share)
        top = (
            ramp(np.clip(0.25 + 0.6 * dome + 0.08 * c.noise(5), 0, 1), scale(base, 0.62), base, scale(base, 1.3))
            * shade
        )
        rgb, height = mix(rgb, top, cover), mix(height, 0.45 + 0.4 * dome, cover)
    return surface(speckle(c, rgb, 0.05), height, 0.85 + 0.04 * c.noise(7))


def _blades(c: Canvas, length: float, thick: float, many: int, tones: tuple[float, float]) -> tuple[Field, Field]:
    """(height, tone) of many short strokes laid over each other, drawn on the torus."""
    size, pixel = c.size, c.pixel
    height, tone = np.zeros((size, size), np.float32), np.full((size, size), tones[0], np.float32)
    points = max(4, int(length / pixel * 1.3))
    along = np.linspace(0, 1, points, dtype=np.float32)
    x, y = c.rng.uniform(0, c.span, (2, many))
    angle = c.rng.normal(-np.pi / 2, 0.75, many)
    bend = c.rng.normal(0, 0.5, many)
    top = np.sort(c.rng.uniform(0.15, 1.0, many))
    reach = length * c.rng.uniform(0.6, 1.2, many)
    turn = angle[:, None] + bend[:, None] * along
    px = x[:, None] + np.cos(turn) * reach[:, None] * along
    py = y[:, None] + np.sin(turn) * reach[:, None] * along
    value = top[:, None] * (0.55 + 0.45 * along)
    shade = c.rng.uniform(*tones, many)[:, None] * (0.6 + 0.4 * along)
    for side in np.arange(-thick / 2, thick / 2 + 1e-6, pixel * 0.8):
        ix = ((px - np.sin(turn) * side * (1 - along)) / pixel).astype(np.int64) % size
        iy = ((py + np.cos(turn) * side * (1 - along)) / pixel).astype(np.int64) % size
        height[iy, ix], tone[iy, ix] = value, shade  # later blades are the higher ones
    return height, tone


def grass(c: Canvas) -> Surface:
    """Blades laid over each other, lighter towards their tips."""
    base = jitter(c, c.pick((0.30, 0.46, 0.16), (0.24, 0.42, 0.18), (0.40, 0.48, 0.20), (0.46, 0.45, 0.24)), 0.03)
    area = (c.span / 128) ** 2
    height, tone = _blades(c, c.uniform(13, 20), 2.0, int(1500 * area), (0.15, 1.0))
    height, tone = c.blur(height, 0.35), c.blur(tone, 0.35)
    patch = 0.1 * c.noise(40)
    rgb = ramp(np.clip(tone + patch, 0, 1), scale(base, 0.35), base, (base[0] * 1.45, base[1] * 1.35, base[2] * 1.1))
    return surface(rgb, 0.1 + 0.8 * height, 0.82 - 0.1 * tone)


def moss(c: Canvas) -> Surface:
    """Soft cushions of tiny tufts."""
    base = jitter(c, c.pick((0.30, 0.38, 0.13), (0.24, 0.36, 0.15), (0.40, 0.42, 0.16)), 0.03)
    pillow = voronoi(c, c.uniform(16, 26), 0.8, 1.1, 4.0)
    dome = np.sqrt(np.clip(pillow.edge / 9, 0, 1))
    tuft = voronoi(c, 5.0, 0.9)
    bead = np.sqrt(np.clip(tuft.edge / 2.2, 0, 1))
    height = 0.15 + 0.45 * dome + 0.22 * bead + 0.05 * c.noise(6)
    tone = np.clip(0.1 + 0.35 * dome + 0.4 * bead + c.each(tuft.id, -0.15, 0.15), 0, 1)
    return surface(
        ramp(tone, scale(base, 0.35), base, (base[0] * 1.5, base[1] * 1.45, base[2] * 1.3)), height, 0.96 - 0.04 * bead
    )


def snow(c: Canvas) -> Surface:
    """Drifts with crust and a little sparkle in the roughness."""
    drift, crust = c.noise(44, 2.2, 0.6), c.noise(9, 1.3)
    height = 0.5 + 0.16 * drift + 0.05 * crust + 0.015 * c.noise(2.4, 0.5)
    tone = np.clip(0.55 + 0.2 * drift + 0.12 * crust, 0, 1)
    rgb = ramp(tone, (0.74, 0.80, 0.88), (0.87, 0.90, 0.94), (0.95, 0.96, 0.97))
    sparkle = step(2.0, 2.6, c.noise(2.0, 0.2))
    return surface(rgb, height, 0.66 - 0.4 * sparkle)


def ice(c: Canvas) -> Surface:
    """Clear blue sheet with white cracks and clouds of bubbles."""
    base = jitter(c, c.pick((0.55, 0.74, 0.84), (0.44, 0.66, 0.80), (0.66, 0.80, 0.86)), 0.03)
    big, small = voronoi(c, c.uniform(40, 60), 0.95, 1.3, 5.0), voronoi(c, 22, 0.95, 1.2, 4.0)
    crack = np.maximum(
        1 - step(0.1, 1.3, big.edge), 0.5 * (1 - step(0.05, 0.8, small.edge)) * step(-0.2, 0.6, c.noise(40))
    )
    cloud = step(-0.2, 1.8, c.noise(26, 1.5))
    halo = np.exp(-big.edge / 5) * 0.35
    depth = np.clip(0.5 + 0.25 * c.noise(34) + c.each(big.id, -0.12, 0.12), 0, 1)
    rgb = ramp(depth, scale(base, 0.6), base, scale(base, 1.15))
    rgb = paint(rgb, (0.92, 0.96, 0.98), np.clip(0.8 * crack + 0.4 * cloud + halo, 0, 1))
    height = 0.65 + 0.03 * c.noise(24) - 0.2 * crack + c.each(big.id, -0.03, 0.03)
    return surface(rgb, height, np.clip(0.07 + 0.35 * crack + 0.25 * cloud, 0, 1))


GROUND = {
    "sand": sand, "dirt": dirt, "mud": mud, "gravel": gravel, "grass": grass, "moss": moss, "snow": snow, "ice": ice,
}  # fmt: skip
