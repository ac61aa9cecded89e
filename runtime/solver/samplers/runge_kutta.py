"""Explicit Runge-Kutta methods as tableaux; a method is data, one function runs all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..process import Level, Process, pairs
from ..tracing import Denoise, Vector


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

    def run(denoise: Denoise, x: Vector, levels: Sequence[Level], process: Process) -> Vector:
        for here, there in pairs(levels):
            step = there.ratio - here.ratio
            slopes = [(x - denoise(x, here)) / here.ratio]
            if there.ratio == 0:
                return x + step * slopes[0]
            for node, stage in zip(tableau.nodes[1:], tableau.stages[1:], strict=True):
                at = there if node == 1.0 else process.inside(here.ratio + node * step)
                ahead = _plus(x, step, stage, slopes)
                slopes.append((ahead - denoise(ahead, at)) / at.ratio)
            x = _plus(x, step, tableau.weights, slopes)
        return x

    run.__doc__ = about
    return run


def _plus(x: Vector, step: float, weights: Sequence[float], slopes: Sequence[Vector]) -> Vector:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + (step * weight) * slope
    return x


HAIRER = "Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, 1993, https://doi.org/10.1007/978-3-540-78862-1"

midpoint = method(Tableau((0, 1 / 2), ((), (1 / 2,)), (0, 1)), f"The midpoint method. Order 2. {HAIRER}")
ralston = method(
    Tableau((0, 2 / 3), ((), (2 / 3,)), (1 / 4, 3 / 4)),
    "Ralston's second-order method of least error bound. Order 2. Ralston, Runge-Kutta methods with minimum error bounds, "
    "1962, https://doi.org/10.1090/S0025-5718-1962-0150954-0",
)
fehlberg2 = method(
    Tableau((0, 1 / 2, 1), ((), (1 / 2,), (1 / 256, 255 / 256)), (1 / 512, 255 / 256, 1 / 512)),
    "The second-order formula of Fehlberg's pair 1(2). Order 2. Fehlberg, NASA TR R-315, 1969, "
    "https://ntrs.nasa.gov/citations/19690021375",
)
bosh3 = method(
    Tableau((0, 1 / 2, 3 / 4), ((), (1 / 2,), (0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9)),
    "The third-order formula of Bogacki and Shampine's pair. Order 3. A 3(2) pair of Runge-Kutta formulas, 1989, "
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
    "The fifth-order formula of Dormand and Prince's pair; six evaluations. Order 5. A family of embedded Runge-Kutta "
    "formulae, 1980, https://doi.org/10.1016/0771-050X(80)90013-3",
)
