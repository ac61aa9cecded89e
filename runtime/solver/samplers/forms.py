"""Forms: what turns one sampler into another. A form is a function that is given the sampler and runs it as it likes.

`run(denoise, x, levels)` is the inner sampler with its own dials already in it. Forms that call it a step at a time suit
one-step methods only, which remember nothing.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..process import Level, Process, pairs
from ..tracing import Denoise, Estimates, Noise, Vector

Run = Callable[..., Vector]


def wear(run: Run, form: Run, about: str) -> Run:
    """The sampler `run` in a form: both their dials and whatever either asks to be given. `about` is its docstring."""
    inner, outer = (inspect.signature(f, eval_str=True).parameters for f in (run, form))

    def worn(denoise: Denoise, x: Vector, levels: Sequence[Level], **given: Any) -> Vector:
        own = {name: value for name, value in given.items() if name in outer}
        bound = functools.partial(run, **{name: value for name, value in given.items() if name in inner})
        return form(bound, denoise, x, levels, **own)

    merged = {**inner, **{name: parameter for name, parameter in outer.items() if name != "run"}}
    named = sorted(merged.values(), key=lambda p: p.default is not inspect.Parameter.empty)
    worn.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    worn.__doc__ = about
    return worn


def split(here: Level, there: Level, eta: float) -> tuple[float, float]:
    """(kept, fresh) deviations after a step: eta 1 is the reverse of the noising process, 0 the ODE.

    fresh = eta sigma' sqrt(1 - e^-2h), e^-h = (alpha sigma') / (alpha' sigma); it holds on any process, pure noise included.
    """
    decay = here.alpha * there.sigma / (there.alpha * here.sigma)
    fresh = min(there.sigma, eta * there.sigma * math.sqrt(1.0 - decay * decay))
    return math.sqrt(there.sigma**2 - fresh**2), fresh


def ancestral(
    run: Run,
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    eta: float = 1.0,
) -> Vector:
    """Each step goes to a lower level and noise brings it back up, by the variances of `split`. For one-step methods."""
    for here, there in pairs(levels):
        kept, fresh = split(here, there, eta)
        down = there if fresh == 0 else process.level(kept / there.alpha)
        x = run(denoise, x, [here, down])
        if fresh > 0:
            x = (there.alpha / down.alpha) * x + fresh * noise(here, there)
    return x


def churn(
    run: Run,
    denoise: Denoise,
    x: Vector,
    levels: Sequence[Level],
    noise: Noise,
    process: Process,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = 999.0,
) -> Vector:
    """Noise is added before each step whose noise ratio is from s_tmin to s_tmax, and the step starts higher.

    Karras et al. 2022, algorithm 2, https://arxiv.org/abs/2206.00364. For one-step methods.
    """
    for here, there in pairs(levels):
        x, higher = churned(x, here, noise, process, s_churn / (len(levels) - 1), s_tmin, s_tmax)
        x = run(within(denoise, here), x, [higher, there])
    return x


def within(denoise: Denoise, here: Level) -> Denoise:
    """Levels that noise has raised above `here` belong to the step that begins there, as guidance goes by steps."""
    return lambda x, level: denoise(x, level._replace(begun=here.sigma) if level.sigma > here.sigma else level)


def churned(
    x: Vector, here: Level, noise: Noise, process: Process, amount: float, s_tmin: float, s_tmax: float
) -> tuple[Vector, Level]:
    """x raised to a noise ratio higher by the part `amount`, at most sqrt(2) - 1 and not above the training's."""
    ratio = here.noise_ratio
    if amount == 0 or math.isinf(ratio) or not s_tmin <= ratio <= s_tmax:
        return x, here
    higher = process.level(min(ratio * (1.0 + min(amount, math.sqrt(2.0) - 1.0)), max(process.top, ratio)))
    return renoised(x, here, higher, noise), higher


def renoised(x: Vector, here: Level, higher: Level, noise: Noise) -> Vector:
    """x taken up to a higher level by the noising process itself; its noise is new even where the path is Brownian."""
    scale = higher.alpha / here.alpha
    fresh = math.sqrt(max(higher.sigma**2 - (scale * here.sigma) ** 2, 0.0))
    return scale * x + fresh * noise(here, higher) if fresh > 0 else x


def cfg_pp(run: Run, denoise: Denoise, x: Vector, levels: Sequence[Level], estimates: Estimates) -> Vector:
    """CFG++: denoise under guidance, put back the noise that the model sees without the condition.

    Where a method forms (x - alpha denoised) / sigma it must get the unconditional noise, so the latent it holds is moved
    by alpha (guided - unconditional) at each evaluation; the method itself stays as it is.
    Chung, Kim, Park, Nam, Ye, "CFG++: manifold-constrained classifier free guidance for diffusion models", 2024,
    https://arxiv.org/abs/2406.08070
    """

    def moved(x: Vector, level: Level) -> Vector:
        guided, unconditional = estimates(x, level)
        x += level.alpha * (guided - unconditional)
        return guided

    return run(moved, x, levels)
