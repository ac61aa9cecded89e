"""Runge-Kutta methods as tableaux, explicit and implicit: a method is data, one function runs all of a kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from ..process import Level, Process, pairs
from ..tracing import Denoise, Keep, Noise, Vector, plus, slope
from .dials import Between
from .forms import churned, within


@dataclass(frozen=True)
class Tableau:
    """Stage k is at `nodes[k]` of the step and starts from the slopes before it times `stages[k]`; `weights` end the step."""

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        for k, (node, stage) in enumerate(zip(self.nodes, self.stages, strict=True)):
            if len(stage) != k or abs(sum(stage) - node) > 1e-12:
                raise ValueError(f"tableau: stage {k} is {stage}, expected {k} numbers that sum to {node}")
        if len(self.weights) != len(self.nodes) or abs(sum(self.weights) - 1.0) > 1e-12:
            raise ValueError(f"tableau: weights {self.weights}, expected {len(self.nodes)} numbers that sum to 1")


def method(tableau: Tableau, about: str) -> Callable[..., Vector]:
    """The sampler of a tableau on dx / d ratio = (x - denoised) / ratio; the last step to no noise is Euler's."""

    def run(denoise: Denoise, x: Vector, levels: Sequence[Level], process: Process, keep: Keep) -> Vector:
        for here, there in pairs(levels):
            step = there.ratio - here.ratio
            slopes = [keep(slope(x, denoise(x, here), here.ratio))]
            if there.ratio == 0:
                return x + step * slopes[0]
            for node, stage in zip(tableau.nodes[1:], tableau.stages[1:], strict=True):
                at = there if node == 1.0 else process.inside(here.ratio + node * step)
                ahead = _plus(x, step, stage, slopes)
                slopes.append(keep(slope(ahead, denoise(ahead, at), at.ratio)))
            x = _plus(x, step, tableau.weights, slopes)
        return x

    run.__doc__ = about
    return run


def implicit(
    nodes: Sequence[float], matrix: Sequence[Sequence[float]], weights: Sequence[float], sweeps: int, about: str
) -> Callable[..., Vector]:
    """An implicit method whose stages are found by `iterations` sweeps of fixed-point iteration from the step's first slope.

    Each sweep raises the order by one, up to the method's own. One evaluation and one a stage and sweep; the last step to
    no noise is Euler's.
    """

    def run(
        denoise: Denoise,
        x: Vector,
        levels: Sequence[Level],
        process: Process,
        keep: Keep,
        iterations: Annotated[int, Between(1, 20)] = sweeps,
    ) -> Vector:
        for here, there in pairs(levels):
            step = there.ratio - here.ratio
            slopes = [keep(slope(x, denoise(x, here), here.ratio))] * len(nodes)
            if there.ratio == 0:
                return x + step * slopes[0]
            stops = [there if node == 1.0 else process.inside(here.ratio + node * step) for node in nodes]
            rows = [[step * weight for weight in row] for row in matrix]
            for _ in range(iterations):
                stages = [plus(x, row, slopes) for row in rows]
                slopes = [keep(slope(s, denoise(s, at), at.ratio)) for s, at in zip(stages, stops, strict=True)]
            x = _plus(x, step, weights, slopes)
        return x

    run.__doc__ = about
    return run


def heunpp2(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    keep: Keep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = 999.0,
) -> Vector:
    """Heun++ 2: slopes at the next one and two levels, weighted by their sigma over the first level's. Order 1: the weights
    of the later slopes vanish towards the end; the last step is Euler's, the one before has two slopes.

    Carzit, "Samplers Scheduler for Stable Diffusion web UI", https://github.com/Carzit/sd-webui-samplers-scheduler
    """
    for k, (start, there) in enumerate(pairs(levels)):
        x, here = churned(x, start, noise, process, s_churn / (len(levels) - 1), s_tmin, s_tmax)
        asked = within(denoise, start)
        visited = [here, *levels[k + 1 : min(k + 3, len(levels) - 1)]]
        slopes, ahead = [keep(slope(x, asked(x, here), here.ratio))], x
        for last, stop in pairs(visited):
            ahead = ahead + (stop.ratio - last.ratio) * slopes[-1]
            slopes.append(keep(slope(ahead, asked(ahead, stop), stop.ratio)))
        shares = [stop.ratio / (len(visited) * levels[0].ratio) for stop in visited[1:]]
        x = _plus(x, there.ratio - here.ratio, [1.0 - sum(shares), *shares], slopes)
    return x


def _plus(x: Vector, step: float, weights: Sequence[float], slopes: Sequence[Vector]) -> Vector:
    return plus(
        x, [step * weight for weight in weights if weight], [s for w, s in zip(weights, slopes, strict=True) if w]
    )


