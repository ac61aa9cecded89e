"""What happened to a material: each modifier changes the maps as the thing itself would, with a strength of 0 to 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Field, mix, ramp, step, voronoi
from .surface import Surface, paint


def _low(c: Canvas, s: Surface, reach: float = 7.0) -> Field:
    """How far a place lies below its surroundings, standardised: where dirt, water and moss gather."""
    below = c.blur(s.height, reach) - s.height
    return (below / (below.std() + 0.02)).astype(np.float32)


def _luminance(rgb: Field) -> Field:
    return (0.30 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]).astype(np.float32)


def wet(c: Canvas, s: Surface, strength: float) -> Surface:
    """Water darkens and smooths, and stands in the low places."""
    level = step(0.3, 1.3, _low(c, s, 12) + 0.8 * c.noise(30) + 0.6 * (strength - 0.7))
    dark = 1 - strength * (0.28 + 0.14 * level)
    pool = level * strength
    height = mix(s.height, np.maximum(s.height, c.blur(s.height, 5) - 0.04), pool)
    return Surface(s.rgb * dark, height, mix(mix(s.rough, s.rough * 0.45, strength), 0.04, pool), s.metal)


def mossy(c: Canvas, s: Surface, strength: float) -> Surface:
    """Cushions grow from joints and hollows over the rest."""
    cover = step(0.75, 1.25, 0.8 * _low(c, s) + 0.65 * c.noise(24, 1.4) + 1.1 * strength - 0.1)
    tuft = voronoi(c, 5.0, 0.9)
    bead = np.sqrt(np.clip(tuft.edge / 2.2, 0, 1))
    tone = np.clip(0.15 + 0.6 * bead + 0.12 * c.noise(12), 0, 1)
    green = ramp(tone, (0.12, 0.17, 0.05), (0.29, 0.38, 0.12), (0.45, 0.53, 0.20))
    height = mix(s.height, np.clip(c.blur(s.height, 2) + 0.05 + 0.14 * bead, 0, 1), cover)
    return Surface(paint(s.rgb, green, cover), height, mix(s.rough, 0.95, cover), mix(s.metal, 0.0, cover))


def cracked(c: Canvas, s: Surface, strength: float) -> Surface:
    """A net of cracks: a few wide ones, finer ones between them."""
    wide, fine = voronoi(c, 44, 0.95, 1.1, 6.0), voronoi(c, 20, 0.95, 1.1, 5.0)
    width = 0.5 + 1.1 * strength
    cut = np.maximum(
        1 - step(width * 0.4, width * 1.5, wide.edge), (1 - step(0.2, width, fine.edge)) * step(-0.1, 0.5, c.noise(40))
    )
    cut = cut * (0.5 + 0.5 * strength)
    lip = np.exp(-wide.edge / 3) * 0.1 * strength
    return Surface(
        s.rgb * (1 - 0.78 * cut) * (1 - 0.4 * lip), s.height - 0.42 * cut, mix(s.rough, 0.92, cut), s.metal * (1 - cut)
    )


def worn(c: Canvas, s: Surface, strength: float) -> Surface:
    """Bleached; raised edges are rubbed pale and round, and chips are missing."""
    high = -_low(c, s, 3.0)
    rub = step(0.7, 1.9, high + 0.6 * c.noise(12)) * strength
    chip = step(1.15, 1.45, c.noise(15, 1.3) + 0.35 * strength) * strength
    light = np.clip(_luminance(s.rgb) * 1.25 + 0.13, 0, 1)
    bare = np.stack([light * 1.02, light, light * 0.95])
    rgb = paint(mix(s.rgb, bare, 0.25 * strength), bare, 0.75 * rub)
    rgb = mix(rgb, rgb * 0.62, chip)
    return Surface(
        rgb,
        mix(s.height, c.blur(s.height, 1.5), strength) - 0.14 * chip,
        mix(s.rough, 0.85, 0.5 * chip + 0.3 * rub),
        s.metal,
    )


def polished(c: Canvas, s: Surface, strength: float) -> Surface:
    """Ground flat and shining; colours deepen."""
    top = np.float32(np.quantile(s.height, 0.6))
    height = mix(s.height, np.minimum(s.height, top) * 0.6 + 0.4 * top, strength)
    grey = _luminance(s.rgb)
    deep = np.clip(grey + (s.rgb - grey) * (1 + 0.3 * strength), 0, 1) * (1 - 0.06 * strength)
    return Surface(deep, height, mix(s.rough, 0.05 + 0.15 * s.rough, strength), s.metal)


def dark(c: Canvas, s: Surface, strength: float) -> Surface:
    return Surface(s.rgb * (1 - 0.58 * strength), s.height, s.rough, s.metal)


def pale(c: Canvas, s: Surface, strength: float) -> Surface:
    grey = _luminance(s.rgb)
    washed = s.rgb + (grey - s.rgb) * 0.45 * strength
    return Surface(washed + (0.93 - washed) * 0.52 * strength, s.height, s.rough, s.metal)


def _towards(colour: tuple[float, float, float]) -> Callable[[Canvas, Surface, float], Surface]:
    """Dyed: the hue moves, light and dark stay."""

    def dyed(c: Canvas, s: Surface, strength: float) -> Surface:
        light = _luminance(s.rgb)
        hue = np.asarray(colour, np.float32)[:, None, None] * (light / 0.36)
        return Surface(mix(s.rgb, np.clip(hue, 0, 1), 0.8 * strength), s.height, s.rough, s.metal)

    return dyed


def _covered(
    c: Canvas, s: Surface, strength: float, reach: float, colours: tuple[tuple[float, float, float], ...], rough: float
) -> Surface:
    cover = step(0.35, 1.5, 0.8 * _low(c, s, reach) + 0.7 * c.noise(26) + 1.3 * strength - 0.6) * (
        0.35 + 0.6 * strength
    )
    film = ramp(np.clip(0.5 + 0.25 * c.noise(7, 1.0), 0, 1), *colours)
    return Surface(paint(s.rgb, film, cover), s.height, mix(s.rough, rough, cover), mix(s.metal, 0.0, cover))


def dirty(c: Canvas, s: Surface, strength: float) -> Surface:
    """Brown grime in the hollows, streaks below."""
    return _covered(c, s, strength, 6.0, ((0.13, 0.10, 0.07), (0.25, 0.20, 0.14)), 0.95)


def rusty(c: Canvas, s: Surface, strength: float) -> Surface:
    """Orange bloom and stains."""
    stained = _covered(c, s, strength, 4.0, ((0.28, 0.12, 0.06), (0.52, 0.24, 0.09), (0.68, 0.38, 0.16)), 0.9)
    return Surface(stained.rgb, s.height + 0.02 * strength * c.noise(4, 0.8), stained.rough, stained.metal)


def snowy(c: Canvas, s: Surface, strength: float) -> Surface:
    """Snow lies on what is high and fills what is flat."""
    cover = step(0.5, 1.0, -0.35 * _low(c, s, 5) + 0.8 * c.noise(28, 1.6) + 1.7 * strength - 0.35)
    white = ramp(np.clip(0.6 + 0.2 * c.noise(14), 0, 1), (0.76, 0.82, 0.90), (0.94, 0.96, 0.98))
    height = mix(s.height, np.clip(c.blur(s.height, 3) + 0.16 + 0.02 * c.noise(12), 0, 1), cover)
    return Surface(paint(s.rgb, white, cover), height, mix(s.rough, 0.65, cover), mix(s.metal, 0.0, cover))


MODIFIERS: dict[str, Callable[[Canvas, Surface, float], Surface]] = {
    "cracked": cracked, "worn": worn, "polished": polished, "rusty": rusty, "dirty": dirty,
    "red": _towards((0.62, 0.16, 0.13)), "blue": _towards((0.18, 0.32, 0.62)), "green": _towards((0.20, 0.50, 0.20)),
    "yellow": _towards((0.70, 0.55, 0.14)), "pale": pale, "dark": dark, "mossy": mossy, "snowy": snowy, "wet": wet,
}  # fmt: skip
"""In the order in which they happen: damage, colour, growth, weather."""

GRAINS = {"fine": 0.56, "coarse": 1.75}
"""Modifiers that only change the size of the features."""
