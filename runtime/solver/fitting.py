"""Numbers learned for one model against its own fine-step trajectories: corrections of a solver, and a spacing.

Both are linear algebra in numpy: no gradients, no framework. `model(x, level)` answers clean estimates for latents
x (batch, ...) in the sampler's frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .process import Level, Process
from .samplers.dpmpp import midpoint_step
from .samplers.fitted import NUMBERS

Reals = NDArray[np.float64]
Model = Callable[[Reals, Level], Reals]


def trajectory(model: Model, x: Reals, levels: Sequence[Level], process: Process, fine: int) -> list[Reals]:
    """States (batch, ...) at every level of the exact solution from x, by `fine` Heun steps from level to level."""
    states = [x]
    for here, there in pairwise(levels):
        for a, b in pairwise([here, *_between(here, there, process, fine), there]):
            slope = (x - model(x, a)) / a.sigma
            ahead = x + slope * (b.sigma - a.sigma)
            if b.sigma > 0:
                slope = (slope + (ahead - model(ahead, b)) / b.sigma) / 2
            x = x + slope * (b.sigma - a.sigma)
        states.append(x)
    return states


def fit_corrections(
    model: Model, exact: Sequence[Reals], levels: Sequence[Level], ridge: float = 1e-4
) -> tuple[float, ...]:
    """Three numbers a step for the sampler `fitted`, by least squares of each step's result against the exact state.

    exact   states at the levels, from `trajectory`
    ridge   weight of small corrections, of the mean square of what they multiply: steadies what the data do not decide

    Each step is fitted on states that the steps before it left, so it also mends what they left undone.
    """
    corrections: list[float] = []
    x, past = exact[0], list[tuple[Level, Any]]()
    for k, (here, there) in enumerate(pairwise(levels)):
        past = [(here, model(x, here)), *past][:2]
        plain: Any = midpoint_step(x, here, there, past)  # type: ignore[arg-type]  # on arrays as on symbols
        parts = np.stack([x.ravel(), past[0][1].ravel(), past[-1][1].ravel()])
        gram = parts @ parts.T
        penalty = ridge * np.trace(gram) / NUMBERS * np.eye(NUMBERS)
        weights = np.linalg.solve(gram + penalty, parts @ (exact[k + 1] - plain).ravel())
        corrections += [float(weight) for weight in weights]
        x = plain + np.tensordot(weights, parts, 1).reshape(x.shape)
    return tuple(corrections)


def fit_spacing(
    model: Model, exact: Sequence[Reals], levels: Sequence[Level], steps: int, coefficient: float = 1.15
) -> list[Level]:
    """The `steps` + 1 of these fine `levels`, ends included, whose Euler steps err least, by dynamic programming.

    The cost of a jump is its distance from the exact state (root mean square over the batch); what comes after it counts
    `coefficient` times. Geometry-inspired time scheduling [Chen et al. 2024, https://arxiv.org/abs/2405.11326].
    """
    last = len(levels) - 1
    cost = np.full((last + 1, last + 1), np.inf)
    for i in range(last):
        slope = (exact[i] - model(exact[i], levels[i])) / levels[i].sigma
        for j in range(i + 1, last + 1):
            jump = exact[i] + slope * (levels[j].sigma - levels[i].sigma)
            cost[i, j] = np.sqrt(np.mean((jump - exact[j]) ** 2))
    left = cost[:, last]  # of going to the end in one jump
    choices = []
    for _ in range(steps - 1):
        through = cost + coefficient * np.append(left[:-1], np.inf)
        choices.append(through.argmin(axis=1))
        left = through.min(axis=1)
    path = [0]
    for choice in reversed(choices):
        path.append(int(choice[path[-1]]))
    return [levels[k] for k in (*path, last)]


def _between(here: Level, there: Level, process: Process, fine: int) -> list[Level]:
    """fine - 1 levels, evenly in sigma."""
    return [process.inside(here.sigma + (there.sigma - here.sigma) * k / fine) for k in range(1, fine)]
