"""Sound as features a cell of 1024 samples (32 ms), and back: partials, noise bands, and a gate for what begins suddenly.

    partials  89 oscillators a semitone apart: an amplitude a cell
    noise     32 bands, 4 times a cell: their level
    gate      8 times a cell: 0 where it is still quiet before an onset, 1 elsewhere

Phases are not kept. An oscillator runs through at whole turns of 8 cells, and noise is drawn anew from the seed (as many
numbers as samples), so what is made is periodic over any multiple of 8 cells: it loops without a seam, by construction. After
Serra, Smith, "Spectral modeling synthesis", 1990, https://www.jstor.org/stable/3680788, and Engel, Hantrakul, Gu, Roberts,
"DDSP: Differentiable digital signal processing", 2020, https://arxiv.org/abs/2001.04643. Noise goes through the inverse of a
windowed, circular MDCT (Princen, Bradley, 1986), which gives back its input exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .signal import RATE

CELL = 1024
"""Samples a latent cell."""
PERIOD = 8
"""Cells in which every oscillator makes whole turns: lengths are multiples of it."""
SUBFRAMES, BINS = 4, CELL // 4
"""Short transforms a cell, and their bins of 62.5 Hz."""
GATES = 8
FLOOR = 10 ** (-75 / 20)
"""Amplitude that counts as silence."""
LEAK = 0.1
"""Of a partial's energy counts as explained in the bands beside it: rounding its pitch may have moved so much there."""
Array = NDArray[np.float32]


def _oscillators() -> NDArray[np.int64]:
    """Turns in 8 cells: semitones of A = 440 Hz from 49 Hz to 8 kHz, rounded to whole turns, 3.9 Hz apart."""
    hertz = 440 * 2.0 ** (np.arange(-38, 51) / 12)
    return np.round(hertz * CELL * PERIOD / RATE).astype(np.int64)


OSCILLATORS = _oscillators()
PARTIALS = len(OSCILLATORS)
WIDTHS = (1,) * 8 + (2,) * 6 + (4,) * 5 + (8,) * 5 + (16,) * 6 + (32, 48)
"""Bins of each noise band."""
BANDS = len(WIDTHS)
FEATURES = PARTIALS + SUBFRAMES * BANDS + GATES
assert sum(WIDTHS) == BINS


def scaled(amplitude: NDArray[np.floating]) -> NDArray[np.floating]:
    """Amplitudes as levels: 0 is silence, one more is 8.7 dB more."""
    return np.log1p(amplitude / FLOOR)


def mdct_window() -> NDArray[np.float64]:
    return np.sin(np.pi * (np.arange(2 * BINS) + 0.5) / (2 * BINS))


def mdct_basis() -> NDArray[np.float64]:
    """Windowed cosines (BINS, 2 BINS), orthonormal with their shifts by BINS."""
    n, k = np.arange(2 * BINS), np.arange(BINS)[:, None]
    return np.sqrt(2 / BINS) * mdct_window() * np.cos(np.pi / BINS * (n + 0.5 + BINS / 2) * (k + 0.5))


def spread() -> NDArray[np.float64]:
    """Levels of bands to levels of bins, (BANDS, BINS): straight lines between the middles of the bands."""
    edges = np.concatenate([[0], np.cumsum(WIDTHS)])
    middles = (edges[1:] + edges[:-1]) / 2 - 0.5
    return np.stack([np.interp(np.arange(BINS), middles, row) for row in np.eye(BANDS)])


def oscillator_bases() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Windowed cosines and sines (PARTIALS, 2 CELL) of a frame; starting phases by the golden ratio, so that none agree."""
    n = np.arange(2 * CELL)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / (2 * CELL))
    turns = OSCILLATORS[:, None] * n / (CELL * PERIOD) + (np.arange(PARTIALS) * 0.6180339887498949)[:, None]
    return window * np.cos(2 * np.pi * turns), window * np.sin(2 * np.pi * turns)


def turned() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine and sine (PARTIALS, PERIOD) of the angle that an oscillator has at the beginning of a cell."""
    angle = 2 * np.pi * np.outer(OSCILLATORS, np.arange(PERIOD)) / PERIOD
    return np.cos(angle), np.sin(angle)


# The analysis: for training only.

LONG = 4 * CELL
PROMINENCE = 3.5
"""A partial stands out so many times from the middle of its neighbourhood; noise does by chance once in some thousand bins."""


def analyse(wave: Array) -> Array:
    """Features (FEATURES, cells) of a wave (CELL * cells,), taken as periodic. Levels as `scaled`, gates 0 to 1."""
    exact = wave.astype(np.float64)
    cells = len(exact) // CELL
    amplitudes = _partials(exact, cells)
    tonal = synthesised(amplitudes)
    whole, explained = _energies(exact), _energies(tonal)
    around = np.mean([np.roll(explained, by, 0) for by in range(-2, 3)], 0)
    wider = np.maximum(around, LEAK * np.maximum(_beside(around, 1), _beside(around, -1)))
    rest = np.sqrt(np.maximum(whole - 2.0 * wider, 0.0))  # (4 cells, BANDS)
    noise = scaled(rest).reshape(cells, SUBFRAMES * BANDS).T
    features = smoothed(np.concatenate([scaled(amplitudes), noise, _gates(exact).reshape(cells, GATES).T]))
    return features.astype(np.float32)


