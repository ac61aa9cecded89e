"""The last guard: no peak between the samples above the ceiling, by a gain that looks ahead and goes around the loop.

True peak as ITU-R BS.1770-4, annex 2 asks: four times as many samples, by a windowed sinc. The gain at a sample depends on its
neighbourhood alone, by minima and means of fixed shape: any part of the loop can be limited by itself and gets the same bits.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .signal import Wave

OVER = 4
TAPS = 16
"""Samples that the interpolation looks at; flat within 0.1 dB up to 0.4 of the rate, where the instruments end."""
ROWS = 64
"""Samples of a block that is looked at between its samples, or not because it is quiet."""
REACH = 10
"""2 ** REACH samples: how far the gain looks ahead and back, 21 ms at 48 kHz."""
MARGIN = (1 << REACH) + TAPS
"""Samples on both sides that decide about the gain at a sample."""


@lru_cache(maxsize=1)
def _phases() -> NDArray[np.float32]:
    """(OVER - 1, TAPS): the interpolators at 1/4, 1/2 and 3/4 between samples."""
    rows = []
    for phase in range(1, OVER):
        x = np.arange(TAPS) - (TAPS // 2 - 1) - phase / OVER
        row = np.sinc(x) * np.i0(6.0 * np.sqrt(np.maximum(0, 1 - (x / (TAPS / 2)) ** 2))) / np.i0(6.0)
        rows.append(row / row.sum())
    return np.asarray(rows, np.float32)


def peaks(sound: Wave, above: float = 0.0) -> Wave:
    """The largest absolute value at each sample and in the gap after it, of either channel: (2, n) -> (n - TAPS + 1,).

    The first result belongs to sample TAPS // 2 - 1. Where a block's peaks surely lie below `above`, the samples' own values are
    given, because nobody will need more.
    """
    count = sound.shape[1] - TAPS + 1
    magnitude = np.maximum(np.abs(sound[0]), np.abs(sound[1]))
    out: Wave = magnitude[TAPS // 2 - 1 : TAPS // 2 - 1 + count].copy()
    blocks = -(-count // ROWS)
    padded = np.zeros(blocks * ROWS + TAPS - 1, np.float32)
    padded[: len(magnitude)] = magnitude
    own = np.maximum.reduceat(padded, np.arange(0, blocks * ROWS, ROWS))
    following = np.append(own[1:], padded[blocks * ROWS :].max(initial=0))
    worst = float(np.abs(_phases()).sum(axis=1).max())
    loud = np.flatnonzero(np.maximum(own, following) * worst >= above)
    for some in np.array_split(loud, max(1, -(-len(loud) // 512))) if len(loud) else ():
        index = (
            some[None, :] * ROWS + np.arange(ROWS + TAPS - 1)[:, None]
        )  # a block is a column: its taps are whole rows
        found = np.zeros((ROWS, len(some)), np.float32)
        for channel in sound:
            near = channel.take(np.minimum(index, sound.shape[1] - 1))
            for phase in _phases():
                between = near[:ROWS] * phase[0]
                for tap in range(1, TAPS):
                    between += near[tap : tap + ROWS] * phase[tap]
                np.maximum(found, np.abs(between), out=found)
        at = index[:ROWS]
        inside = at < count
        out[at[inside]] = np.maximum(out[at[inside]], found[inside])
    return out


def around(sound: Wave, start: int, end: int) -> Wave:
    """Samples start to end of a loop (2, frames), which may lie before 0 or past the end."""
    frames = sound.shape[1]
    return sound[:, start:end] if start >= 0 and end <= frames else sound[:, np.arange(start, end) % frames]


def bordered(sound: Wave, loops: bool) -> Wave:
    """The whole with MARGIN samples more on each side: of a loop its other end, else silence."""
    if loops:
        return around(sound, -MARGIN, sound.shape[1] + MARGIN)
    return np.pad(sound, ((0, 0), (MARGIN, MARGIN)))


def true_peak(sound: Wave) -> float:
    """The highest peak of a loop (2, frames), also between samples, as a factor of full scale."""
    ends = around(sound, -(TAPS // 2) + 1, sound.shape[1] + TAPS // 2)
    loudest = float(np.abs(sound).max())
    return max(loudest, float(peaks(ends, loudest).max()))


def gain_for(sound: Wave, ceiling: float) -> Wave | None:
    """The limiter's gain (n - 2 * MARGIN,) for a stretch (2, n) that has MARGIN samples more on each side; none where it is 1.

    Each peak asks for a gain; the least asked for within the reach is held, and the mean of that over the reach comes down before
    the peak and goes up after it, never above what the peak asks for.
    """
    high = peaks(sound, ceiling)
    if float(high.max()) <= ceiling:
        return None
    asked = np.minimum(np.float32(1), np.float32(ceiling) / np.maximum(high, np.float32(1e-9)))
    asked[1:] = np.minimum(asked[1:], asked[:-1])  # a peak after a sample is also one before the next
    reach = 1 << REACH
    held, wide = asked, 1
    while wide < reach:  # the least of 2, 4, 8 ... following samples
        held = np.minimum(held[wide:], held[:-wide])
        wide *= 2
    mean, wide = held.astype(np.float64), 1
    while wide < reach:  # sums of 2, 4, 8 ... in a fixed tree, so no sum depends on where it started
        mean = mean[wide:] + mean[:-wide]
        wide *= 2
    start = MARGIN - (TAPS // 2 - 1) - (reach - 1)
    count = sound.shape[1] - 2 * MARGIN
    return np.asarray(mean[start : start + count] / reach, np.float32)


def decibels(factor: float) -> float:
    return 20 * math.log10(factor) if factor > 0 else -math.inf
