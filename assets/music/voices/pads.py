"""Pads, strings and choirs as one long inverse transform that repeats without a seam: every partial is a narrow band of random phase.

The method is P. N. Octavian's PADsynth algorithm, 2006, which its author gave to the public domain. The bands widen with the
partials, as those of many players do. Left and right stand apart the further the higher a partial is, as between two microphones
in a hall: with phases of their own at all frequencies a note would lose its lowest partials where both ears are one loudspeaker.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..signal import Wave, fade_in, hertz, top, white
from .base import Voice

LOOP = 1 << 18
"""Samples until a pad repeats: 5.5 s at 48 kHz. The note is the nearest whole number of waves: 2 cents off at most from E2 up."""
SHIMMER = 0.12
"""Power of a partial's band against its middle line: with no line at all, low notes would come and go."""
APART = 1200.0
"""Hz from which on the phases of left and right have nothing to do with each other."""

Amplitudes = NDArray[np.float64]


def _vowel(*formants: tuple[float, float, float]) -> Callable[[Amplitudes, Amplitudes], Amplitudes]:
    """A voice: a saw-like source through resonances (Hz, width, level)."""

    def level(h: Amplitudes, at: Amplitudes) -> Amplitudes:
        total = np.full_like(at, 0.02)
        for centre, width, gain in formants:
            total += gain * np.exp(-(((at - centre) / width) ** 2))
        return np.asarray(total / h**0.7)

    return level


TIMBRES: dict[str, Callable[[Amplitudes, Amplitudes], Amplitudes]] = {
    "warm": lambda h, at: h**-1.9,
    "strings": lambda h, at: h**-1.05 / (1 + (at / 4200) ** 2),
    "dark": lambda h, at: h**-1.3 / (1 + (at / 700) ** 2),
    "glass": lambda h, at: np.select([h == 1, h == 2, h == 3, h == 5, h == 8], [1, 0.45, 0.3, 0.22, 0.12], 0.0),
    "air": lambda h, at: h**-1.4 * (1 + 0.5 * (h % 2 == 0)) / (1 + (at / 6000) ** 2),
    "brass": lambda h, at: h**-0.8 / (1 + (at / 2300) ** 4),
    "choir": _vowel((650, 180, 1.0), (1080, 220, 0.5), (2650, 400, 0.12), (3400, 600, 0.06)),
    "low choir": _vowel((420, 150, 1.0), (850, 200, 0.45), (2400, 400, 0.08)),
    "organ": lambda h, at: np.select(
        [h == 1, h == 2, h == 3, h == 4, h == 6, h == 8], [1, 0.6, 0.3, 0.35, 0.1, 0.1], 0.0
    ),
}
"""Amplitude by the number of the partial and by its frequency in Hz."""


@dataclass(frozen=True)
class Pad:
    """timbre  a name of TIMBRES; cents: width of the first partial's band; attack in seconds; (seconds, level) of the fall
    while it is held; bright: exponent by which softer layers lose overtones."""

    timbre: str
    cents: float = 28
    attack: float = 0.25
    fall: tuple[float, float] = (2.0, 0.85)
    bright: float = 0.35


def pad(patch: Pad, release: float = 0.6) -> Voice:
    """A voice that plays the pad for as long as the key is held."""

    def loop_of(pitch: int, layer: int, rate: int) -> Wave:
        return _loop(patch.timbre, patch.cents, patch.bright * (2 - layer), pitch, rate)

    def make(pitch: int, layer: int, frames: int, rate: int) -> Wave:
        loop = loop_of(pitch, layer, rate)
        times, rest = divmod(frames, LOOP)
        out = np.concatenate([*[loop] * times, loop[:, :rest]], axis=1)
        span, level = patch.fall
        time = np.arange(frames, dtype=np.float32) / np.float32(rate)
        out *= np.float32(level) + np.float32(1 - level) * np.exp(time * np.float32(-1 / span))
        return fade_in(out, int(patch.attack * rate * (1.2, 1.0, 0.7)[layer]))

    return Voice(make, release, shared=loop_of)


@lru_cache(maxsize=8)
def _loop(timbre: str, cents: float, darker: float, pitch: int, rate: int) -> Wave:
    """(2, LOOP) at the level of `signal.LEVEL`."""
    frequency = hertz(pitch)
    step = rate / LOOP
    count = max(1, int(top(rate) / frequency))
    partials = np.arange(1, count + 1, dtype=np.float64)
    levels = TIMBRES[timbre](partials, partials * frequency) * partials**-darker
    shape = np.zeros(LOOP // 2 + 1)
    for partial, level in zip(partials, levels, strict=True):
        if level < 1e-4 * levels[0] and level < 1e-4:
            continue
        centre = int(partial) * round(frequency / step)
        width = max(0.6, (2 ** (cents / 1200) - 1) * frequency * partial**0.9 / (2 * step))
        low, high = max(1, int(centre - 4 * width)), min(len(shape) - 1, int(centre + 4 * width) + 1)
        bins = np.arange(low, high + 1)
        bell = np.exp(-(((bins - centre) / width) ** 2) / 2)
        shape[low : high + 1] += level * bell * math.sqrt(SHIMMER / float((bell**2).sum()))
        shape[min(centre, high)] += level
    out = np.empty((2, LOOP), np.float32)
    lines = np.flatnonzero(shape)
    middle, apart = (white(0x9AD + 2 * pitch + k, len(shape))[lines].astype(np.float64) * math.pi for k in (0, 1))
    for side, turn in enumerate((middle, middle + apart * np.minimum(1, lines * (step / APART)))):
        spectrum = np.zeros(len(shape), np.complex64)
        spectrum[lines] = shape[lines] * np.exp(1j * turn)
        out[side] = np.fft.irfft(spectrum, LOOP)
    power = sum(float((side.astype(np.float64) ** 2).sum()) for side in out) / out.size
    return out * np.float32(0.1 / math.sqrt(power))