def smoothed(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with the power of noise averaged over neighbouring frames and bands.

    Power of noise is random from frame to frame; kept as it is, that would be heard twice, as the decoder's noise is random too.
    """
    levels = features[PARTIALS:-GATES].T.reshape(-1, BANDS)
    power = np.expm1(levels) ** 2
    power = (np.roll(power, 1, 0) + 2 * power + np.roll(power, -1, 0)) / 4
    beside = np.pad(power, ((0, 0), (1, 1)), "edge")
    power = (beside[:, :-2] + 2 * power + beside[:, 2:]) / 4
    made = features.copy()
    made[PARTIALS:-GATES] = np.log1p(np.sqrt(power)).reshape(-1, SUBFRAMES * BANDS).T
    return made


def steadied(features: Array) -> Array:
    """The same with the power of partials averaged over five cells of the ring: of an ambience, whose partials beat and are
    found now in one semitone, now in the next."""
    power = np.expm1(features[:PARTIALS].astype(np.float64)) ** 2
    power = (
        sum(
            (weight * np.roll(power, by, 1) for by, weight in zip(range(-2, 3), (1, 2, 3, 2, 1), strict=True)),
            np.zeros(1),
        )
        / 9
    )
    made = features.copy()
    made[:PARTIALS] = np.log1p(np.sqrt(power))
    return made


def _beside(energies: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    moved = np.roll(energies, by, 1)
    moved[:, 0 if by > 0 else -1] = 0.0
    return moved


def _partials(wave: NDArray[np.float64], cells: int) -> NDArray[np.float64]:
    """Amplitudes (PARTIALS, cells) of the peaks of a long spectrum that last for two frames at least."""
    window = np.hanning(LONG + 1)[:-1]
    at = (np.arange(LONG) - LONG // 2 + CELL)[None] + CELL * np.arange(cells)[:, None]
    size = np.abs(np.fft.rfft(wave[at % len(wave)] * window)) * (2 / window.sum())  # (cells, LONG / 2 + 1)
    blocks = np.median(size[:, : LONG // 2].reshape(cells, -1, 16), 2)
    middle = np.repeat(np.minimum(blocks, np.minimum(np.roll(blocks, 1, 1), np.roll(blocks, -1, 1)) * 2), 16, 1)
    inner = size[:, 1 : LONG // 2 - 1]
    peak = (inner > size[:, : LONG // 2 - 2]) & (inner >= size[:, 2 : LONG // 2])
    peak &= (inner > PROMINENCE * middle[:, 1:-1]) & (inner > 2 * FLOOR) & (inner > 2e-3 * inner.max(1, keepdims=True))
    near = peak | np.roll(peak, 1, 1) | np.roll(peak, -1, 1)
    peak &= np.roll(near, 1, 0) | np.roll(near, -1, 0)
    cell, place = np.nonzero(peak)
    below, here, above = (np.log(size[cell, place + by] + 1e-12) for by in (0, 1, 2))
    offset = np.clip(0.5 * (below - above) / np.minimum(below - 2 * here + above, -1e-9), -0.5, 0.5)
    turns = (place + 1 + offset) * (CELL * PERIOD / LONG)
    height = np.exp(here - 0.25 * (below - above) * offset)
    nearest = np.argmin(np.abs(np.log(OSCILLATORS)[None] - np.log(np.maximum(turns, 1))[:, None]), 1)
    kept = turns < OSCILLATORS[-1] * 1.03
    power = np.zeros((PARTIALS, cells))
    np.add.at(power, (nearest[kept], cell[kept]), height[kept] ** 2)
    return np.sqrt(power)


def synthesised(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The wave (CELL * cells,) of amplitudes (PARTIALS, cells): the decoder's arithmetic in float64."""
    cells = amplitudes.shape[1]
    cosines, sines = oscillator_bases()
    turn = [each[:, np.arange(cells) % PERIOD] for each in turned()]
    frames = (amplitudes * turn[0]).T @ cosines - (amplitudes * turn[1]).T @ sines
    return (frames[:, :CELL] + np.roll(frames[:, CELL:], 1, 0)).reshape(-1)


def _energies(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power a bin (4 cells, BANDS) of the short transform: MDCT and its sine twin together, so phase has no say."""
    frames = len(wave) // BINS
    at = np.arange(2 * BINS)[None] + BINS * np.arange(frames)[:, None]
    pieces = wave[at % len(wave)] * mdct_window()
    turned_half = np.exp(-1j * np.pi * np.arange(2 * BINS) / (2 * BINS))
    power = np.abs(np.fft.fft(pieces * turned_half, axis=1)[:, :BINS]) ** 2 / BINS
    edges = np.concatenate([[0], np.cumsum(WIDTHS)])[:-1]
    return np.add.reduceat(power, edges, 1) / np.array(WIDTHS)


def _gates(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8 cells,): how loud it is against what comes within 40 ms; 1 unless it is more than 12 dB below."""
    step = CELL // GATES
    power = (wave**2).reshape(-1, step).mean(1)
    here = np.maximum(power, np.roll(power, -1))
    ahead = np.max([np.roll(power, -by) for by in range(1, 11)], 0)
    ratio = 16 * here / np.maximum(ahead, 1e-12)
    return np.where(ahead < 1e-9, 1.0, np.minimum(1.0, ratio)) ** 0.5
