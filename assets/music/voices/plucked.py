"""Plucked strings by Karplus and Strong, computed in one transform instead of sample by sample.

The string is a loop: y = x + loss(y delayed by one period). Its transfer function 1 / (1 - z^-p L) is evaluated on a circle a
little outside the unit circle, where the periodic transform's overlap is small, and the result is scaled back. A period that
is not a whole number of samples is then exact, which the delay line of the paper is not.
K. Karplus, A. Strong, Digital Synthesis of Plucked-String and Drum Timbres, 1983.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..signal import Frequencies, Response, Wave, fade_in, hertz, levelled, shaped, size_for, top, white
from .base import Voice


@dataclass(frozen=True)
class String:
    """ring    seconds in which the note A3 falls by 60 dB; higher notes fall sooner
    damp    Hz at which a partial falls twice as fast as the lowest would at 0 Hz; above, with the square of the frequency
    pick    where it is plucked, as a part of its length
    tone    cutoff in Hz of the pluck of the hardest layer
    body    (Hz, width in Hz, gain) of each resonance of the body
    width   how different the two ears are, 0 to 1
    """

    ring: float
    damp: float
    pick: float
    tone: float
    body: tuple[tuple[float, float, float], ...] = ()
    width: float = 0.35


def plucked(string: String, release: float = 0.12, rings: bool = False) -> Voice:
    """A voice of one string for each pitch."""

    def make(pitch: int, layer: int, frames: int, rate: int) -> Wave:
        return _pluck(string, pitch, layer, frames, rate)

    return Voice(make, release, rings, seconds=min(4.0, string.ring * 1.2))


def _pluck(string: String, pitch: int, layer: int, frames: int, rate: int) -> Wave:
    frequency = hertz(pitch)
    period = rate / frequency
    more = frames + rate // 20  # the colour looks ahead
    size = size_for(more + int(period))
    outside = 10 ** (4 / size)  # what overlaps is 80 dB down
    grid = np.arange(size // 2 + 1) * (2 * math.pi / size)
    ring = string.ring * min(2.0, (220 / frequency) ** 0.5)
    at = grid * rate / (2 * math.pi)
    loop = np.exp(-6.9 / (ring * frequency) * (1 + (at / string.damp) ** 2))
    delay = _delayed(period, outside, size)
    comb = 1 - _delayed(string.pick * period, outside, size)
    transfer = comb / (1 - delay * loop)
    weights = np.exp(np.arange(size) * -math.log(outside))
    burst = max(2, int(period))
    middle, *sides = (white(0x57A1 + 3 * pitch + k, burst).astype(np.float64) for k in range(3))
    out = np.empty((2, more), np.float32)
    for side in (0, 1):
        strike = middle + string.width * sides[side]
        strike -= strike.mean()
        spectrum = np.fft.rfft(strike * weights[:burst], size)
        out[side] = (np.fft.irfft(spectrum * transfer, size)[:more]) / weights[:more]
    out = shaped(out, rate, _colour(string, layer, rate))[:, :frames]
    return levelled(fade_in(out, int(0.001 * rate)), rate)


@lru_cache(maxsize=32)
def _colour(string: String, layer: int, rate: int) -> Response:
    """The pluck and the body. Without shift of phase, so what rings before a sound lies at the transform's end, where on the
    string's circle it would be raised by 80 dB."""

    def gain(at: Frequencies) -> NDArray[np.float64]:
        tone = string.tone * (0.4, 0.65, 1.0)[layer]
        total = 1 / (1 + (at / tone) ** 4) / (1 + (at / (0.95 * top(rate))) ** 24) * (at > 20)
        for centre, width, height in string.body:
            total = total * (1 + height / (1 + ((at - centre) / width) ** 2))
        return np.asarray(total)

    return gain


def _delayed(samples: float, outside: float, size: int) -> NDArray[np.complex128]:
    """(size // 2 + 1,): the transform of a delay on the circle. Powers of one turn, as products of coarse and fine ones: two numbers
    of a thousand take a tenth of the time of an exponential each."""
    turn = -samples * 2j * math.pi / size
    fine = np.exp(turn * np.arange(512))
    coarse = np.exp(turn * 512 * np.arange(size // 1024 + 1)) * outside**-samples
    return np.asarray(np.multiply.outer(coarse, fine).ravel()[: size // 2 + 1])
