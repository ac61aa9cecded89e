"""The order of convergence of a sampler, measured against an exact solution."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .analytic import exact_model
from .compile import compile_plan, dials
from .process import Process

Reals = NDArray[np.float64]
COUNTS = (24, 48)
"""Steps between which the order is measured: few, so that the error of order 6 is above rounding; multiples of 3 for dpm_fast."""
START = np.linspace(-2.5, 2.5, 41)


def measured_order(sampler: str, process: Process, prediction: str, **options: Any) -> float:
    """log2 of the error at 24 steps over that at 48, from noise ratio 8 to 0.15 on a broad, lopsided mixture; eta is 0."""
    if "eta" in dials(sampler):
        options["eta"] = 0.0
    exact = _end("dopri5", 400, process, prediction)
    few, many = (np.abs(_end(sampler, n, process, prediction, **options) - exact).mean() for n in COUNTS)
    return math.log2(few / many)


@lru_cache(maxsize=64)
def _end(sampler: str, steps: int, process: Process, prediction: str, **options: Any) -> Reals:
    plan = compile_plan(sampler, tuple(np.geomspace(8, 0.15, steps + 1)), steps, process, prediction, **options)
    return plan.run(exact_model(process, prediction), START, lambda k: np.zeros_like(START))
