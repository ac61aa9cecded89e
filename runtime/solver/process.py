"""Processes: what noise does to a clean latent, x = alpha x0 + sigma noise, and what the model is told about it.

Samplers work on x / scale, in a frame where the formulas read like the papers: variance-preserving and -exploding
processes divide by alpha (frame alpha 1, frame sigma the noise ratio; the coordinates of Karras et al. 2022, "Elucidating
the design space of diffusion-based generative models", https://arxiv.org/abs/2206.00364), flow models by alpha + sigma,
which is 1 (frame alpha 1 - t, frame sigma t), so that t = 1 is finite; trigonometric ones too. In both, dx / d sigma = (x - denoised) / sigma.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...assets.refusal import OutOfRange, WrongType

Kind = Literal["vp", "ve", "flow", "trig"]
FLOW_STEPS = 1000
"""Training steps that flow models count, as SD3 and Flux do; the smallest time of a named spacing is 1 / 1000."""


class Level(NamedTuple):
    """One noise level: alpha and sigma in the sampler's frame, `scale` back to the process, `time` told to the model.

    `begun` is the sigma of the level whose step it belongs to, where noise has raised it above that.
    """

    alpha: float
    sigma: float
    scale: float
    time: float
    begun: float | None = None

    @property
    def ratio(self) -> float:
        """Frame sigma, the variable of the Runge-Kutta methods."""
        return self.sigma

    @property
    def noise_ratio(self) -> float:
        """sigma / alpha on every process (the "sigma" of k-diffusion); infinite where there is only noise."""
        return self.sigma / self.alpha if self.alpha else math.inf

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma), half the logarithm of the signal-to-noise ratio; infinite at either end."""
        if self.alpha == 0.0:
            return -math.inf
        return math.inf if self.sigma == 0.0 else math.log(self.alpha / self.sigma)


