"""Hats and cymbals: many narrow lines between noise, in one inverse transform, dying band by band."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..signal import Wave, decay, fade_in, fade_out, placed, size_for, top, white


@dataclass(frozen=True)
class Metal:
    """low, high  Hz of where it shines; ring  seconds of its lower part, the highest falls three times as fast
    lines  how many tones stand out of the noise, 0 for none, and `noise` the level of the noise between
    swell  seconds until it is loudest: 0.001 for a stroke; choked  seconds after which a hand stops it, or 0
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
    at = np.arange(size // 2 + 1) * (rate / size)
    shine = (
        1
        / np.sqrt(1 + (drum.low / np.maximum(at, 1)) ** 8)
        / np.sqrt(1 + (at / (drum.high * (0.6, 0.8, 1)[layer])) ** 6)
    )
    shine *= 1 / (1 + (at / top(rate)) ** 40)
    out = np.zeros((2, frames), np.float32)
    edges = [drum.low * (drum.high / drum.low) ** (k / 3) for k in (1, 2)]
    over = [np.float32(1) / (1 + (edge / np.maximum(at, 1)) ** 6).astype(np.float32) for edge in edges]
    above = [np.ones(len(at), np.float32), *over, np.zeros(len(at), np.float32)]
    for side in (0, 1):
        turn = white(seed + side, len(at)).astype(np.float64) * math.pi
        strength = np.full(len(at), drum.noise)
        if drum.lines:
            places = (white(seed + 7, drum.lines).astype(np.float64) + 1) / 2  # the same lines in both ears
            tones = drum.low * 0.8 * (drum.high / drum.low) ** places
            strength[np.minimum((tones * size / rate).astype(int), len(at) - 1)] += math.sqrt(len(at) / drum.lines)
        spectrum = (shine * strength * np.exp(1j * turn)).astype(np.complex64)
        for k in range(3):  # the lower, the middle and the highest band, each with its own fall
            part = np.fft.irfft(spectrum * (above[k] - above[k + 1]), size)[:frames].astype(np.float32)
            out[side] += part * decay(frames, rate, drum.ring / (1, 1.7, 3)[k])
    middle = out[0] + out[1]
    out += 0.5 * middle
    fade_in(out, max(8, int(drum.swell * rate)))
    fade_out(out, frames // 8)
    out *= placed(np.ones(1, np.float32), drum.side)
    return out * np.float32(drum.level / float(np.abs(out).max()))