HAIRER = 'Hairer, Norsett, Wanner, "Solving ordinary differential equations I", 1993, https://doi.org/10.1007/978-3-540-78862-1'

heun = method(
    Tableau((0, 1), ((), (1,)), (1 / 2, 1 / 2)),
    "Heun's method: Euler, corrected by the slope at its end. Order 2. Karras et al. 2022, algorithm 1, "
    "https://arxiv.org/abs/2206.00364",
)
midpoint = method(Tableau((0, 1 / 2), ((), (1 / 2,)), (0, 1)), f"The midpoint method. Order 2. {HAIRER}")
ralston = method(
    Tableau((0, 2 / 3), ((), (2 / 3,)), (1 / 4, 3 / 4)),
    "Ralston's second-order method of least error bound. Order 2. "
    'Ralston, "Runge-Kutta methods with minimum error bounds", 1962, '
    "https://doi.org/10.1090/S0025-5718-1962-0150954-0",
)
fehlberg2 = method(
    Tableau((0, 1 / 2, 1), ((), (1 / 2,), (1 / 256, 255 / 256)), (1 / 512, 255 / 256, 1 / 512)),
    "The second-order formula of Fehlberg's pair 1(2). Order 2. "
    'Fehlberg, "Low-order classical Runge-Kutta formulas with stepsize control", NASA TR R-315, 1969, '
    "https://ntrs.nasa.gov/citations/19690021375",
)
bosh3 = method(
    Tableau((0, 1 / 2, 3 / 4), ((), (1 / 2,), (0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9)),
    "The third-order formula of Bogacki and Shampine's pair. Order 3. "
    'Bogacki, Shampine, "A 3(2) pair of Runge-Kutta formulas", 1989, '
    "https://doi.org/10.1016/0893-9659(89)90079-7",
)
rk4 = method(
    Tableau((0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    f"The classical method. Order 4. {HAIRER}",
)
dopri5 = method(
    Tableau(
        (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1),
        (
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        ),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    "The fifth-order formula of Dormand and Prince's pair; six evaluations. Order 5. "
    'Dormand, Prince, "A family of embedded Runge-Kutta formulae", 1980, '
    "https://doi.org/10.1016/0771-050X(80)90013-3",
)

HAIRER_2 = (
    'Hairer, Wanner, "Solving ordinary differential equations II", 1996, https://doi.org/10.1007/978-3-642-05221-7'
)
R3, R6, R15 = math.sqrt(3.0), math.sqrt(6.0), math.sqrt(15.0)

implicit_euler = implicit((1.0,), ((1.0,),), (1.0,), 2, f"Implicit Euler by fixed-point iteration. Order 1. {HAIRER_2}")
implicit_midpoint = implicit(
    (1 / 2,), ((1 / 2,),), (1.0,), 2, f"The implicit midpoint rule by fixed-point iteration. Order 2. {HAIRER_2}"
)
gauss_legendre_2s = implicit(
    (1 / 2 - R3 / 6, 1 / 2 + R3 / 6),
    ((1 / 4, 1 / 4 - R3 / 6), (1 / 4 + R3 / 6, 1 / 4)),
    (1 / 2, 1 / 2),
    3,
    f"Gauss-Legendre of two stages by fixed-point iteration. Order 4. {HAIRER_2}",
)
gauss_legendre_3s = implicit(
    (1 / 2 - R15 / 10, 1 / 2, 1 / 2 + R15 / 10),
    (
        (5 / 36, 2 / 9 - R15 / 15, 5 / 36 - R15 / 30),
        (5 / 36 + R15 / 24, 2 / 9, 5 / 36 - R15 / 24),
        (5 / 36 + R15 / 30, 2 / 9 + R15 / 15, 5 / 36),
    ),
    (5 / 18, 4 / 9, 5 / 18),
    5,
    f"Gauss-Legendre of three stages by fixed-point iteration. Order 6. {HAIRER_2}",
)
radau_iia_2s = implicit(
    (1 / 3, 1.0),
    ((5 / 12, -1 / 12), (3 / 4, 1 / 4)),
    (3 / 4, 1 / 4),
    2,
    f"Radau IIA of two stages by fixed-point iteration. Order 3. {HAIRER_2}",
)
radau_iia_3s = implicit(
    ((4 - R6) / 10, (4 + R6) / 10, 1.0),
    (
        ((88 - 7 * R6) / 360, (296 - 169 * R6) / 1800, (-2 + 3 * R6) / 225),
        ((296 + 169 * R6) / 1800, (88 + 7 * R6) / 360, (-2 - 3 * R6) / 225),
        ((16 - R6) / 36, (16 + R6) / 36, 1 / 9),
    ),
    ((16 - R6) / 36, (16 + R6) / 36, 1 / 9),
    4,
    f"Radau IIA of three stages by fixed-point iteration. Order 5. {HAIRER_2}",
)
