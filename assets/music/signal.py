"""Small tools of synthesis: addressed noise, envelopes, fades, filters in the frequency domain, levels.

Sounds are float32, (frames,) for one channel and (2, frames) for left and right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Frequencies = NDArray[np.float64]
Response = Callable[[Frequencies], NDArray[np.float64] | NDArray[np.complex128]]
"""Gain of a filter at frequencies in Hz."""

LEVEL = 0.1
"""Root mean square of the loudest LEVEL_SECONDS of the beginning of every note that `levelled` returns: -20 dB of full scale."""
LEVEL_SECONDS = 0.12
LEVEL_WITHIN = 0.5
"""Seconds in which that stretch lies, as long as the shortest wave is made: so a note is as loud however long it lasts."""


def white(seed: int, frames: int) -> Wave:
    """Uniform white noise (frames,) in [-1, 1): the raw output of Philox-4x64 keyed by the seed, which numpy holds stable."""
    raw = np.random.Philox(key=seed).random_raw((frames + 1) // 2)
    words = np.asarray(raw, "<u8").view("<i4")[:frames]
    return np.asarray(words.astype(np.float32) * np.float32(2.0**-31), np.float32)


def seconds(frames: int, rate: int) -> Wave:
    """The time of every sample, in seconds."""
    return (np.arange(frames) / rate).astype(np.float32)


def decay(frames: int, rate: int, time: float) -> Wave:
    """exp(-t / time), `time` in seconds."""
    return np.asarray(np.exp(np.arange(frames, dtype=np.float32) * np.float32(-1 / (rate * time))))


def rise(frames: int) -> Wave:
    """From 0 to 1 by half a cosine over `frames` samples, ends excluded: no step and no corner."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / frames)).astype(np.float32)


def fade_in(sound: Wave, frames: int) -> Wave:
    """The sound, its first samples raised from silence in place; works along the last axis."""
    frames = min(frames, sound.shape[-1])
    if frames:
        sound[..., :frames] *= rise(frames)
    return sound


def fade_out(sound: Wave, frames: int) -> Wave:
    """The sound, its last samples lowered to silence in place; works along the last axis."""
    frames = min(frames, sound.shape[-1])
    if frames:
        sound[..., sound.shape[-1] - frames :] *= rise(frames)[::-1]
    return sound


def size_for(frames: int) -> int:
    """The next power of two times 1, 9/8, 5/4, 3/2 or 7/4, at least 1024: transforms of other lengths are slower, some of them much."""
    power = 1 << max(10, (frames - 1).bit_length() - 1)
    return next(size for eighths in (8, 9, 10, 12, 14, 16) if (size := power * eighths // 8) >= frames)


def shaped(sound: Wave, rate: int, response: Response) -> Wave:
    """The sound, (frames,) or (2, frames), through a filter; what rings past the end is cut. In single precision, where noise of
    rounding lies 130 dB down, because these transforms are most of what a note costs."""
    size = size_for(sound.shape[-1] + rate // 10)
    filtered = np.fft.irfft(np.fft.rfft(sound, size) * _gains(response, size, rate), size)
    return np.asarray(filtered[..., : sound.shape[-1]], np.float32)


@lru_cache(maxsize=32)
def _gains(response: Response, size: int, rate: int) -> NDArray[np.float32] | NDArray[np.complex64]:
    gains = response(np.arange(size // 2 + 1, dtype=np.float64) * (rate / size))
    return gains.astype(np.complex64) if np.iscomplexobj(gains) else gains.astype(np.float32)


@lru_cache(maxsize=128)
def band(low: float, high: float, order: int = 2) -> Response:
    """A band-pass in Hz without shift of phase: `order` poles on each side, 0 at 0 Hz. `low` 0 leaves the low end open."""

    def gain(frequencies: Frequencies) -> NDArray[np.float64]:
        upper: NDArray[np.float64] = 1 / np.sqrt(1 + (frequencies / high) ** (2 * order))
        if low:
            powers = (frequencies / low) ** (2 * order)
            upper = upper * np.sqrt(powers / (1 + powers))
        return upper

    return gain


def no_rumble(at: Frequencies) -> NDArray[np.complex128]:
    """A high-pass of the second order at 24 Hz that looks back only: a mean, which nobody hears, costs headroom."""
    turn = 1j * at / 24.0
    return turn**2 / (1 + 1.414 * turn + turn**2)


def levelled(sound: Wave, rate: int, level: float = LEVEL) -> Wave:
    """The sound scaled so that the loudest stretch of its beginning has the root mean square `level`, over both channels together."""
    step = max(1, int(rate * LEVEL_SECONDS / 4))
    energy = sound[..., : int(rate * LEVEL_WITHIN)].astype(np.float64) ** 2
    energy = energy.mean(axis=0) if energy.ndim == 2 else energy
    pieces = max(1, len(energy) // step)
    sums = energy[: pieces * step].reshape(pieces, -1).sum(axis=1)
    over = min(4, pieces)
    runs = [sum(sums[i + k] for k in range(over)) for i in range(pieces - over + 1)]
    loudest = math.sqrt(max(runs) / (over * max(1, min(step, len(energy)))))
    return sound * np.float32(level / loudest) if loudest > 0 else sound


def placed(sound: Wave, side: float) -> Wave:
    """One channel as two, at `side` from -1 (left) to 1 (right), of constant power: both get 1 / sqrt 2 in the middle."""
    angle = (side + 1) * math.pi / 4
    return np.stack([sound * np.float32(math.cos(angle)), sound * np.float32(math.sin(angle))])


def hertz(pitch: float) -> float:
    """MIDI pitch to Hz: 69 is 440, equal temperament."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def top(rate: int) -> float:
    """Hz above which nothing is made: 0.42 of the rate, at most 19 kHz, so resampling and filters have room."""
    return min(0.42 * rate, 19000.0)
