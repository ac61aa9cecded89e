"""Flowing and glowing: lava, water, slime, crystal."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, mix, ramp, step, voronoi
from .surface import Surface, jitter, paint, scale, surface


def lava(c: Canvas) -> Surface:
    """Dark crust plates adrift on glowing melt."""
    plates = voronoi(c, c.uniform(22, 36), 0.95, 1.2, 5.0)
    width = c.uniform(1.5, 4.0)
    heat = np.exp(-np.clip(plates.edge - 0.3, 0, None) / width)
    pool = step(0.9, 1.7, c.noise(36, 1.7))
    heat = np.clip(np.maximum(heat, pool) + 0.12 * c.noise(7) * heat, 0, 1)
    crust = np.clip(0.5 + 0.2 * c.noise(7, 1.1) + c.each(plates.id, -0.2, 0.2), 0, 1)
    rock = ramp(crust, (0.05, 0.04, 0.04), (0.13, 0.10, 0.09), (0.24, 0.18, 0.16))
    glow = ramp(heat, (0.30, 0.03, 0.01), (0.75, 0.12, 0.02), (0.98, 0.45, 0.05), (1.0, 0.85, 0.35))
    height = mix(
        0.5 + 0.12 * c.noise(7, 1.2) + c.each(plates.id, -0.1, 0.1), 0.18 + 0.05 * c.noise(12), step(0.2, 0.6, heat)
    )
    return surface(mix(rock, glow, step(0.16, 0.5, heat)), height, mix(0.92, 0.45, step(0.2, 0.6, heat)))


def water(c: Canvas) -> Surface:
    """Wind waves: crossing trains of sharp crests, lighter on top."""
    base = jitter(c, c.pick((0.10, 0.34, 0.48), (0.08, 0.26, 0.40), (0.16, 0.44, 0.50), (0.14, 0.34, 0.32)), 0.03)
    u, v = c.uv()
    total = np.zeros_like(u)
    turn = c.uniform(0, 2 * np.pi)
    for _ in range(7):
        length = c.uniform(13, 46)
        angle = turn + c.rng.normal(0, 0.55)
        kx, ky = round(c.span / length * np.cos(angle)), round(c.span / length * np.sin(angle))
        if kx or ky:
            phase = 2 * np.pi * (u * kx + v * ky) + c.uniform(0, 2 * np.pi) + 0.5 * c.noise(34, 2.2)
            total = total + (1 - np.abs(np.sin(phase / 1.0))) * (c.span / np.hypot(kx, ky)) / 60
    total = (total - total.min()) / (np.ptp(total) + 1e-6)
    crest = step(0.55, 0.95, total)
    height = 0.2 + 0.6 * total + 0.02 * c.noise(6)
    rgb = ramp(np.clip(total + 0.05 * c.noise(12), 0, 1), scale(base, 0.62), base, scale(base, 1.7))
    return surface(paint(rgb, (0.80, 0.90, 0.92), 0.45 * crest), height, 0.06 + 0.1 * crest)


def slime(c: Canvas) -> Surface:
    """Thick green goo with bubbles and strings."""
    base = jitter(c, c.pick((0.34, 0.58, 0.12), (0.46, 0.60, 0.14), (0.26, 0.52, 0.26)), 0.03)
    flow = c.noise(26, 2.0)
    height = 0.4 + 0.13 * flow
    tone = np.clip(0.45 + 0.26 * flow + 0.08 * c.noise(9), 0, 1)
    rgb = ramp(tone, scale(base, 0.35), base, (base[0] * 1.55, base[1] * 1.45, base[2] * 1.6))
    for length, share in ((22, 0.5), (11, 0.4)):
        cells = voronoi(c, length, 0.7)
        here, radius = c.each(cells.id) < share, c.each(cells.id, 0.3, 0.62)
        reach = np.hypot(cells.x, cells.y) / radius
        dome = here * np.sqrt(np.clip(1 - reach**2, 0, 1))
        rim = here * np.exp(-(((reach - 0.95) / 0.12) ** 2))
        rgb = paint(paint(rgb, scale(base, 1.5), 0.45 * dome), scale(base, 0.4), 0.6 * rim)
        height = height + 0.25 * dome - 0.06 * rim
    return surface(rgb, height, 0.10 + 0.03 * c.noise(12))


def crystal(c: Canvas) -> Surface:
    """Facetted gems: each cell a low pyramid whose faces catch their own colour."""
    base = jitter(
        c,
        c.pick((0.50, 0.28, 0.68), (0.22, 0.55, 0.72), (0.28, 0.66, 0.48), (0.74, 0.34, 0.48), (0.68, 0.76, 0.84)),
        0.04,
    )
    cells = voronoi(c, c.uniform(20, 32), 0.95, 1.0)
    sides = 5 + (c.each(cells.id) * 3).astype(np.int64)
    angle = (np.arctan2(cells.y, cells.x) / (2 * np.pi) + c.each(cells.id)) % 1.0
    face = np.floor(angle * sides).astype(np.int64)
    shade = ((cells.id * 7 + face * 5) * 2654435761 % 997 / 997).astype(np.float32)
    within = np.abs(angle * sides % 1.0 - 0.5)
    rim = 1 - step(0.3, 1.4, cells.edge)
    ridge = step(0.44, 0.5, within) * 0.5
    height = np.clip(0.2 + 0.055 * np.minimum(cells.edge, 11) + c.each(cells.id, -0.1, 0.1), 0, 1)
    tone = np.clip(0.25 + 0.55 * shade + 0.04 * cells.edge - 0.15 + 0.05 * c.noise(8), 0, 1)
    rgb = ramp(tone, scale(base, 0.38), base, (base[0] * 0.4 + 0.58, base[1] * 0.4 + 0.58, base[2] * 0.4 + 0.58))
    rgb = paint(paint(rgb, (0.96, 0.97, 1.0), 0.5 * ridge), scale(base, 0.25), rim)
    return surface(rgb, height - 0.15 * rim, 0.09 + 0.3 * rim)


ELEMENTS = {"lava": lava, "water": water, "slime": slime, "crystal": crystal}
