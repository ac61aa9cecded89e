"""Spacings: which noise levels a run of n steps visits. Each returns n + 1 levels, the first the range's noisiest, the
last clean; its keyword arguments are its options.

Three coordinates are in use. *Positions* count training timesteps 0 .. T - 1 (flow: (position + 1) / 1000 before the
shift; ve, which has no timesteps: 1,000 of them, evenly in log sigma). *Sigmas* are those of the sampler's frame: the
noise ratio on vp and ve, t on flow, as k-diffusion and ComfyUI have them. *Ratios* are sigma / alpha on every process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...assets.refusal import OutOfRange, Unknown
from .process import FLOW_STEPS, Level, Process
from .published import AYS, AYS_32, GITS
from .special import beta_quantile

Spacing = Callable[..., list[Level]]
Reals = NDArray[np.float64]


def _from_positions(process: Process, positions: Reals) -> list[Level]:
    if process.kind == "vp":
        levels = [process.at(float(p)) for p in positions]
    elif process.kind == "flow":
        levels = [process.at(_shifted((float(p) + 1.0) / FLOW_STEPS, process.shift)) for p in positions]
    else:
        log = np.log(process.low) + (np.log(process.high) - np.log(process.low)) * positions / (FLOW_STEPS - 1)
        levels = [process.level(float(r)) for r in np.exp(log)]
    return [*levels, process.clean]


def _last(process: Process) -> int:
    return len(process.table) - 1 if process.kind == "vp" else FLOW_STEPS - 1


def _ends(process: Process) -> tuple[Level, Level]:
    """The noisiest and the least noisy level of the process's training."""
    noisy, fine, _ = _from_positions(process, np.array([float(_last(process)), 0.0]))
    return noisy, fine


def _sigma_range(process: Process) -> tuple[float, float]:
    noisy, fine = _ends(process)
    return noisy.sigma, fine.sigma


def _from_sigmas(process: Process, sigmas: Reals) -> list[Level]:
    """The first is the noisiest level itself and not nearly: on flow a last bit decides whether it is pure noise."""
    high, low = _sigma_range(process)
    levels = [process.inside(min(max(float(s), low), high)) for s in sigmas[1:]]
    return [_ends(process)[0], *levels, process.clean]


def _ratio_range(process: Process) -> tuple[float, float]:
    """Highest and lowest finite noise ratio; on flow t = 1, which has none, is left to the first step."""
    noisy, fine = _ends(process)
    if noisy.alpha == 0.0:
        noisy = _from_positions(process, np.array([_last(process) - 1.0]))[0]
    return noisy.sigma / noisy.alpha, fine.sigma / fine.alpha


def _from_ratios(process: Process, ratios: Sequence[float] | Reals) -> list[Level]:
    high, _ = _ratio_range(process)
    levels = [process.level(min(float(r), high)) for r in ratios[1:]]
    return [_ends(process)[0], *levels, process.clean]


def normal(process: Process, n: int, whole: bool = False) -> list[Level]:
    """Evenly over the training timesteps, both ends included (ComfyUI's `normal`; `whole`: diffusers' `linspace`)."""
    evenly = np.linspace(0, _last(process), max(n, 2))[::-1]
    return _from_positions(process, _whole(evenly[:n], whole))


def linspace(process: Process, n: int, whole: bool = True) -> list[Level]:
    """`normal` on whole timesteps [diffusers' `linspace`; Lin et al. 2023, table 2, https://arxiv.org/abs/2305.08891]."""
    return normal(process, n, whole)


def simple(process: Process, n: int) -> list[Level]:
    """Every (T / n)-th training timestep, counted from the noisy end (ComfyUI's `simple`)."""
    last = _last(process)
    return _from_positions(process, np.array([last - int(i * (last + 1) / n) for i in range(n)], float))


def sgm_uniform(process: Process, n: int, whole: bool = False) -> list[Level]:
    """Evenly over the training timesteps without the clean end (Stability's generative models; flow: 1, 1 - 1/n, ...).

    `whole`: `linspace` of diffusers' DPM-Solver classes, which drop the lowest of n + 1.
    """
    end = -1 if process.kind == "flow" else 0
    return _from_positions(process, _whole(np.linspace(end, _last(process), n + 1)[:0:-1], whole))


def trailing(process: Process, n: int) -> list[Level]:
    """T - 1, T - 1 - T/n, ...: what few-step models are mostly trained on [Lin et al. 2023, table 2]."""
    steps = _last(process) + 1
    return _from_positions(process, np.round(steps - np.arange(n) * steps / n) - 1)


