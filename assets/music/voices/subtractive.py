"""Oscillators through a filter: band-limited tables of one period, detuned against one another, darkened as the note goes on.

A moving filter is a walk over a row of tables, each the same wave through the filter at another cutoff. The tables hold no
partial above `signal.top`, so nothing folds back, whatever the filter does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..signal import Wave, fade_in, hertz, levelled, no_rumble, shaped, top, white
from .base import Voice

TABLE = 2048
"""Samples of a period; read with linear interpolation, whose error lies 90 dB below the wave."""
STEPS = 5
"""Cutoffs from the darkest to the brightest, in equal ratios."""

BREATH = 1 << 16
"""Samples until the noise of a blown pipe repeats."""

Amplitudes = NDArray[np.float64]

WAVES: dict[str, Callable[[Amplitudes], Amplitudes]] = {
    "sine": lambda h: (h == 1) * 1.0,
    "saw": lambda h: 1 / h,
    "square": lambda h: (h % 2) / h,
    "pulse": lambda h: np.sin(np.pi * h * 0.22) / h,
    "triangle": lambda h: (h % 2) * (-1.0) ** ((h - 1) // 2) / h**2,
    "hollow": lambda h: np.where(h % 2 == 1, 1.0, 0.12) / h**1.3,
    "flute": lambda h: np.select([h == 1, h == 2, h == 3, h == 4, h == 5], [1, 0.42, 0.24, 0.1, 0.06], 0.1 / h),
    "organ": lambda h: np.select(
        [h == 1, h == 2, h == 3, h == 4, h == 6, h == 8], [1, 0.7, 0.35, 0.4, 0.15, 0.18], 0.0
    ),
}
"""Amplitudes by the number of the partial, from 1."""


@dataclass(frozen=True)
class Patch:
    """wave       a name of WAVES
    unison     (cents, side) of each oscillator
    sub        level of a sine an octave below, or at the note itself where that would be under 40 Hz
    dark       cutoff at rest, in multiples of the note's frequency
    bright     cutoff at the attack of the hardest layer, likewise
    close      seconds in which the filter closes; below 0 it opens instead
    resonance  height of the filter's peak, 0.7 is flat
    attack     seconds
    fall       (seconds, level): where the loudness goes while the key is held
    vibrato    (Hz, cents, seconds until it has come in)
    breath     level of noise around the note
    drive      how much it is bent by tanh; only for low notes, whose overtones stay below the top
    """

    wave: str
    unison: tuple[tuple[float, float], ...] = ((0, 0),)
    sub: float = 0
    dark: float = 2
    bright: float = 12
    close: float = 0.25
    resonance: float = 0.8
    attack: float = 0.006
    fall: tuple[float, float] = (0.5, 0.7)
    vibrato: tuple[float, float, float] = (0, 0, 0)
    breath: float = 0
    drive: float = 0


def subtractive(patch: Patch, release: float = 0.1, seconds: float | None = None) -> Voice:
    """A voice that plays the patch."""

    def make(pitch: int, layer: int, frames: int, rate: int) -> Wave:
        return _note(patch, pitch, layer, frames, rate)

    return Voice(make, release, seconds=seconds)


def _note(patch: Patch, pitch: int, layer: int, frames: int, rate: int) -> Wave:
    frequency = hertz(pitch)
    bright = patch.bright * (0.45, 0.7, 1.0)[layer]
    rows = _rows(patch.wave, patch.dark, max(bright, patch.dark * 1.01), patch.resonance, frequency, rate)
    time = np.arange(frames, dtype=np.float32) / np.float32(rate)
    opened = np.exp(time * np.float32(-1 / abs(patch.close)))
    if patch.close < 0:
        opened = 1 - opened
    opened *= np.float32(STEPS - 1.001)
    bend = _bend(patch, frames, rate)
    out = np.zeros((2, frames), np.float32)
    for number, (cents, side) in enumerate(patch.unison):
        phase = _phase(frequency * 2 ** (cents / 1200), frames, rate, bend, 0.37 * number)
        sound = _read(rows, phase, opened)
        angle = (side + 1) * math.pi / 4
        out[0] += sound * np.float32(math.cos(angle))
        out[1] += sound * np.float32(math.sin(angle))
    if patch.sub:
        below = frequency / 2 if frequency >= 80 else frequency  # an octave lower would be felt at most
        low = np.sin(_phase(below, frames, rate, bend, 0.0) * np.float32(2 * math.pi))
        out += low * np.float32(patch.sub * 0.5 * len(patch.unison) ** 0.5)
    if patch.breath:
        out += _breath(pitch, frequency, frames, rate) * np.float32(patch.breath)
    if patch.drive and frequency < 300:
        loud = np.float32(patch.drive * (0.7, 0.85, 1.0)[layer] / max(1e-9, float(np.abs(out).max())))
        out = np.tanh(out * loud)
    span, level = patch.fall
    out *= np.float32(level) + np.float32(1 - level) * np.exp(time * np.float32(-1 / span))
    if frequency < 300:  # bent waves have a mean, and so have short low ones
        out = shaped(out, rate, no_rumble)
    fade_in(out, int(patch.attack * rate * (1.3, 1.0, 0.8)[layer]))
    return levelled(out, rate)


@lru_cache(maxsize=256)
def _rows(wave: str, dark: float, bright: float, resonance: float, frequency: float, rate: int) -> Wave:
    """(STEPS, TABLE + 2): a period of the wave through a low-pass of four poles at each cutoff, from dark to bright."""
    count = min(max(1, int(top(rate) / frequency)), TABLE // 2 - 1)
    partials = np.arange(1, count + 1, dtype=np.float64)
    amplitudes = WAVES[wave](partials)
    edge = np.clip(
        (top(rate) / frequency - partials) / (0.1 * count + 1), 0, 1
    )  # the last partials fade as pitch rises
    rows = np.zeros((STEPS, TABLE + 2), np.float32)
    for step in range(STEPS):
        cutoff = dark * (bright / dark) ** (step / (STEPS - 1))
        ratio = partials / cutoff
        gain = 1 / np.sqrt((1 - ratio**2) ** 2 + (ratio / resonance) ** 2) / np.sqrt(1 + ratio**4)
        spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
        spectrum[1 : count + 1] = -0.5j * TABLE * amplitudes * gain * edge
        rows[step, :TABLE] = np.fft.irfft(spectrum, TABLE)
    rows[:, TABLE:] = rows[:, :2]  # a phase just below 1 is 1 once it is rounded, and reads one further
    return rows


def _phase(frequency: float, frames: int, rate: int, bend: NDArray[np.float64] | None, start: float) -> Wave:
    """The phase in periods, [0, 1): float64 until it is reduced, so that long notes stay in tune."""
    phase = np.arange(frames, dtype=np.float64) * (frequency / rate) + start
    if bend is not None:
        phase += bend * frequency
    return np.asarray(phase - np.floor(phase), np.float32)


def _bend(patch: Patch, frames: int, rate: int) -> NDArray[np.float64] | None:
    """The vibrato as seconds of lead, which times the frequency are periods."""
    speed, cents, delay = patch.vibrato
    if not cents:
        return None
    time = np.arange(frames) / rate
    come = np.clip(time / max(delay, 1e-3) - 0.5, 0, 1)
    turn = 2 * math.pi * speed
    return np.asarray((2 ** (cents / 1200) - 1) / turn * come * (1 - np.cos(turn * time)))


def _read(rows: Wave, phase: Wave, opened: Wave) -> Wave:
    """Samples of the tables at the phases, between the two rows on either side of `opened`."""
    place = phase * np.float32(TABLE)
    index = place.astype(np.int32)
    place -= index
    row = opened.astype(np.int32)
    index += row * np.int32(TABLE + 2)
    flat = rows.reshape(-1)
    low = flat.take(index)
    low += (flat.take(index + 1) - low) * place
    index += np.int32(TABLE + 2)
    high = flat.take(index)
    high += (flat.take(index + 1) - high) * place
    low += (high - low) * (opened - row)
    return low


def _breath(pitch: int, frequency: float, frames: int, rate: int) -> Wave:
    """Noise of a blown pipe: around the note and its octave, less above, different in both ears."""
    loop = _breath_loop(pitch, frequency, rate)
    return np.tile(loop, (1, -(-frames // BREATH)))[:, :frames]


@lru_cache(maxsize=8)
def _breath_loop(pitch: int, frequency: float, rate: int) -> Wave:
    """(2, BREATH), which repeats without a seam."""
    at = np.fft.rfftfreq(BREATH, 1 / rate)
    near = np.exp(-(((at - frequency) / (0.2 * frequency)) ** 2)) + 0.6 * np.exp(
        -(((at - 2 * frequency) / frequency) ** 2)
    )
    gain = (near + 0.05 * (at > 300) / (1 + (at / 5000) ** 4)).astype(np.float32)
    noise = np.stack([white(0xB2EA + 2 * pitch + side, BREATH) for side in (0, 1)])
    sides = np.fft.irfft(np.fft.rfft(noise) * gain, BREATH)
    return np.asarray(sides * (math.sqrt(rate / (0.6 * frequency)) * 0.5), np.float32)
