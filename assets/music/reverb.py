"""The room: convolution with noise that dies, in blocks whose places never depend on which part is asked for.

A block of the dry sound makes wet sound for as long as the room rings; that is placed like a long note, so it wraps around the
loop's end as notes do.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .kits import Room
from .signal import Frequencies, Wave, fade_in, fade_out, seconds, shaped, size_for, white

BLOCK = 1 << 14
"""Samples of a block: its transform of twice the size stays in a processor's cache."""

Spectrum = NDArray[np.complex64]


@lru_cache(maxsize=16)
def response(room: Room, rate: int) -> Wave:
    """The room's impulse response, float32 (2, frames), of energy 1 in each ear: eight early reflections, then noise that
    dies band by band, the low end cut because it would blur the bass."""
    length = int(room.seconds * 0.9 * rate)  # the last tenth lies 54 dB down and is faded
    time, size = seconds(length, rate), size_for(length + rate // 10)
    at = np.log(np.maximum(np.arange(size // 2 + 1, dtype=np.float32) * np.float32(rate / size), 1))
    out = np.zeros((2, length), np.float32)
    edges = (180.0, 600.0, 1800.0, room.dull, 11000.0)
    falls = (0.9, 1.0, 0.8, 0.5)
    start = int(room.size * 1e-3 * rate)
    bells = [_bell(at, low, high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    dying = [np.exp(time * np.float32(-6.9 / (room.seconds * fall))) for fall in falls]
    for side in (0, 1):
        noise = np.fft.rfft(white(0x200D + side, length), size)
        for bell, dies in zip(bells, dying, strict=True):
            out[side] += np.fft.irfft(noise * bell, size)[:length] * dies
        fade_in(out[side], 2 * start)
        early = white(0xEA41 + side, 8)
        for number, sign in enumerate(early):
            place = start + int((0.5 + number + 0.4 * float(early[7 - number])) * start * 0.55)
            if place < length:
                out[side, place] += np.float32(0.09 if sign > 0 else -0.09) * np.float32(0.85**number) * np.float32(3)
    out = shaped(out, rate, _thin)
    fade_out(out, length // 6)
    energy = np.sqrt((out.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(out / energy, np.float32)


def _bell(at: Wave, low: float, high: float) -> Wave:
    """A band with soft edges at logarithms of Hz; neighbours add up to about one in power."""
    width = max(1e-9, math.log(high / low))
    away = (at - np.float32(0.5 * math.log(low * high))) * np.float32(1 / width)
    return np.asarray(np.exp(away * away * np.float32(-2)), np.float32)


def _thin(at: Frequencies) -> Frequencies:
    return np.asarray(at**2 / (at**2 + 150.0**2) / (1 + (at / 12000) ** 4))


@lru_cache(maxsize=32)
def partitions(room: Room, rate: int) -> tuple[tuple[Spectrum, Spectrum], ...]:
    """Spectra of the response's blocks, left and right."""
    whole = response(room, rate)
    count = -(-whole.shape[1] // BLOCK)
    return tuple(
        (_spectrum(whole[0, k * BLOCK : (k + 1) * BLOCK]), _spectrum(whole[1, k * BLOCK : (k + 1) * BLOCK]))
        for k in range(count)
    )


def _spectrum(block: Wave) -> Spectrum:
    return np.fft.rfft(block, 2 * BLOCK).astype(np.complex64)


class Reverb:
    """The wet sound of one stream: block `o` of the output needs the dry blocks o, o - 1, ... as far back as the room rings."""

    def __init__(self, room: Room, rate: int, blocks: int) -> None:
        self.kernels = partitions(room, rate)
        self.blocks = blocks
        self.outputs = blocks + len(self.kernels) - 1
        self._dry: dict[int, Spectrum] = {}
        self._wet: dict[int, Wave] = {}

    def dry_blocks(self, output: int) -> range:
        """The dry blocks that an output block needs and that exist."""
        return range(max(0, output - len(self.kernels) + 1), min(self.blocks - 1, output) + 1)

    def has(self, output: int) -> bool:
        return output in self._wet

    def take(self, block: int, dry: Wave) -> None:
        """The dry sound (frames,) of a block, at most BLOCK samples."""
        if block not in self._dry:
            self._dry[block] = _spectrum(dry)

    def known(self, block: int) -> bool:
        return block in self._dry

    def wet(self, output: int) -> Wave:
        """float32 (2, 2 * BLOCK), to be added at output * BLOCK."""
        if output not in self._wet:
            sides = []
            for side in (0, 1):
                total = np.zeros(BLOCK + 1, np.complex64)
                for block in self.dry_blocks(output):
                    total += self._dry[block] * self.kernels[output - block][side]
                sides.append(np.fft.irfft(total, 2 * BLOCK).astype(np.float32))
            self._wet[output] = np.stack(sides)
        return self._wet[output]