def ddim_uniform(process: Process, n: int, offset: int = 1, spare: bool = False) -> list[Level]:
    """Multiples of T // n plus `offset`: the leading grid, which never sees pure noise [Lin et al. 2023, table 2].

    ComfyUI's `ddim_uniform` (which may return a step more than asked); diffusers' `leading` with its steps_offset;
    `spare`: that of its DPM-Solver classes, multiples of T // (n + 1) from the first on.
    """
    steps = _last(process) + 1
    grid = (np.arange(n)[::-1] + spare) * (steps // (n + spare)) + offset
    return _from_positions(process, np.clip(grid, 0, steps - 1).astype(float))


def karras(process: Process, n: int, rho: float = 7.0) -> list[Level]:
    """Evenly in sigma^(1/rho) [Karras et al. 2022, eq. 5, https://arxiv.org/abs/2206.00364]."""
    high, low = (s ** (1 / rho) for s in _sigma_range(process))
    return _from_sigmas(process, (high + np.linspace(0, 1, n) * (low - high)) ** rho)


def exponential(process: Process, n: int) -> list[Level]:
    """Evenly in log sigma (k-diffusion)."""
    return polyexponential(process, n)


def polyexponential(process: Process, n: int, rho: float = 1.0) -> list[Level]:
    """log sigma falls as the rho-th power of a line (k-diffusion); rho 1 is `exponential`."""
    high, low = np.log(_sigma_range(process))
    return _from_sigmas(process, np.exp(low + np.linspace(1, 0, n) ** rho * (high - low)))


def log_snr(process: Process, n: int) -> list[Level]:
    """Evenly in log(alpha / sigma) [Lu et al., DPM-Solver, 2022, https://arxiv.org/abs/2206.00927; diffusers' lu lambdas].

    The same as `exponential` on vp and ve; on flow, t = 1 comes first and the rest is even from 0.999.
    """
    high, low = np.log(_ratio_range(process))
    return _from_ratios(process, np.exp(np.linspace(high, low, n)))


def beta(process: Process, n: int, alpha: float = 0.6, beta: float = 0.6, over: str = "timesteps") -> list[Level]:
    """At quantiles of a beta distribution over the training timesteps: dense at both ends.

    Whole timesteps, as long as no two are the same. `over` "sigmas" is diffusers' form, over sigma with both ends. Lee, Lee, Lee, "Beta sampling is all you need", 2024,
    https://arxiv.org/abs/2407.12173
    """
    for name, shape in (("alpha", alpha), ("beta", beta)):
        if not 0.1 <= shape <= 10:
            raise OutOfRange(f"spacing.{name}", shape, "a number from 0.1 to 10")
    if over == "sigmas":
        high, low = _sigma_range(process)
        return _from_sigmas(process, low + beta_quantile(1 - np.linspace(0, 1, n), alpha, beta) * (high - low))
    if over != "timesteps":
        raise Unknown("spacing.over", over, ("timesteps", "sigmas"))
    positions = beta_quantile(1 - np.linspace(0, 1, n, endpoint=False), alpha, beta) * _last(process)
    whole = np.rint(positions)
    return _from_positions(process, whole if np.all(np.diff(whole) < 0) else positions)


def linear_quadratic(process: Process, n: int, threshold: float = 0.025) -> list[Level]:
    """Half of the steps run linearly from the noisiest sigma over the share `threshold` of it, the others
    quadratically to the clean end, value and slope joined (Mochi 1, Genmo 2024, https://github.com/genmoai/mochi)."""
    linear = n // 2
    i = np.arange(n, dtype=float)
    if linear:
        slope, rest = threshold / linear, n - linear
        curve = (1.0 - slope * n) / rest**2
        fallen = np.where(i < linear, slope * i, slope * i + curve * (i - linear) ** 2)
    else:
        fallen = np.zeros(n)
    return _from_sigmas(process, (1.0 - fallen) * _sigma_range(process)[0])


def kl_optimal(process: Process, n: int) -> list[Level]:
    """Evenly in the angle atan(sigma): least KL divergence for Gaussian data [Sabour et al. 2024, theorem 3.1,
    https://arxiv.org/abs/2404.14507]."""
    high, low = (math.atan(s) for s in _sigma_range(process))
    return _from_sigmas(process, np.tan(np.linspace(high, low, n)))


def cosine(process: Process, n: int, shift: float = 1.0) -> list[Level]:
    """Even times of the cosine schedule, ratio = shift tan(pi t / 2), whatever the training's own schedule was.

    Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", 2021, https://arxiv.org/abs/2102.09672, shifted
    as Hoogeboom, Heek, Salimans, "Simple diffusion", 2023, https://arxiv.org/abs/2301.11093. With shift 1 it is
    `kl_optimal` on vp and ve.
    """
    high, low = (math.atan(ratio / shift) for ratio in _ratio_range(process))
    return _from_ratios(process, shift * np.tan(np.linspace(high, low, n)))


def laplace(process: Process, n: int, mu: float = 0.0, beta: float = 0.5) -> list[Level]:
    """At quantiles of a Laplace distribution of log(sigma / alpha): dense around mu.

    Hang, Gu, Geng, Guo, "Improved noise schedule for diffusion training", 2024, https://arxiv.org/abs/2407.03297, in
    k-diffusion's form (1e-5 keeps the logarithm finite).
    """
    x = np.linspace(0, 1, n)
    log = mu - beta * np.sign(0.5 - x) * np.log(1 - 2 * np.abs(0.5 - x) + 1e-5)
    return _from_ratios(process, np.maximum(np.exp(log), _ratio_range(process)[1]))


def ays(process: Process, n: int, model: str = "sd1") -> list[Level]:
    """Align your steps for `model` sd1, sdxl or svd: the published ten, other counts log-linearly between them.

    Sabour, Fidler, Kreis, 2024, https://arxiv.org/abs/2404.14507
    """
    return _from_ratios(process, log_linear(_one_of(AYS, model), n + 1)[:-1])


def ays_32(process: Process, n: int, model: str = "sd1") -> list[Level]:
    """The 32-step table of `ays` for `model` sd1 or sdxl; other counts log-linearly between. Its last levels lie below
    what those models were trained on: they are told timestep 0."""
    return _from_ratios(process, log_linear(_one_of(AYS_32, model), n))


def gits(process: Process, n: int) -> list[Level]:
    """Geometry-inspired time scheduling, the published table of sd1 (coefficient 1.20); above 20 steps log-linear.

    Chen et al. 2024, https://arxiv.org/abs/2405.11326. For a bundle of your own compute it: `cadenza.exporters.fit`.
    """
    return _from_ratios(process, log_linear(GITS[min(max(n, 2), max(GITS))], n + 1)[:-1])


def flow_shift(process: Process, n: int, shift: float = 3.0) -> list[Level]:
    """`sgm_uniform` with t = s t / (1 + (s - 1) t), `shift` in place of the process's own; other processes: over T.

    Esser et al., "Scaling rectified flow transformers for high-resolution image synthesis", 2024, eq. 23,
    https://arxiv.org/abs/2403.03206
    """
    times = [_shifted(1.0 - i / n, shift) for i in range(n)]
    if process.kind == "flow":
        return [*map(process.at, times), process.clean]
    return _from_positions(process, np.array(times) * (_last(process) + 1) - 1)


def dynamic_shift(process: Process, n: int, tokens: int = 4096, base: float = 0.5, most: float = 1.15) -> list[Level]:
    """`flow_shift` by e^mu, mu a line from `base` at 256 tokens to `most` at 4096; a recipe fills in its own tokens.

    Flux's rule (Black Forest Labs 2024, https://github.com/black-forest-labs/flux): a token is 2 x 2 latent cells.
    """
    mu = base + (most - base) * (tokens - 256) / (4096 - 256)
    return flow_shift(process, n, math.exp(mu))


def lcm(process: Process, n: int, original: int = 50) -> list[Level]:
    """Latent consistency models' grid: n of the `original` timesteps their distillation used; TCD's is the same.

    Luo et al. 2023, https://arxiv.org/abs/2310.04378; Zheng et al. 2024, https://arxiv.org/abs/2402.19159
    """
    steps = _last(process) + 1
    if not n <= original <= steps:
        raise OutOfRange("steps", n, f"at most spacing.original, which is {original} and itself at most {steps}")
    grid = np.arange(1, original + 1)[::-1] * (steps // original) - 1
    return _from_positions(
        process, grid[np.floor(np.linspace(0, original, n, endpoint=False)).astype(int)].astype(float)
    )


def log_linear(table: Sequence[float], n: int) -> Reals:
    """n falling numbers along a falling table, their logarithms on straight lines between its entries; the ends stay."""
    if n == len(table):
        return np.array(table)
    at = np.linspace(0, 1, len(table))
    along: Reals = np.exp(np.interp(np.linspace(0, 1, n), at, np.log(table)))
    return along


def _shifted(t: float, shift: float) -> float:
    return shift * t / (1.0 + (shift - 1.0) * t)


def _whole(positions: Reals, whole: bool) -> Reals:
    return np.round(positions) if whole else positions


def _one_of(tables: dict[str, tuple[float, ...]], model: str) -> tuple[float, ...]:
    if model not in tables:
        raise Unknown("spacing.model", model, tables)
    return tables[model]


SPACINGS: dict[str, Spacing] = {
    "normal": normal,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "ddim_uniform": ddim_uniform,
    "linspace": linspace,
    "trailing": trailing,
    "karras": karras,
    "exponential": exponential,
    "polyexponential": polyexponential,
    "beta": beta,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
    "ays": ays,
    "ays_32": ays_32,
    "gits": gits,
    "log_snr": log_snr,
    "cosine": cosine,
    "laplace": laplace,
    "flow_shift": flow_shift,
    "dynamic_shift": dynamic_shift,
    "lcm": lcm,
}
