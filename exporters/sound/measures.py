"""What can be measured of a sound without listening: its spectrum over time, its onset, its seam, its level.

Independent of `codec`: other windows, other bands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .signal import RATE

Array = NDArray[np.float64]
WINDOW, HOP, MELS = 1024, 320, 40
QUIETEST = 1e-4
"""Amplitude of a band that counts as silence, so that the noise of silence has no say."""
STEP = RATE // 500
"""Samples of an envelope's step, 2 ms."""


def _filters() -> Array:
    """Triangles (MELS, WINDOW / 2 + 1) even on the mel scale from 40 Hz to 15 kHz, of unit sum."""
    low, high = (2595 * float(np.log10(1 + f / 700)) for f in (40.0, 15_000.0))
    mel = np.linspace(low, high, MELS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rise = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    return np.asarray(triangles / np.maximum(triangles.sum(1, keepdims=True), 1e-9))


FILTERS = _filters()


def spectrogram(wave: NDArray[np.float32]) -> Array:
    """Decibel (MELS, frames) of bands, frames of 32 ms every 10 ms; silence is 0."""
    padded = np.concatenate([wave, np.zeros(WINDOW)])
    at = np.arange(WINDOW)[None] + HOP * np.arange(len(wave) // HOP)[:, None]
    power = np.abs(np.fft.rfft(padded[at] * np.hanning(WINDOW))) ** 2 / (WINDOW * 0.375)
    return np.asarray(10 * np.log10(1 + FILTERS @ power.T / QUIETEST**2 / WINDOW * 2))


def described(wave: NDArray[np.float32], loops: bool) -> Array:
    """What two sounds are compared by, decibel (n,). Of an ambience: quantiles of each band over time, and how it moves
    from frame to frame; of a one-shot: its first second, in steps that lengthen."""
    bands = spectrogram(wave)
    if loops:
        quantiles = np.quantile(bands, (0.1, 0.3, 0.5, 0.7, 0.9), axis=1)
        return np.concatenate([quantiles.ravel(), np.abs(np.diff(bands, axis=1)).mean(1)])
    edges = (0, 1, 2, 4, 6, 9, 13, 19, 28, 42, 64, 100)
    return np.concatenate([bands[:, a:b].mean(1) for a, b in zip(edges, edges[1:], strict=False)])


def distances(ours: Sequence[Array], theirs: Sequence[Array]) -> Array:
    """Mean difference in decibel (ours, theirs)."""
    return np.array([[np.abs(a - b).mean() for b in theirs] for a in ours])


def attack(wave: NDArray[np.float32]) -> float:
    """Milliseconds from a tenth of the loudest 2 ms to six tenths, the last before and the first after: an onset's sharpness."""
    level = np.sqrt((wave[: len(wave) // STEP * STEP].reshape(-1, STEP) ** 2).mean(1))
    first = int(np.argmax(level >= 0.6 * level.max()))
    quiet = np.nonzero(level[:first] < 0.1 * level.max())[0]
    return 2.0 * (first - (quiet[-1] if len(quiet) else -1))


def seam(wave: NDArray[np.float32]) -> tuple[float, float]:
    """The step across the wrap and the change of slope there, each over the 99th percentile inside."""
    around = np.concatenate([wave[-2:], wave[:2]]).astype(np.float64)
    first, second = np.abs(np.diff(around))[1], np.abs(np.diff(around, 2)).max()
    inside = wave.astype(np.float64)
    return (
        float(first / np.percentile(np.abs(np.diff(inside)), 99)),
        float(second / np.percentile(np.abs(np.diff(inside, 2)), 99)),
    )


def level(wave: NDArray[np.float32]) -> dict[str, float]:
    """Decibel of the root mean square and the peak; share of samples above full scale; mean."""
    rms = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    return {
        "rms": 20 * float(np.log10(max(rms, 1e-9))),
        "peak": 20 * float(np.log10(max(float(np.abs(wave).max()), 1e-9))),
        "clipped": float((np.abs(wave) > 1).mean()),
        "dc": float(wave.mean(dtype=np.float64)),
    }
