"""A material's surface before modifiers, and the helpers that several families share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Cells, Field, mix, step


@dataclass(frozen=True)
class Surface:
    """rgb sRGB (3, size, size); height, rough and metal (size, size); all about 0 to 1."""

    rgb: Field
    height: Field
    rough: Field
    metal: Field


def surface(rgb: Field, height: Field, rough: Field | float, metal: Field | float = 0.0) -> Surface:
    like = np.ones_like(height)
    return Surface(rgb, height.astype(np.float32), like * rough, like * metal)


def bevel(cells: Cells, joint: float, round_off: float) -> tuple[Field, Field]:
    """(body, height): body is 0 in the joint and 1 on the cell; height rises from the joint over `round_off`."""
    body = step(joint * 0.6, joint * 1.15, cells.edge)
    rise = np.clip((cells.edge - joint) / round_off, 0.0, 1.0)
    return body, np.sqrt(1.0 - (1.0 - rise) ** 2).astype(np.float32)


def tint(canvas: Canvas, rgb: Field, cells: Cells, amount: float) -> Field:
    """Each cell a little lighter or darker and warmer or colder than the next."""
    light = 1.0 + canvas.each(cells.id, -amount, amount)
    warm = canvas.each(cells.id, -amount, amount) * 0.35
    return (rgb * np.stack([light + warm, light, light - warm])).astype(np.float32)


def speckle(canvas: Canvas, rgb: Field, amount: float, length: float = 2.5) -> Field:
    return (rgb * (1.0 + amount * canvas.noise(length, 0.8))).astype(np.float32)


def paint(rgb: Field, colour: tuple[float, float, float] | Field, cover: Field) -> Field:
    other = np.asarray(colour, np.float32)
    return mix(rgb, other if other.ndim == 3 else other[:, None, None], cover)


def jitter(canvas: Canvas, colour: tuple[float, float, float], amount: float = 0.05) -> tuple[float, float, float]:
    """The colour, moved a little in lightness and hue."""
    light = canvas.uniform(1 - 2.5 * amount, 1 + 2.5 * amount)
    r, g, b = (min(0.98, max(0.02, c * light + canvas.uniform(-amount, amount) * 0.6)) for c in colour)
    return r, g, b


def scale(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    r, g, b = (min(1.0, c * by) for c in colour)
    return r, g, b
