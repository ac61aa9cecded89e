"""Frequency modulation: a sine whose phase is moved by another sine; bells, electric pianos, metallic basses.

J. Chowning, The Synthesis of Complex Audio Spectra by Means of Frequency Modulation, 1973. The index is limited so that the
sidebands, which reach about (index + 1) times the modulator's frequency from the carrier, stay below `signal.top`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..signal import Wave, fade_in, hertz, levelled, no_rumble, shaped, top
from .base import Voice


@dataclass(frozen=True)
class Pair:
    """A carrier and its modulator: frequencies as multiples of the note's, index of the hardest layer, seconds of decay of
    index and loudness, and the level."""

    carrier: float
    modulator: float
    index: float
    index_decay: float
    decay: float
    level: float = 1


def fm(
    *pairs: Pair, release: float = 0.2, rings: bool = False, seconds: float | None = None, detune: float = 2.5,
    attack: float = 0.002, tremolo: tuple[float, float] = (0, 0),
) -> Voice:  # fmt: skip
    """A voice of pairs added. `detune` cents apart between left and right; `tremolo` (Hz, depth) moves between them."""

    def make(pitch: int, layer: int, frames: int, rate: int) -> Wave:
        frequency = hertz(pitch)
        time = np.arange(frames, dtype=np.float32) / np.float32(rate)
        out = np.zeros((2, frames), np.float32)
        for pair in pairs:
            high = frequency * pair.modulator
            room = (top(rate) - frequency * pair.carrier) / high - 1
            if room < 0:  # even the first sideband would not fit
                continue
            strength = min(pair.index * (0.35, 0.65, 1.0)[layer], room)
            shorter = min(1.0, (440 / frequency) ** 0.4)  # high notes die sooner, as struck metal does
            index = np.exp(time * np.float32(-1 / (pair.index_decay * shorter))) * np.float32(strength)
            loud = np.exp(time * np.float32(-1 / (pair.decay * shorter))) * np.float32(pair.level)
            for side, cents in ((0, -detune / 2), (1, detune / 2)):
                tune = 2 ** (cents / 1200)
                moved = index * np.sin(_turn(high * tune, frames, rate))
                out[side] += loud * np.sin(_turn(frequency * pair.carrier * tune, frames, rate) + moved)
        speed, depth = tremolo
        if depth:
            swing = np.sin(time * np.float32(2 * math.pi * speed)) * np.float32(depth)
            out[0] *= 1 + swing
            out[1] *= 1 - swing
        out = shaped(out, rate, no_rumble)  # a sideband of equal ratios lies at 0 Hz
        return levelled(fade_in(out, int(attack * rate)), rate)

    return Voice(make, release, rings, seconds)


def _turn(frequency: float, frames: int, rate: int) -> Wave:
    """The phase in radians, reduced to one turn in float64 before it becomes float32."""
    phase = np.arange(frames) * (frequency / rate)
    phase -= np.floor(phase)
    return (phase * (2 * math.pi)).astype(np.float32)
