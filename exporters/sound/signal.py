"""What the synthesiser is made of: circular noise, slow curves, damped modes and grains, all float64 (samples,)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RATE = 32_000
"""Samples a second. Sounds of games hold little above 16 kHz, and half of what 44.1 kHz adds to every clip is of that."""
Wave = NDArray[np.float64]
Draw = np.random.Generator


def seconds_of(samples: int) -> Wave:
    """The time of each sample, seconds."""
    return np.arange(samples, dtype=np.float64) / RATE


def filtered(wave: Wave, response: Callable[[Wave], Wave]) -> Wave:
    """The wave, taken as one period, through a filter of this amplitude response over Hz; no phase, no DC."""
    spectrum = np.fft.rfft(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE).astype(np.float64)
    spectrum[1:] *= response(hertz[1:])
    spectrum[0] = 0.0
    return np.fft.irfft(spectrum, len(wave))


def noise(draw: Draw, samples: int, response: Callable[[Wave], Wave]) -> Wave:
    """Periodic noise of unit power with this spectrum."""
    made = filtered(draw.standard_normal(samples), response)
    return made / max(float(np.sqrt(np.mean(made**2))), 1e-9)


def band(low: float, high: float, order: float = 2.0) -> Callable[[Wave], Wave]:
    """The response of a band from `low` to `high` Hz, which falls by 6 dB an octave and order outside."""
    return lambda hertz: 1 / np.sqrt((1 + (low / hertz) ** (2 * order)) * (1 + (hertz / high) ** (2 * order)))


def slow(draw: Draw, samples: int, fastest: float) -> Wave:
    """A smooth random curve around 0 of unit power, periodic, with nothing faster than `fastest` Hz."""
    count = max(1, int(fastest * samples / RATE))
    turns = np.arange(1, count + 1)
    weights = draw.standard_normal((2, count)) / np.sqrt(turns)
    spectrum = np.zeros(samples // 2 + 1, np.complex128)
    spectrum[1 : count + 1] = weights[0] + 1j * weights[1]
    curve = np.fft.irfft(spectrum, samples)
    return curve / max(float(curve.std()), 1e-12)


def modes(samples: int, hertz: ArrayLike, decay: ArrayLike, weight: ArrayLike, phase: ArrayLike = 0.0) -> Wave:
    """Struck modes from sample 0 on: sines of `hertz` that fall by e in `decay` seconds."""
    f, d, w, p = np.broadcast_arrays(np.asarray(hertz, float), decay, weight, phase)
    t = seconds_of(samples)
    made = np.zeros(samples)
    for one in range(len(f)):
        if f[one] < 0.45 * RATE:
            until = min(samples, int(9 * d[one] * RATE) + 1)
            span = t[:until]
            made[:until] += w[one] * np.exp(-span / d[one]) * np.sin(2 * np.pi * f[one] * span + p[one])
    return made


def scatter(samples: int, grains: Sequence[Wave], places: Sequence[int]) -> Wave:
    """Grains added at these samples; what runs over the end comes in at the beginning."""
    made = np.zeros(samples)
    for grain, place in zip(grains, places, strict=True):
        grain = grain[:samples]
        end = min(samples - place, len(grain))
        made[place : place + end] += grain[:end]
        made[: len(grain) - end] += grain[end:]
    return made


def fall(samples: int, decay: float, attack: float = 0.001) -> Wave:
    """An envelope that rises in `attack` seconds and falls by e in `decay` seconds."""
    t = seconds_of(samples)
    return np.minimum(1.0, t / attack) * np.exp(-t / decay)


def glide(samples: int, start: float, end: float, decay: float) -> Wave:
    """A sine that glides from `start` to `end` Hz, by e in `decay` seconds."""
    hertz = end + (start - end) * np.exp(-seconds_of(samples) / decay)
    return np.sin(2 * np.pi * np.cumsum(np.minimum(hertz, 0.45 * RATE)) / RATE)
