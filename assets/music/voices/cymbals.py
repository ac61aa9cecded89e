"""Hats and cymbals: many narrow lines between noise, in one inverse transform, dying band by band."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..signal import Wave, decay, fade_in, fade_out, placed, size_for, top, white


@dataclass(frozen=True)
class Metal:
    """low, high  Hz of where it shines; ring  seconds of its lower part, the highest falls three times as fast
    lines  how many tones stand out of the noise, 0 for none, and `noise` the level of the noise between
    swell  seconds until it is loudest: 0.001 for a stroke
    """

    low: float
    high: float
    ring: float
    lines: int = 40
    noise: float = 0.5
    swell: float = 0.0008
    side: float = 0.0
    level: float = 0.2


def metal(drum: Metal, layer: int, seed: int, rate: int) -> Wave:
    frames = int(rate * min(4.0, drum.ring * 6 + drum.swell + 0.02))
    size = size_for(frames)
    lines = np.full(size // 2 + 1, drum.noise, np.float32)
    if drum.lines:
        places = (white(seed + 7, drum.lines).astype(np.float64) + 1) / 2  # the same lines in both ears
        tones = drum.low * 0.8 * (drum.high / drum.low) ** places
        lines[np.minimum((tones * size / rate).astype(int), len(lines) - 1)] += math.sqrt(len(lines) / drum.lines)
    out = np.zeros((2, frames), np.float32)
    for side in (0, 1):
        turn = white(seed + side, len(lines)) * np.float32(math.pi)
        spectrum = np.empty(len(lines), np.complex64)
        spectrum.real, spectrum.imag = np.cos(turn), np.sin(turn)
        spectrum *= lines
        for shine, fall in zip(*_bands(drum, layer, frames, rate), strict=True):
            out[side] += np.fft.irfft(spectrum * shine, size)[:frames] * fall
    middle = out[0] + out[1]
    out += 0.5 * middle
    fade_in(out, max(8, int(drum.swell * rate)))
    fade_out(out, frames // 8)
    out *= placed(np.ones(1, np.float32), drum.side)
    return out * np.float32(drum.level / float(np.abs(out).max()))


@lru_cache(maxsize=2)
def _bands(drum: Metal, layer: int, frames: int, rate: int) -> tuple[list[Wave], list[Wave]]:
    """Of the lower, the middle and the highest band: gains by frequency, and how each falls. Kept for the takes of a stroke."""
    size = size_for(frames)
    at = np.maximum(np.arange(size // 2 + 1) * (rate / size), 1)
    shine = 1 / np.sqrt((1 + (drum.low / at) ** 8) * (1 + (at / (drum.high * (0.6, 0.8, 1)[layer])) ** 6))
    shine /= 1 + (at / top(rate)) ** 40
    edges = [drum.low * (drum.high / drum.low) ** (k / 3) for k in (1, 2)]
    over = [1 / (1 + (edge / at) ** 6) for edge in edges]
    above = [np.ones(len(at)), *over, np.zeros(len(at))]
    gains = [(shine * (above[k] - above[k + 1])).astype(np.float32) for k in range(3)]
    return gains, [decay(frames, rate, drum.ring / each) for each in (1, 1.7, 3)]
