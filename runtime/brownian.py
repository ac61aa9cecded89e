"""Brownian step noise: a function of (seed, interval of noise ratio), so that more steps refine the same path.

The path is Lévy's construction on u = ratio / (1 + ratio) in [0, 1]: a straight line to a normal end point plus, at
each level, a tent over each dyadic cell times a normal of its own (Lévy, "Processus stochastiques et mouvement
brownien", 1948). A draw is the path's increment over its interval divided by its exact standard deviation: unit
variance always.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .noise import BROWNIAN, normals

DEPTH = 14
"""Levels of tents: cells of 2^-14, finer than the steps of a 1,000-step plan over most of its range."""


def path_weights(ratio: float) -> dict[int, float]:
    """The path at a noise ratio as weights over unit normals by draw index: 0 the end point, 2^level + cell a tent."""
    u = 1.0 if np.isinf(ratio) else ratio / (1.0 + ratio)
    weights = {0: u}
    for level in range(DEPTH):
        cells = 1 << level
        cell = min(int(u * cells), cells - 1)
        inside = u * cells - cell
        tent = min(inside, 1.0 - inside)
        if tent > 0.0:
            weights[cells + cell] = tent / np.sqrt(float(cells))
    return weights


def brownian(
    seed: int,
    intervals: Sequence[tuple[float, float]],
    channels: int,
    height: int,
    width: int,
    *,
    x: int = 0,
    y: int = 0,
    frame: int = 0,
) -> NDArray[np.float32]:
    """Unit draws (len(intervals), channels, height, width), one for each (higher ratio, lower ratio)."""
    steps = [_increment(high, low) for high, low in intervals]
    nodes = sorted(set().union(*steps)) if steps else []
    fields = normals(seed, BROWNIAN, nodes, channels, height, width, x=x, y=y, frame=frame).astype(np.float64)
    field_of = dict(zip(nodes, fields, strict=True))
    out = np.zeros((len(steps), channels, height, width))
    for total, step in zip(out, steps, strict=True):
        for node, weight in sorted(step.items()):
            total += weight * field_of[node]
    return out.astype(np.float32)


def _increment(high: float, low: float) -> dict[int, float]:
    weights = path_weights(high)
    for node, weight in path_weights(low).items():
        weights[node] = weights.get(node, 0.0) - weight
    squares = sum(weight * weight for _, weight in sorted(weights.items()))
    scale = float(np.sqrt(squares))
    return {node: weight / scale for node, weight in weights.items() if weight != 0.0}
