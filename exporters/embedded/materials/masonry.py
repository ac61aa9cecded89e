"""Laid and poured: stone, brick, cobble, tiles, roof, concrete, plaster, marble."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Cells, herringbone, lattice, mix, ramp, step, voronoi
from .surface import Surface, bevel, jitter, paint, scale, speckle, surface, tint

STONES = ((0.47, 0.45, 0.42), (0.40, 0.42, 0.44), (0.52, 0.46, 0.38), (0.36, 0.35, 0.34), (0.55, 0.53, 0.50))
CLAYS = ((0.58, 0.27, 0.19), (0.50, 0.22, 0.16), (0.63, 0.36, 0.25), (0.45, 0.27, 0.20), (0.66, 0.45, 0.33))


def stone(c: Canvas) -> Surface:
    """Rock face of broken facets, or coursed ashlar blocks."""
    base = jitter(c, c.pick(*STONES))
    if c.chance(0.4):
        cells = lattice(c, c.uniform(38, 66), c.uniform(20, 34), 0.5 if c.chance(0.6) else -1.0, 1.5)
        body, rise = bevel(cells, 1.6, 4.0)
        face = 0.08 * c.noise(16) + 0.05 * c.noise(5, 1.0)
        height = body * (0.45 + 0.35 * rise + face + c.each(cells.id, -0.08, 0.08))
        rgb = tint(c, ramp(0.5 + 0.22 * c.noise(12), scale(base, 0.72), base, scale(base, 1.22)), cells, 0.10)
        rgb = paint(rgb, scale(base, 0.38), 1 - body)
        return surface(speckle(c, rgb, 0.05), height, 0.78 + 0.05 * c.noise(6))
    big, small = voronoi(c, c.uniform(36, 52), 0.9, 1.4, 4.0), voronoi(c, 15, 0.95, 1.3, 3.0)
    lean_x, lean_y = c.each(big.id, -0.35, 0.35), c.each(big.id, -0.35, 0.35)
    plane = c.each(big.id, 0.3, 0.7) + lean_x * big.x + lean_y * big.y
    chip = 0.22 * (
        c.each(small.id, -0.5, 0.5) + c.each(small.id, -0.6, 0.6) * small.x + c.each(small.id, -0.6, 0.6) * small.y
    )
    crack = 1 - step(0.2, 2.4, big.edge)
    height = np.clip(0.5 * plane + chip + 0.05 * c.noise(7) + 0.25 - 0.3 * crack, 0, 1)
    tone = np.clip(0.45 + 0.3 * (height - 0.5) + 0.16 * c.noise(24) + c.each(small.id, -0.14, 0.14), 0, 1)
    rgb = ramp(tone, scale(base, 0.55), base, scale(base, 1.28))
    return surface(paint(speckle(c, rgb, 0.06), scale(base, 0.35), 0.8 * crack), height, 0.82 + 0.04 * c.noise(8))


def brick(c: Canvas) -> Surface:
    """Running bond, stack or herringbone with mortar joints."""
    kind = c.pick("running", "running", "running", "herringbone", "flemish")
    width = c.uniform(26, 36)
    if kind == "herringbone":
        cells = herringbone(c, 16)
    else:
        cells = lattice(c, width if kind == "running" else width * 0.75, width * 0.42, 0.5, 0.5)
    body, rise = bevel(cells, c.uniform(0.9, 1.6), 2.2)
    clay = jitter(c, c.pick(*CLAYS))
    rgb = tint(c, ramp(np.clip(0.5 + 0.2 * c.noise(8), 0, 1), scale(clay, 0.75), clay, scale(clay, 1.2)), cells, 0.20)
    burnt = (c.each(cells.id) < 0.12) * 0.5
    rgb = speckle(c, paint(rgb, scale(clay, 0.45), burnt), 0.08)
    mortar = jitter(c, c.pick((0.62, 0.60, 0.55), (0.45, 0.43, 0.40), (0.70, 0.66, 0.58)))
    rgb = mix(speckle(c, ramp(0.5 + 0 * rise, mortar, mortar), 0.08), rgb, body)
    height = mix(
        0.12 + 0.04 * c.noise(3, 0.8), 0.55 + 0.28 * rise + 0.05 * c.noise(5, 1.0) + c.each(cells.id, -0.06, 0.06), body
    )
    return surface(rgb, height, mix(0.95, 0.78 + 0.05 * c.noise(6), body))


def cobble(c: Canvas) -> Surface:
    """Rounded stones set in dirt; sometimes sawn setts in rows."""
    if c.chance(0.35):
        cells = lattice(c, c.uniform(17, 24), c.uniform(15, 19), 0.5, 1.6)
    else:
        cells = voronoi(c, c.uniform(17, 27), 0.62, c.uniform(1.0, 1.35), 1.5)
    body, rise = bevel(cells, c.uniform(1.1, 1.8), c.uniform(5, 8))
    base = jitter(c, c.pick(*STONES))
    tone = np.clip(0.42 + 0.22 * rise + 0.14 * c.noise(6), 0, 1)
    rgb = tint(c, ramp(tone, scale(base, 0.6), base, scale(base, 1.25)), cells, 0.17)
    gap = jitter(c, c.pick((0.24, 0.20, 0.15), (0.20, 0.20, 0.19), (0.36, 0.31, 0.23)))
    rgb = mix(speckle(c, ramp(0.5 + 0 * rise, gap, gap), 0.16), speckle(c, rgb, 0.06), body)
    dome = 0.45 + 0.42 * rise + c.each(cells.id, -0.1, 0.08) + 0.04 * c.noise(5, 1.0)
    return surface(rgb, mix(0.1 + 0.05 * c.noise(3, 0.6), dome, body), mix(0.96, 0.62 + 0.08 * c.noise(8), body))


def tiles(c: Canvas) -> Surface:
    """Glazed ceramic: a grid, a checkerboard or bricked, with clean grout."""
    length = c.uniform(20, 34)
    cells = lattice(c, length, length, 0.0) if c.chance(0.75) else lattice(c, length * 1.5, length * 0.75, 0.5)
    body, rise = bevel(cells, c.uniform(0.8, 1.3), 1.4)
    glaze = jitter(
        c, c.pick((0.80, 0.79, 0.75), (0.30, 0.50, 0.58), (0.72, 0.56, 0.40), (0.22, 0.30, 0.45), (0.36, 0.52, 0.42))
    )
    other = jitter(c, c.pick(scale(glaze, 0.45), (0.85, 0.83, 0.78), scale(glaze, 0.75)))
    columns = c.count(length)
    checker = c.chance(0.45)
    second = ((cells.id // columns + cells.id % columns) % 2) if checker else (c.each(cells.id) < 0.12)
    cloud = np.clip(0.5 + 0.15 * c.noise(14), 0, 1)
    rgb = paint(ramp(cloud, scale(glaze, 0.9), glaze, scale(glaze, 1.08)), other, np.asarray(second, np.float32))
    rgb = tint(c, rgb, cells, 0.05)
    grout = jitter(c, c.pick((0.58, 0.56, 0.52), (0.30, 0.29, 0.28)))
    rgb = mix(speckle(c, ramp(0 * rise, grout, grout), 0.06), rgb, body)
    height = mix(0.25, 0.66 + 0.14 * rise + c.each(cells.id, -0.02, 0.02), body)
    return surface(rgb, height, mix(0.9, 0.16 + 0.04 * c.noise(14), body))


def roof(c: Canvas) -> Surface:
    """Overlapping courses: clay pantiles, slates or fish scales, each lying on the one below."""
    kind = c.pick("pantile", "slate", "scale")
    wide, high = (c.uniform(14, 18), c.uniform(24, 30)) if kind == "pantile" else (c.uniform(17, 24), c.uniform(15, 22))
    cells = lattice(c, wide, high, 0.0 if kind == "pantile" else 0.5)
    y = (cells.y + 1) / 2
    if kind == "scale":
        cells, y = _fish_scales(c, wide, high)
    lift = y if kind != "pantile" else y * 0.55 + 0.45 * np.sqrt(np.clip(1 - cells.x**2, 0, 1))
    gap = step(0.3, 1.2, cells.edge)
    base = jitter(
        c,
        c.pick((0.60, 0.30, 0.20), (0.55, 0.25, 0.18))
        if kind == "pantile"
        else c.pick((0.30, 0.33, 0.37), (0.36, 0.33, 0.32), (0.50, 0.28, 0.20)),
    )
    tone = np.clip(0.35 + 0.3 * lift + 0.12 * c.noise(7), 0, 1)
    rgb = tint(c, ramp(tone, scale(base, 0.7), base, scale(base, 1.25)), cells, 0.14)
    shade = step(0.0, 0.16, y)
    rgb = speckle(c, rgb * (0.55 + 0.45 * shade * gap), 0.05)
    height = (0.15 + 0.7 * lift + c.each(cells.id, -0.04, 0.04) + 0.02 * c.noise(5)) * (0.5 + 0.5 * gap)
    return surface(rgb, height, 0.72 + 0.06 * c.noise(9))


def _fish_scales(c: Canvas, wide: float, high: float) -> tuple[Cells, np.ndarray]:
    """Half-round ends: a point belongs to the lowest scale whose round end reaches it."""
    columns, rows = c.count(wide), c.count(high * 0.62, even=True)
    u, v = c.uv()
    row = np.floor(v * rows).astype(np.int64)
    fy = v * rows - row
    found = np.full(u.shape, -1, np.int64)
    x, y, edge = (np.zeros_like(fy) for _ in range(3))
    for up in (1, 0):  # the course above overlaps this one with its round end
        r = (row - up) % rows
        along = u * columns + (r % 2) * 0.5
        lx, ly = (along % 1.0) * 2 - 1, (fy + up) / 1.6
        reach = 0.55 + 0.45 * np.sqrt(np.clip(1 - lx * lx, 0, 1))
        inside = (ly < reach) & (found < 0)
        found = np.where(inside, r * columns + np.floor(along).astype(np.int64) % columns, found)
        x, y = np.where(inside, lx, x), np.where(inside, ly / reach, y)
        edge = np.where(inside, np.minimum((reach - ly) * high, (1 - np.abs(lx)) * wide / 2 + 0.6), edge)
    found = np.where(found < 0, row % rows * columns, found)
    return Cells(edge.astype(np.float32), found, x.astype(np.float32), y.astype(np.float32)), y


def concrete(c: Canvas) -> Surface:
    """Poured: clouds, pores, and sometimes shuttering joints with tie holes."""
    base = jitter(c, c.pick((0.56, 0.55, 0.53), (0.48, 0.48, 0.47), (0.62, 0.60, 0.56)), 0.03)
    rgb = ramp(np.clip(0.5 + 0.2 * c.noise(36) + 0.1 * c.noise(9), 0, 1), scale(base, 0.78), base, scale(base, 1.12))
    pore = step(2.3, 2.7, c.noise(2.6, 0.5))
    height = 0.62 + 0.035 * c.noise(30) + 0.02 * c.noise(4, 0.8) - 0.25 * pore
    rgb = paint(speckle(c, rgb, 0.035), scale(base, 0.5), pore)
    if c.chance(0.7):
        slab = lattice(c, 64 if c.chance(0.6) else 128, 64, 0.0)
        joint = 1 - step(0.5, 1.7, slab.edge)
        hole = 1 - step(2.0, 2.9, np.hypot(np.abs(slab.x) - 0.62, np.abs(slab.y) - 0.62) * 32)
        height = height - 0.35 * joint - 0.4 * hole
        rgb = paint(tint(c, rgb, slab, 0.05), scale(base, 0.45), np.maximum(joint, hole) * 0.85)
    return surface(rgb, height, 0.86 + 0.04 * c.noise(12))


def plaster(c: Canvas) -> Surface:
    """Trowelled wall: broad strokes, a warm coat, here and there the coat has come off."""
    base = jitter(c, c.pick((0.80, 0.74, 0.62), (0.84, 0.82, 0.77), (0.75, 0.60, 0.48), (0.66, 0.70, 0.70)), 0.03)
    stroke = c.noise(11, 1.4, c.uniform(0.4, 2.5))
    height = 0.55 + 0.09 * stroke + 0.04 * c.noise(30)
    rgb = ramp(np.clip(0.55 + 0.14 * stroke + 0.12 * c.noise(40), 0, 1), scale(base, 0.84), base, scale(base, 1.06))
    bare = step(0.9, 1.05, c.noise(30, 1.5)) if c.chance(0.4) else 0 * height
    under = jitter(c, (0.52, 0.42, 0.34))
    rgb = paint(rgb, speckle(c, ramp(np.clip(0.5 + 0.2 * c.noise(6), 0, 1), scale(under, 0.7), under), 0.08), bare)
    return surface(speckle(c, rgb, 0.02), height - 0.22 * bare, mix(0.84, 0.94, bare))


def marble(c: Canvas) -> Surface:
    """Polished slab with warped veins, light or dark."""
    base, vein = c.pick(
        ((0.88, 0.87, 0.85), (0.42, 0.43, 0.46)),
        ((0.86, 0.83, 0.76), (0.55, 0.42, 0.28)),
        ((0.13, 0.14, 0.15), (0.80, 0.77, 0.70)),
        ((0.20, 0.33, 0.28), (0.78, 0.84, 0.76)),
        ((0.55, 0.30, 0.27), (0.86, 0.78, 0.72)),
    )
    base, vein = jitter(c, base, 0.03), jitter(c, vein, 0.04)
    warp = c.noise(44, 1.9)
    ridge = np.exp(-np.abs(warp) * c.uniform(9, 16))
    fine = np.exp(-np.abs(c.noise(26, 1.7)) * 22) * 0.55 * step(-0.6, 1.2, c.noise(50))
    cloud = np.clip(0.5 + 0.22 * c.noise(32), 0, 1)
    cover = np.clip(ridge * (0.45 + 0.4 * step(-1, 1, c.noise(40))) + fine + 0.12 * (1 - cloud), 0, 1)
    rgb = paint(ramp(cloud, scale(base, 0.9), base), vein, cover)
    height = 0.7 - 0.02 * cover + 0.006 * c.noise(20)
    rough = 0.14 + 0.05 * cover
    if c.chance(0.35):
        slab = lattice(c, 64, 64, 0.0)
        joint = 1 - step(0.3, 1.1, slab.edge)
        rgb, height = paint(tint(c, rgb, slab, 0.06), scale(base, 0.45), joint), height - 0.3 * joint
        rough = mix(rough, 0.8, joint)
    return surface(rgb, height, rough)


MASONRY = {
    "stone": stone, "brick": brick, "cobble": cobble, "tiles": tiles, "roof": roof, "concrete": concrete,
    "plaster": plaster, "marble": marble,
}  # fmt: skip
