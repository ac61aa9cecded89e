"""Restart: back up to a higher level with noise, and down again."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Sequence
from typing import Annotated

from ....assets.refusal import Unknown
from ..process import Level, Process
from ..tracing import Denoise, Estimates, Keep, Noise, Vector
from .dials import Between
from .forms import Run, renoised


def restart(
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    keep: Keep,
    estimates: Estimates,
    inner: str = "heun",
    restarts: Annotated[int, Between(0, 20)] = 1,
    restart_low: float = 0.1,
    restart_high: float = 2.0,
) -> Vector:
    """Any sampler, run again `restarts` times between the levels nearest to two noise ratios, after fresh noise back up.

    Its own steps are run again, so a run of fewer than two noisy levels has no restart. Xu, Deng, Cheng, Tian, Liu, Jaakkola,
    "Restart sampling for improving generative processes", 2023, https://arxiv.org/abs/2306.14878
    """
    from . import SAMPLERS  # the registry holds this function

    if inner not in SAMPLERS or inner == "restart":
        raise Unknown("inner", inner, [name for name in SAMPLERS if name != "restart"])
    run: Run = SAMPLERS[inner].run
    given = {"noise": noise, "process": process, "keep": keep, "estimates": estimates}
    wanted = inspect.signature(run).parameters
    run = functools.partial(run, **{name: value for name, value in given.items() if name in wanted})
    ratios = [level.noise_ratio for level in levels]
    inside = [k for k, ratio in enumerate(ratios) if 0 < ratio < math.inf]
    if len(inside) < 2 or restarts == 0:
        return run(denoise, x, levels)

    def nearest(ratio: float, among: Sequence[int]) -> int:
        return min(among, key=lambda k: abs(math.log(ratios[k] / max(ratio, 1e-6))))

    high = nearest(restart_high, inside[:-1])
    low = nearest(restart_low, [k for k in inside if k > high])
    x = run(denoise, x, levels[: low + 1])
    for _ in range(restarts):
        x = renoised(x, levels[low], levels[high], noise)
        x = run(denoise, x, levels[high : low + 1])
    return run(denoise, x, levels[low:]) if low < len(levels) - 1 else x
