"""UniPC: a predictor and a corrector that share their evaluations; the corrector also as a form of any other method.

Zhao, Bai, Rao, Zhou, Lu, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion models", 2023,
https://arxiv.org/abs/2302.04867. Its systems of equations are exact integrals of the polynomial through the estimates, which
`from_data` gives; only where the paper sets a coefficient to 1/2 without solving does its B(h) make a difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

from ....assets.refusal import Refusal
from ..process import Level, pairs
from ..tracing import Denoise, Keep, Vector
from .quadrature import Past, fade, from_data

Variant = Literal["bh1", "bh2"]


def uni_pc(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    keep: Keep,
    order: Literal[1, 2, 3, 4] = 3,
    variant: Variant = "bh1",
) -> Vector:
    """UniPC of order 1 to 4 on the clean estimate, one evaluation a step: UniP, then UniC once the estimate is there.

    Variant bh1 has B(h) = h, bh2 has B(h) = e^h - 1. Orders fall towards the end; the last step is not corrected.
    Zhao et al. 2023, https://arxiv.org/abs/2302.04867
    """
    past: list[tuple[Level, Vector]] = []
    start, used = x, 1
    for step, (here, there) in enumerate(pairs(levels)):
        past = [(here, denoise(x, here)), *past]
        if step > 0:
            x = _integral(start, past[1][0], here, past[: used + 1], half=used == 1, variant=variant)
        start = keep(x)
        used = min(order, step + 1, len(levels) - 1 - step)
        x = _integral(start, here, there, past[:used], half=used == 2, variant=variant)
        past = past[:order]
    return x


def uni_pc_bh2(
    denoise: Denoise, x: Vector, levels: Sequence[Level], keep: Keep, order: Literal[1, 2, 3, 4] = 3
) -> Vector:
    """uni_pc with variant bh2, the one of latent models. Zhao et al. 2023, https://arxiv.org/abs/2302.04867"""
    return uni_pc(denoise, x, levels, keep, order, "bh2")


def _integral(x: Vector, here: Level, there: Level, past: Past, half: bool, variant: Variant) -> Vector:
    """`from_data`; `half` is the paper's shortcut for two values, whose difference has the weight B(h) / 2."""
    left = fade(here, there)
    if not half or left == 0.0 or past[1][0].alpha == 0.0:
        return from_data(x, here, there, past)
    h = there.log_snr - here.log_snr
    size = h if variant == "bh1" else 1.0 - left
    (now, value), (then, other) = past if past[0][0] is here else past[::-1]  # the predictor's past or the corrector's
    slope = (h / (then.log_snr - now.log_snr)) * (other - value)
    return from_data(x, here, there, [(now, value)]) + (there.alpha * size / 2.0) * slope


def unic(run: Callable[..., Vector], order: int, keep: Keep) -> Callable[..., Vector]:
    """The sampler `run` with UniC after every step: order `order` + 1 without another evaluation.

    When the model has been asked at the end of a step, the step is made again from its start with that estimate in the
    polynomial (`order` older ones beside it), and the latent that the sampler holds is replaced. The last step stays as it is,
    and so do the first ones of a method with stages, which starts at its full order, until there are so many estimates.
    """

    def corrected_run(denoise: Denoise, x: Vector, levels: Sequence[Level], **given: Any) -> Vector:
        own = tuple((name, None if name in INSTEAD else value) for name, value in given.items())
        points = _last_evaluations(run, tuple(levels), own)
        fewest = order + 1 if max(points) >= len(points) else 2
        calls = itertools.count()
        past: list[tuple[Level, Vector]] = []
        start = x

        def corrected(x: Vector, level: Level) -> Vector:
            nonlocal past, start
            value = denoise(x, level)
            if next(calls) in points:
                past = [(level, value), *past][: order + 1]
                if len(past) >= fewest:
                    x += from_data(start, past[1][0], level, past) - x
                start = 1.0 * keep(x)  # a copy: the sampler's own may be changed
            return value

        return run(corrected, x, levels, **given)

    return corrected_run


@lru_cache(maxsize=64)
def _last_evaluations(
    run: Callable[..., Vector], levels: tuple[Level, ...], given: tuple[tuple[str, Any], ...]
) -> set[int]:
    """Which evaluations are at the start of a step: the last one at each level, found by running over a zero."""
    visited: list[Level] = []

    def denoise(x: float, level: Level) -> float:
        visited.append(level)
        return 0.0

    run(denoise, 0.0, levels, **{name: INSTEAD.get(name, value) for name, value in given})
    last = {level: k for k, level in enumerate(visited)}
    if any(level not in last for level in levels[:-1]):
        raise Refusal("contradiction", "corrector", "corrects samplers that visit every level", "leave corrector out")
    return {last[level] for level in levels[:-1]}


def _random(*_: object) -> Vector:
    remedy = "set eta and s_churn to 0, or leave corrector out"
    raise Refusal("contradiction", "corrector", "corrects deterministic samplers only", remedy)


def _two(*_: object) -> Vector:
    raise Refusal("contradiction", "corrector", "does not correct CFG++ forms", "leave corrector out")


INSTEAD: dict[str, Callable[..., Any]] = {"noise": _random, "estimates": _two, "keep": lambda value: value}
"""What the run over a zero is given, where a trace gives its own."""
