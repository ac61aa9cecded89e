"""Struck bars, tubes and glass: a handful of modes, each a sine that dies at its own speed.

Ratios of the modes of a free uniform bar: N. Fletcher, T. Rossing, The Physics of Musical Instruments, 2nd ed. 1998, ch. 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..signal import Wave, band, fade_in, hertz, levelled, placed, shaped, top, white
from .base import Voice


@dataclass(frozen=True)
class Bar:
    """modes    (ratio to the note, level, seconds until it has fallen to 1 / e at A4) of each mode
    strike   level of the knock of the mallet
    knock    (lowest, highest) Hz of the knock
    tremolo  (Hz, depth) of a vibraphone's motor
    """

    modes: tuple[tuple[float, float, float], ...]
    strike: float = 0.1
    knock: tuple[float, float] = (800, 4000)
    tremolo: tuple[float, float] = (0, 0)


def modal(bar: Bar, release: float = 0.3, rings: bool = True, seconds: float = 2.0) -> Voice:
    """A voice of bars, one for each pitch."""

    def make(pitch: int, layer: int, frames: int, rate: int) -> Wave:
        frequency = hertz(pitch)
        time = np.arange(frames, dtype=np.float32) / np.float32(rate)
        out = np.zeros((2, frames), np.float32)
        hard = (0.45, 0.7, 1.0)[layer]
        for number, (ratio, level, fall) in enumerate(bar.modes):
            if frequency * ratio > top(rate):
                continue
            phase = np.arange(frames) * (frequency * ratio / rate)
            phase -= np.floor(phase)
            fall = fall * min(1.6, (440 / frequency) ** 0.5)
            wave = np.sin(phase.astype(np.float32) * np.float32(2 * math.pi))
            wave *= np.exp(time * np.float32(-1 / fall)) * np.float32(level * (hard if number else 1.0))
            out += placed(wave, (0.0, -0.5, 0.5, -0.25, 0.25)[number % 5])
        if bar.strike:
            short = min(frames, rate // 20)
            knock = shaped(white(0x3A11 + pitch, short), rate, band(*bar.knock))
            knock *= np.exp(np.arange(short, dtype=np.float32) * np.float32(-1 / (0.006 * rate)))
            out[:, :short] += knock * np.float32(bar.strike * hard * 3)
        speed, depth = bar.tremolo
        if depth:
            out *= 1 - np.float32(depth) * (0.5 - 0.5 * np.cos(time * np.float32(2 * math.pi * speed)))
        return levelled(fade_in(out, int(0.0008 * rate)), rate)

    return Voice(make, release, rings, seconds)