@dataclass(frozen=True)
class Process:
    """Made by `Process.vp`, `.ve`, `.flow` or `.trig`. `table` is log(sigma / alpha) at each training timestep (vp)."""

    kind: Kind
    table: tuple[float, ...] = ()
    shift: float = 1.0
    low: float = 0.002  # the noise ratios that named spacings span on ve and trig
    high: float = 80.0

    @staticmethod
    def vp(alphas_cumprod: ArrayLike) -> Process:
        """Variance preserving: alpha^2 = alphas_cumprod (T,), falling, each in (0, 1); sigma^2 = 1 - alpha^2."""
        values = np.asarray(alphas_cumprod, np.float64)
        if values.ndim != 1 or values.size < 2:
            raise WrongType("alphas_cumprod", alphas_cumprod, "a list of at least two numbers")
        if not (np.all(values > 0) and np.all(values < 1) and np.all(np.diff(values) < 0)):
            raise OutOfRange("alphas_cumprod", values[[0, -1]].tolist(), "numbers strictly between 0 and 1 that fall")
        return Process("vp", tuple((0.5 * np.log((1 - values) / values)).tolist()))

    @staticmethod
    def ve(sigma_min: float = 0.002, sigma_max: float = 80.0) -> Process:
        """Variance exploding: alpha = 1, sigma the noise ratio itself; named spacings span sigma_min to sigma_max."""
        if not 0 < sigma_min < sigma_max < math.inf:
            raise OutOfRange("sigma_min", (sigma_min, sigma_max), "0 < sigma_min < sigma_max")
        return Process("ve", low=float(sigma_min), high=float(sigma_max))

    @staticmethod
    def flow(shift: float = 1.0) -> Process:
        """Flow matching: alpha = 1 - t, sigma = t; named spacings are shifted, t = s t / (1 + (s - 1) t)."""
        if not 0 < shift < math.inf:
            raise OutOfRange("shift", shift, "a number above 0")
        return Process("flow", shift=float(shift))

    @staticmethod
    def trig() -> Process:
        """TrigFlow: alpha = cos t, sigma = sin t for data of unit deviation; the model is told t in [0, pi / 2], and its
        output, cos t noise - sin t x0, is prediction v. Lu, Song 2024, https://arxiv.org/abs/2410.11081
        """
        return Process("trig")

    def level(self, ratio: float) -> Level:
        """The level of a noise ratio sigma / alpha, 0 to infinity (infinity, pure noise, on flow and trig only)."""
        if self.kind == "trig":
            t = math.atan(ratio)
            scale = 1.0 if math.isinf(ratio) else math.cos(t) + math.sin(t)
            return Level(0.0 if math.isinf(ratio) else math.cos(t) / scale, math.sin(t) / scale, scale, t)
        if self.kind == "flow":
            t = 1.0 if math.isinf(ratio) else ratio / (1.0 + ratio)
            return Level(1.0 - t, t, 1.0, t)
        if math.isinf(ratio):
            raise OutOfRange("spacing", ratio, f"a finite noise ratio on a {self.kind} process")
        if self.kind == "ve":
            return Level(1.0, ratio, 1.0, ratio)
        return Level(1.0, ratio, 1.0 / math.sqrt(1.0 + ratio * ratio), self._timestep(ratio))

    def at(self, time: float) -> Level:
        """The level of what the model is told: vp a training timestep, ve a noise ratio, flow t in [0, 1]."""
        if self.kind == "flow":
            if not 0 <= time <= 1:
                raise OutOfRange("times", time, "a flow time from 0 to 1")
            return Level(1.0 - time, time, 1.0, time)
        if self.kind == "trig":
            if not 0 <= time <= 1.5708:  # published tables round pi / 2 up
                raise OutOfRange("times", time, "an angle from 0 to pi / 2")
            return self.level(math.inf if time > math.pi / 2 - 1e-6 else math.tan(time))
        if self.kind == "ve":
            return self.level(time)
        if not 0 <= time <= len(self.table) - 1:
            raise OutOfRange("times", time, f"a training timestep from 0 to {len(self.table) - 1}")
        before = min(int(time), len(self.table) - 2)
        ratio = math.exp(self.table[before] + (time - before) * (self.table[before + 1] - self.table[before]))
        return Level(1.0, ratio, 1.0 / math.sqrt(1.0 + ratio * ratio), float(time))

    def inside(self, sigma: float) -> Level:
        """The level of a frame sigma, such as a stage between two levels."""
        if self.kind == "trig":
            return self.level(sigma / (1.0 - sigma) if sigma < 1.0 else math.inf)
        return self.at(sigma) if self.kind == "flow" else self.level(sigma)

    @property
    def top(self) -> float:
        """The largest noise ratio that there is: the training's on vp; others have no end."""
        return math.exp(self.table[-1]) if self.kind == "vp" else math.inf

    @property
    def clean(self) -> Level:
        return self.level(0.0)

    def start_scale(self, level: Level) -> float:
        """Deviation of the first latent in the frame: unit variance on vp, as its models were trained; else sigma."""
        return 1.0 / level.scale if self.kind == "vp" else level.sigma

    def _timestep(self, ratio: float) -> float:
        if ratio == 0.0:
            return 0.0
        if ratio > self.top * 1.001:
            raise OutOfRange("spacing", ratio, f"a noise ratio of at most {self.top:.6g}, the training's largest")
        log = min(max(math.log(ratio), self.table[0]), self.table[-1])
        after = max(bisect_left(self.table, log), 1)
        low, high = self.table[after - 1], self.table[after]
        return after - 1 + (log - low) / (high - low)


def coefficients(prediction: str, level: Level) -> tuple[float, float]:
    """(a, b) with denoised = a x + b raw, where x and raw are in the process's own units."""
    alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
    if prediction == "x0":
        return 0.0, 1.0
    if prediction == "epsilon":
        if alpha == 0.0:
            raise OutOfRange("prediction", prediction, "v, x0 or flow where the first level is pure noise")
        return 1.0 / alpha, -sigma / alpha
    if prediction == "v":  # v = alpha noise - sigma x0
        total = alpha * alpha + sigma * sigma
        return alpha / total, -sigma / total
    return 1.0 / (alpha + sigma), -sigma / (alpha + sigma)  # flow: noise - x0


def zero_terminal_snr(alphas_cumprod: ArrayLike) -> NDArray[np.float64]:
    """alphas_cumprod (T,) rescaled so that the last timestep is pure noise and the first is as it was.

    Lin, Liu, Li, Yang, "Common diffusion noise schedules and sample steps are flawed", 2023, algorithm 1,
    https://arxiv.org/abs/2305.08891. The last value is 2^-24 and not 0, as in diffusers: the noise ratio stays finite
    (4096). Such models predict v or x0.
    """
    root = np.sqrt(np.asarray(alphas_cumprod, np.float64))
    rescaled: NDArray[np.float64] = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = 2.0**-24
    return rescaled


PREDICTIONS = ("epsilon", "v", "x0", "flow")


def pairs(levels: Sequence[Level]) -> list[tuple[Level, Level]]:
    return list(zip(levels[:-1], levels[1:], strict=True))
