"""What the modifiers of a prompt turn in the synthesiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Dials:
    """`tilt` and `density` -1 to 1, `pitch` and `length` factors around 1, `force` -1 to 1, `distance` 0 to 1."""

    tilt: float = 0.0
    pitch: float = 1.0
    length: float = 1.0
    force: float = 0.0
    density: float = 0.0
    distance: float = 0.0


def dials_of(modifiers: Mapping[str, float], spread: float = 0.0) -> Dials:
    """The dials of modifiers with their strengths; `spread` is a normal number that moves the pitch within its class."""
    told = lambda more, less: modifiers.get(more, 0.0) - modifiers.get(less, 0.0)  # noqa: E731
    return Dials(
        tilt=told("bright", "dark"),
        pitch=2 ** (0.75 * told("high", "low") + 0.12 * spread),
        length=2.2 ** told("long", "short"),
        force=told("hard", "soft"),
        density=told("dense", "sparse"),
        distance=modifiers.get("distant", 0.0),
    )
