"""Guidance as a function of the noise level: one strength, one a step, or only inside an interval of noise ratios."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...assets.refusal import OutOfRange, Refusal, WrongType
from .process import Level

NOT_AFFINE = {
    "cfg_rescale": "it scales the estimate to another's deviation",
    "guidance_rescale": "it scales the estimate to another's deviation",
    "rescale_cfg": "it scales the estimate to another's deviation",
    "dynamic_thresholding": "it clamps the estimate to a quantile of itself",
    "thresholding": "it clamps the estimate to a quantile of itself",
    "clip_sample": "it clamps the estimate",
    "apg": "it projects the difference of the two estimates on one of them",
}
"""Forms of guidance that no table can hold: a plan's rows are weighted sums, and so is the ONNX loop that runs them."""


@dataclass(frozen=True)
class Guidance:
    """`strengths` is one number, or one a step; outside the `interval` of noise ratios (both ends in it) it is 1."""

    strengths: tuple[float, ...]
    interval: tuple[float, float] | None = None

    def over(self, levels: Sequence[Level]) -> Callable[[Level], float]:
        """The strength at any level of a run: that of the step it lies in, so a method's inner stages agree about it."""
        rising = [-level.sigma for level in levels[:-1]]
        strengths = self.strengths if len(self.strengths) == 1 else self.strengths[-len(rising) :]
        if len(strengths) == 1 and self.interval is None:
            return lambda level: strengths[0]

        def strength(level: Level) -> float:
            if self.interval is not None:
                ratio = level.sigma / level.alpha if level.alpha > 0 else math.inf
                if not self.interval[0] <= ratio <= self.interval[1]:
                    return 1.0
            step = bisect_right(rising, -(level.sigma if level.begun is None else level.begun)) - 1
            return strengths[min(max(step, 0), len(strengths) - 1)]

        return strength


def check_guidance(guidance: object, interval: object, steps: int) -> Guidance:
    """One number or `steps` numbers, and an interval (lowest, highest) or None; or a refusal.

    Interval: Kynkaanniemi, Aittala, Karras, Laine, Aila, Lehtinen, "Applying guidance in a limited interval improves
    sample and distribution quality in diffusion models", 2024, https://arxiv.org/abs/2404.07724
    """
    if isinstance(guidance, Sequence) and not isinstance(guidance, str):
        strengths = tuple(_number("guidance", each) for each in guidance)
        if len(strengths) != steps:
            raise OutOfRange("guidance", f"a list of {len(strengths)}", f"one number, or a list of {steps}, one a step")
    else:
        strengths = (_number("guidance", guidance),)
    if interval is None:
        return Guidance(strengths)
    if not isinstance(interval, Sequence) or isinstance(interval, str) or len(interval) != 2:
        raise WrongType("guidance_interval", interval, "two noise ratios, lowest and highest")
    low, high = (
        math.inf if each is None or each == math.inf else _number("guidance_interval", each) for each in interval
    )
    if not 0 <= low < high:
        raise OutOfRange("guidance_interval", [low, high], "0 or more for the lowest, and above it for the highest")
    return Guidance(strengths, (low, high))


def refuse_not_affine(options: Iterable[str]) -> None:
    for name in options:
        if name in NOT_AFFINE:
            remedy = "lower `guidance`, give one number a step, or set `guidance_interval`"
            raise Refusal("unknown", name, f"is no weighted sum ({NOT_AFFINE[name]}), so no plan can hold it", remedy)


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(field, value, "a number")
    if not math.isfinite(value):
        raise OutOfRange(field, value, "a finite number")
    return float(value)
