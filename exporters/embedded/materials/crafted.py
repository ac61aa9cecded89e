"""Worked by hands or machines: planks, bark (grown), leather, fabric, metal plate, rust, gold, tech panel."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Field, lattice, mix, ramp, step, voronoi
from .surface import Surface, bevel, jitter, paint, scale, speckle, surface, tint

WOODS = ((0.50, 0.34, 0.20), (0.40, 0.27, 0.17), (0.60, 0.44, 0.28), (0.34, 0.26, 0.21), (0.47, 0.43, 0.38))


def planks(c: Canvas) -> Surface:
    """Boards of one or many widths, with grain, rings around knots, and nails."""
    base = jitter(c, c.pick(*WOODS), 0.04)
    cells = lattice(c, c.uniform(60, 128), c.uniform(14, 24), -1.0)
    along = c.each(cells.id, 0, 40)
    grain = c.noise(5, 1.2, 0.10)  # drawn out along the boards
    streak = c.noise(2.6, 0.7, 0.06)
    wave = np.sin(2.2 * (cells.y * 4 + 1.4 * c.noise(18, 2.0, 0.35) + along))
    knot = voronoi(c, 42, 0.9, 1.6)
    ring = np.hypot(knot.x * 1.3, knot.y * 3.2)
    eye = (c.each(knot.id) < 0.45) * step(0.42, 0.05, ring)
    tone = np.clip(
        0.5 + 0.16 * grain + 0.12 * streak + 0.12 * wave - 0.45 * eye * (0.6 + 0.4 * np.sin(ring * 40)), 0, 1
    )
    rgb = tint(c, ramp(tone, scale(base, 0.55), base, scale(base, 1.32)), cells, 0.15)
    body, rise = bevel(cells, 0.7, 1.6)
    height = body * (0.6 + 0.14 * rise + 0.05 * grain + 0.03 * streak + c.each(cells.id, -0.06, 0.06) - 0.08 * eye)
    rgb = paint(rgb, scale(base, 0.22), 1 - body)
    nail = step(1.5, 0.9, np.hypot((np.abs(cells.x) - 0.94) * 32, (np.abs(cells.y) - 0.5) * 9)) * body
    rgb = paint(rgb, (0.28, 0.26, 0.25), 0.85 * nail)
    return surface(rgb, height, mix(0.68 - 0.06 * grain, 0.5, nail), 0.8 * nail)


def bark(c: Canvas) -> Surface:
    """Long ridges that split and join, darker in the furrows."""
    base = jitter(c, c.pick((0.36, 0.27, 0.20), (0.30, 0.25, 0.21), (0.42, 0.36, 0.30), (0.45, 0.30, 0.20)), 0.03)
    cells = voronoi(c, c.uniform(10, 14), 0.9, 1.0, 4.0)
    stretched = _stretched_cells(c, c.uniform(9, 13), c.uniform(2.6, 4.0))
    ridge = np.clip(stretched / 4.0, 0, 1) ** 0.6
    flake = 0.14 * c.each(cells.id, -1, 1) * step(0.2, 1.2, cells.edge)
    fibre = c.noise(3.5, 0.9, 5.0)
    height = np.clip(0.08 + 0.68 * ridge + flake * ridge + 0.06 * fibre, 0, 1)
    tone = np.clip(0.12 + 0.6 * ridge + 0.12 * fibre + flake, 0, 1)
    return surface(speckle(c, ramp(tone, scale(base, 0.3), base, scale(base, 1.45)), 0.05), height, 0.92 - 0.05 * ridge)


def _stretched_cells(c: Canvas, length: float, by: float) -> Field:
    """Distance to the border of cells `by` times as high as wide."""
    tall = voronoi(c, length * by, 0.95, 1 / by, 5.0)
    return np.minimum(tall.edge, 8.0)


def leather(c: Canvas) -> Surface:
    """Pebbled hide with creases; sometimes quilted with stitches."""
    base = jitter(
        c,
        c.pick((0.36, 0.20, 0.12), (0.24, 0.15, 0.11), (0.50, 0.31, 0.17), (0.16, 0.14, 0.13), (0.42, 0.12, 0.10)),
        0.03,
    )
    pebble = voronoi(c, c.uniform(4.5, 7), 0.85, 1.1, 1.5)
    bead = np.sqrt(np.clip(pebble.edge / 2.4, 0, 1))
    crease = np.exp(-np.abs(c.noise(34, 1.8)) * 16)
    height = 0.4 + 0.2 * bead - 0.14 * crease + 0.05 * c.noise(30)
    tone = np.clip(0.3 + 0.35 * bead - 0.2 * crease + 0.12 * c.noise(26), 0, 1)
    rgb = ramp(tone, scale(base, 0.55), base, scale(base, 1.35))
    rough = 0.52 - 0.12 * bead + 0.1 * crease
    if c.chance(0.5):
        height, rgb = _quilted(c, height, rgb, base)
    return surface(rgb, height, rough)


def _quilted(c: Canvas, height: Field, rgb: Field, base: tuple[float, float, float]) -> tuple[Field, Field]:
    u, v = c.uv()
    n = c.count(c.uniform(32, 44))
    a, b = (u + v) * n % 1.0, (u - v) * n % 1.0
    near = np.minimum(np.minimum(a, 1 - a), np.minimum(b, 1 - b)) * c.span / n / np.sqrt(2)
    along = np.where(np.minimum(a, 1 - a) < np.minimum(b, 1 - b), b, a)
    thread = step(1.3, 0.8, near) * (np.sin(along * 2 * np.pi * 6) > -0.2)
    puff = np.sqrt(np.clip(near / 12, 0, 1))
    return 0.45 * height + 0.45 * puff + 0.15 * thread, paint(rgb, scale(base, 1.9), 0.8 * thread)


def fabric(c: Canvas) -> Surface:
    """Plain weave, twill or a knit, in one colour, stripes or checks."""
    kind = c.pick("plain", "twill", "knit")
    u, v = c.uv()
    n = c.count(c.uniform(6, 9), even=True)
    gx, gy = np.floor(u * n).astype(np.int64), np.floor(v * n).astype(np.int64)
    fx, fy = u * n % 1.0, v * n % 1.0
    if kind == "knit":
        lean = np.abs(fx - 0.5) * 1.0
        stitch = (fy + lean) % 1.0
        top = np.sqrt(np.clip(1 - (2 * stitch - 1) ** 2, 0, 1)) * np.sqrt(
            np.clip(1 - (4 * np.abs(fx - 0.5) - 1) ** 2 * 0.9, 0, 1)
        )
        over = fx < 0.5
    else:
        over = ((gx + gy) % 2 == 0) if kind == "plain" else ((gx + gy) % 4 < 2)
        across = np.where(over, fy, fx)
        length = np.where(over, fx, fy)
        top = np.sqrt(np.clip(1 - (2 * across - 1) ** 2, 0, 1)) * (
            0.6 + 0.4 * np.sqrt(np.clip(1 - (2 * length - 1) ** 2, 0, 1))
        )
    colour = jitter(
        c,
        c.pick(
            (0.30, 0.36, 0.52),
            (0.58, 0.20, 0.20),
            (0.70, 0.64, 0.52),
            (0.24, 0.40, 0.30),
            (0.35, 0.30, 0.38),
            (0.62, 0.50, 0.24),
        ),
        0.04,
    )
    second = jitter(c, c.pick(scale(colour, 0.55), (0.82, 0.78, 0.68), scale(colour, 1.3)), 0.03)
    pattern = c.pick("one", "stripes", "checks")
    band = c.count(32)
    sx, sy = np.floor(u * band * 2) % 2, np.floor(v * band * 2) % 2
    cover = {"one": 0 * sx, "stripes": sx, "checks": np.where(over, sx, sy)}[str(pattern)]
    fibre = c.noise(2.4, 0.6)
    tone = np.clip(0.2 + 0.6 * top + 0.06 * fibre, 0, 1).astype(np.float32)
    cloth = paint(ramp(0 * tone, colour, colour), second, cover.astype(np.float32))
    rgb = cloth * (0.5 + 0.65 * tone)
    fold = 0.05 * c.noise(50, 2.2)
    return surface(rgb.astype(np.float32), 0.25 + 0.5 * top.astype(np.float32) + fold, 0.93 - 0.05 * tone)


def metal_plate(c: Canvas) -> Surface:
    """Riveted plates, diamond tread, or brushed sheet with seams."""
    base = jitter(c, c.pick((0.56, 0.57, 0.58), (0.46, 0.48, 0.50), (0.40, 0.40, 0.42), (0.52, 0.50, 0.46)), 0.02)
    brushed = c.noise(2.4, 0.6, c.pick(0.05, 12.0))
    smear = c.noise(30)
    rgb = ramp(np.clip(0.5 + 0.09 * brushed + 0.14 * smear, 0, 1), scale(base, 0.78), base, scale(base, 1.18))
    rough = 0.34 + 0.05 * brushed + 0.07 * smear
    kind = c.pick("rivets", "rivets", "tread", "seams")
    if kind == "tread":
        bump = _tread(c)
        return surface(rgb * (0.9 + 0.18 * bump), 0.35 + 0.4 * bump, rough - 0.08 * bump, 1.0)
    cells = lattice(c, c.uniform(42, 66), c.uniform(42, 66), 0.0 if c.chance(0.6) else 0.5)
    body, rise = bevel(cells, 0.9, 1.5)
    height = body * (0.5 + 0.1 * rise + c.each(cells.id, -0.06, 0.06))
    rgb = paint(tint(c, rgb, cells, 0.06), scale(base, 0.28), 1 - body)
    if kind == "rivets":
        head = _rivets(c, cells)
        height, rgb = height + 0.3 * head, rgb * (1 + 0.14 * head) * (1 - 0.3 * (head > 0) * (head < 0.45))
    return surface(rgb, height, mix(0.7, rough, body), mix(0.7, 1.0, body))


def _rivets(c: Canvas, cells) -> Field:  # type: ignore[no-untyped-def]
    """Domed heads in a row along the border of each cell, in [0, 1]."""
    u, v = c.uv()
    n = c.count(c.uniform(9.5, 13))
    dx, dy = (u * n % 1.0 - 0.5) * c.span / n, (v * n % 1.0 - 0.5) * c.span / n
    ring = (cells.edge > 2.2) & (cells.edge < 8.2)
    radius = 2.3
    d2 = (dx * dx + dy * dy) / radius**2
    centre_edge = cells.edge  # heads are kept only where their middle lies in the ring: blurred membership
    keep = step(0.45, 0.6, c.blur((ring & (centre_edge > 3.0)).astype(np.float32), 1.2))
    return (np.sqrt(np.clip(1 - d2, 0, 1)) * keep).astype(np.float32)


def _tread(c: Canvas) -> Field:
    """Lozenges standing up in alternate directions."""
    u, v = c.uv()
    n = c.count(c.uniform(14, 20), even=True)
    gx, gy = np.floor(u * n).astype(np.int64), np.floor(v * n).astype(np.int64)
    x, y = u * n % 1.0 - 0.5, v * n % 1.0 - 0.5
    turn = np.where((gx + gy) % 2 == 0, 1.0, -1.0)
    a, b = (x + turn * y), (x - turn * y)
    return step(1.0, 0.7, (a / 0.66) ** 2 + (b / 0.20) ** 2)


def rust(c: Canvas) -> Surface:
    """Corroded iron: scales of orange and brown, a little bare metal."""
    patch, scale_noise = c.noise(26, 1.5), c.noise(6, 1.1)
    flake = voronoi(c, 9, 0.9, 1.2, 3.0)
    tone = np.clip(0.5 + 0.24 * patch + 0.15 * scale_noise + c.each(flake.id, -0.12, 0.12), 0, 1)
    rgb = ramp(tone, (0.20, 0.10, 0.07), (0.40, 0.18, 0.08), (0.60, 0.30, 0.11), (0.72, 0.45, 0.22))
    bare = step(1.0, 1.4, c.noise(24, 1.5)) * c.uniform(0.2, 1.0)
    rgb = paint(
        speckle(c, rgb, 0.09), ramp(np.clip(0.5 + 0.1 * c.noise(4), 0, 1), (0.30, 0.29, 0.28), (0.45, 0.44, 0.43)), bare
    )
    height = (
        0.45
        + 0.10 * patch
        + 0.08 * scale_noise
        + 0.08 * c.each(flake.id, -1, 1)
        - 0.1 * (1 - step(0, 1, flake.edge))
        - 0.1 * bare
    )
    return surface(rgb, height, mix(0.9 + 0.03 * scale_noise, 0.45, bare), mix(0.15, 0.95, bare))


def gold(c: Canvas) -> Surface:
    """Hammered sheet or cast scales of gold."""
    base = jitter(c, (0.86, 0.66, 0.30), 0.03)
    cells = voronoi(c, c.uniform(11, 18), 0.85, 1.0, 0.6)
    if c.chance(0.5):
        dent = np.clip(np.hypot(cells.x, cells.y), 0, 1.2)
        height = 0.35 + 0.4 * dent**2 * 0.8
    else:
        _, rise = bevel(cells, 0.4, 5.0)
        height = 0.25 + 0.5 * rise + c.each(cells.id, -0.05, 0.05)
    tone = np.clip(0.25 + 0.6 * height + 0.08 * c.noise(8), 0, 1)
    rgb = tint(c, ramp(tone, (0.56, 0.36, 0.12), base, (0.98, 0.84, 0.52)), cells, 0.04)
    return surface(rgb, height + 0.02 * c.noise(5), 0.24 + 0.06 * c.noise(12), 1.0)


def tech_panel(c: Canvas) -> Surface:
    """Hull plates divided again and again, with vents, lights and screws."""
    base = jitter(c, c.pick((0.42, 0.45, 0.49), (0.55, 0.55, 0.54), (0.27, 0.30, 0.34), (0.36, 0.40, 0.38)), 0.02)
    light = c.pick((0.25, 0.85, 0.95), (0.98, 0.55, 0.15), (0.45, 0.95, 0.40), (0.95, 0.25, 0.22))
    big, small = (
        lattice(c, 64, c.pick(32, 64), 0.0 if c.chance(0.5) else 0.5),
        lattice(c, c.pick(32, 21), c.pick(16, 32), 0.5),
    )
    inset = (c.each(big.id) < 0.55).astype(np.float32)
    edge = np.minimum(big.edge, np.where(inset > 0, small.edge, 99)).astype(np.float32)
    groove = 1 - step(0.5, 1.3, edge)
    raised = c.each(small.id, -0.12, 0.12) * inset + c.each(big.id, -0.05, 0.05)
    _, v = c.uv()
    slats = (np.sin(2 * np.pi * v * c.count(5.4)) * 0.5 + 0.5).astype(np.float32)
    vent = (c.each(small.id) < 0.16) * inset * step(2.6, 3.4, small.edge)
    lamp = (
        (c.each(small.id) < 0.10)
        * inset
        * step(0.30, 0.22, np.abs(small.y))
        * step(0.62, 0.54, np.abs(small.x))
        * (1 - vent)
    )
    screw = step(1.9, 1.3, np.hypot((np.abs(big.x) - 0.86) * 32, (np.abs(big.y) - 0.8) * 20))
    height = 0.6 + raised - 0.35 * groove - 0.3 * vent * (1 - slats) + 0.12 * screw
    rgb = ramp(
        np.clip(0.5 + 0.5 * raised / 0.15 * 0.5 + 0.08 * c.noise(26), 0, 1), scale(base, 0.72), base, scale(base, 1.2)
    )
    rgb = paint(rgb, scale(base, 0.22), np.maximum(groove, vent * (1 - 0.7 * slats)) * 0.9)
    rgb = paint(paint(rgb, light, lamp), scale(base, 0.5), 0.6 * screw)
    metal = np.clip(0.9 - lamp - 0.4 * groove, 0, 1)
    return surface(rgb, height, np.clip(0.42 + 0.06 * c.noise(20) - 0.25 * lamp + 0.3 * groove, 0.05, 1), metal)


CRAFTED = {
    "planks": planks, "bark": bark, "leather": leather, "fabric": fabric, "metal plate": metal_plate, "rust": rust,
    "gold": gold, "tech panel": tech_panel,
}  # fmt: skip
