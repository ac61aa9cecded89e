"""Adams-Bashforth methods on dx / d sigma: a polynomial through past slopes, integrated over the step. The last step to no
noise is Euler's, but of lms and plms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..process import Level, pairs
from ..tracing import Denoise, Keep, Vector
from .quadrature import from_slope

Order = Literal[1, 2, 3, 4]
EQUAL_STEPS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams-Bashforth weights of orders 1 to 4 for steps of one size, the newest slope first."""


def lms(denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Order = 4) -> Vector:
    """Linear multistep: the polynomial is in sigma and its integral exact for uneven steps. Order 1 to 4.

    Katherine Crowson, "k-diffusion", 2022, https://github.com/crowsonkb/k-diffusion, which integrates numerically to 1e-4. The
    same method as ipndm_v but for the step to no noise, which is of full order as there: on spacings that stop high, such as
    trailing, its error is a tenth of Euler's.
    """
    return _multistep(denoise, x, levels, keep, order, log=False, whole=True)


def ipndm_v(denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Order = 4) -> Vector:
    """Improved pseudo-numerical method for variable steps: Adams-Bashforth of orders 1 to 4, as lms.

    Zhang, Chen, "Fast sampling of diffusion models with exponential integrator", 2022, https://arxiv.org/abs/2204.13902;
    the published third- and fourth-order weights (zju-pi/diff-sampler) misplace a bracket and are right for even steps only.
    """
    return _multistep(denoise, x, levels, keep, order, log=False)


def deis(denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Order = 3) -> Vector:
    """Diffusion exponential integrator: the polynomial is in log sigma ("log rho"). Order 1 to 4.

    Zhang, Chen, "Fast sampling of diffusion models with exponential integrator", 2022, https://arxiv.org/abs/2204.13902
    """
    return _multistep(denoise, x, levels, keep, order, log=True)


def ipndm(denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Order = 4) -> Vector:
    """Improved pseudo-numerical method: Adams-Bashforth weights for even steps in sigma, lower orders first.

    Order 4 on even steps, 2 on others, whatever `order` above 2. Zhang, Chen 2022, https://arxiv.org/abs/2204.13902
    """
    past: list[Vector] = []
    for here, there in pairs(levels):
        past = [keep((x - denoise(x, here)) / here.sigma), *past][: order if there.sigma > 0 else 1]
        x = _even(x, here, there, past)
    return x


def plms(denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Order = 4) -> Vector:
    """Pseudo linear multistep (PNDM without its Runge-Kutta steps): ipndm with a first step of Heun. Order as ipndm.

    Liu, Ren, Lin, Zhao, "Pseudo numerical methods for diffusion models on manifolds", 2022, https://arxiv.org/abs/2202.09778,
    as in Stable Diffusion's own code, the step to no noise like the others; one more evaluation than steps.
    """
    past: list[Vector] = []
    for here, there in pairs(levels):
        past = [keep((x - denoise(x, here)) / here.sigma), *past][:order]
        if len(past) > 1 or order == 1 or there.sigma == 0:
            x = _even(x, here, there, past)
        else:
            ahead = _even(x, here, there, past)
            slope = (ahead - denoise(ahead, there)) / there.sigma
            x = x + ((there.sigma - here.sigma) / 2) * (past[0] + slope)
    return x


def gradient_estimation(
    denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, ge_gamma: float = 2.0
) -> Vector:
    """Euler with the slope pushed away from the last one, slope + (ge_gamma - 1) (slope - old). Order 1.

    Permenter, Yuan, "Interpreting and improving diffusion models from an optimization perspective", 2024,
    https://arxiv.org/abs/2306.04848
    """
    old: Vector | None = None
    for here, there in pairs(levels):
        slope = keep((x - denoise(x, here)) / here.sigma)
        step = there.sigma - here.sigma
        x = x + step * slope
        if old is not None and there.sigma > 0:
            x = x + (step * (ge_gamma - 1.0)) * (slope - old)
        old = slope
    return x


def _multistep(
    denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: int, log: bool, whole: bool = False
) -> Vector:
    past: list[tuple[Level, Vector]] = []
    for here, there in pairs(levels):
        past = [(here, keep((x - denoise(x, here)) / here.sigma)), *past][:order]
        x = from_slope(x, here, there, past, log, whole)
    return x


def _even(x: Vector, here: Level, there: Level, past: Sequence[Vector]) -> Vector:
    for weight, slope in zip(EQUAL_STEPS[len(past) - 1], past, strict=True):
        x = x + ((there.sigma - here.sigma) * weight) * slope
    return x
