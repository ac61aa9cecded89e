"""Loudness by ITU-R BS.1770-4, measured around the loop: the last blocks go on at the beginning, as the listener hears it.

https://www.itu.int/rec/R-REC-BS.1770. The two filters are given there for 48 kHz only; for other rates they are made from the same
analogue prototypes (F. De Man, Evaluation of implementations of the EBU R128 loudness measurement, AES 2018).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .signal import Wave

BLOCK = 1 << 15
WARM = 8192
"""Samples in which the filters forget: their slowest pole falls by 230 dB."""
SILENCE = -70.0
"""LUFS below which a block counts as silent."""


def loudness(sound: Wave, rate: int) -> float:
    """Integrated loudness in LUFS of a loop, float32 (2, frames); minus infinity where nothing passes the gate."""
    steps = _steps(sound, rate)
    blocks = (steps + np.roll(steps, -1) + np.roll(steps, -2) + np.roll(steps, -3)) / 4
    with np.errstate(divide="ignore"):
        loud = -0.691 + 10 * np.log10(blocks)
    heard = blocks[loud > SILENCE]
    if not len(heard):
        return -math.inf
    gate = -0.691 + 10 * math.log10(float(heard.mean())) - 10
    kept = blocks[(loud > SILENCE) & (loud > gate)]
    return -0.691 + 10 * math.log10(float(kept.mean()))


def _steps(sound: Wave, rate: int) -> NDArray[np.float64]:
    """Weighted power, both channels added, of each tenth of a second: the loop is divided evenly, so that they close the circle."""
    frames = sound.shape[1]
    energy = np.empty(frames)
    size = BLOCK
    weight = _weight(rate, size)
    for start in range(0, frames, size - WARM):
        end = min(start + size - WARM, frames)
        pair = np.zeros(size, np.complex128)  # left and right as real and imaginary part: one transform for both
        index = np.arange(start - WARM, end) % frames if start < WARM else slice(start - WARM, end)
        pair.real[: end - start + WARM] = sound[0, index]
        pair.imag[: end - start + WARM] = sound[1, index]
        weighted = np.fft.ifft(np.fft.fft(pair) * weight)[WARM : end - start + WARM]
        energy[start:end] = weighted.real**2 + weighted.imag**2
    count = max(1, round(frames / (0.1 * rate)))
    edges = np.array([(2 * k * frames + count) // (2 * count) for k in range(count + 1)])
    return np.asarray(np.add.reduceat(energy, edges[:-1]) / np.diff(edges))


@lru_cache(maxsize=8)
def _weight(rate: int, size: int) -> NDArray[np.complex128]:
    """The response of both filters at the bins of a transform, (size,)."""
    turn = np.exp(-2j * np.pi * np.fft.fftfreq(size))
    total = np.ones(size, np.complex128)
    for above, below in k_filters(rate):
        total *= (above[0] + above[1] * turn + above[2] * turn**2) / (below[0] + below[1] * turn + below[2] * turn**2)
    return total


def k_filters(rate: int) -> tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]:
    """(numerator, denominator) of the shelf for the head and of the high-pass, as second-order sections in z^-1."""
    gain, quality, centre = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * centre / rate)
    high = 10 ** (gain / 20)
    middle = high**0.4996667741545416
    norm = 1 + k / quality + k * k
    shelf = (
        (
            (high + middle * k / quality + k * k) / norm,
            2 * (k * k - high) / norm,
            (high - middle * k / quality + k * k) / norm,
        ),
        (1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm),
    )
    quality, centre = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * centre / rate)
    norm = 1 + k / quality + k * k
    return shelf, ((1.0, -2.0, 1.0), (1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm))
