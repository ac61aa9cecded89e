"""Drum sets: which model with which numbers answers to each General MIDI percussion number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .signal import Wave, band, decay, fade_in, fade_out, shaped, size_for, white
from .voices.cymbals import Metal, metal
from .voices.drums import Puff, Skin, Snare, Wood, puff, skin, snare, wood

Drum = Skin | Snare | Puff | Wood | Metal
VARIANTS = 3
"""Takes of the same stroke that differ in their noise, so that a row of hats is not a machine gun."""


def _toms(tuning: float, ring: float, level: float, drop: float = 0.05) -> dict[int, Drum]:
    """Six toms, low on the right to high on the left."""
    ratios = {41: 1.0, 43: 1.19, 45: 1.42, 47: 1.68, 48: 2.0, 50: 2.38}
    return {
        number: Skin(tuning * r * 1.5, tuning * r, drop, ring / r**0.4, 0.12, 1.2, 0.45 - 0.18 * k, level)
        for k, (number, r) in enumerate(ratios.items())
    }


_BLOCKS: dict[int, Drum] = {
    37: Wood(((1700, 1, 0.012), (480, 0.6, 0.02), (2900, 0.5, 0.008)), 0.5, 0.15, 0.3),
    54: Metal(5200, 15000, 0.09, 30, 0.3, 0.002, 0.3, 0.16),
    56: Wood(((562, 1, 0.09), (845, 0.9, 0.07), (1690, 0.3, 0.03)), 0.1, 0.25, 0.18),
    58: Puff(1800, 6000, 0.004, 0.12, 9, -0.3, 0.14),
    60: Skin(460, 392, 0.02, 0.06, 0.25, 1.0, -0.25, 0.3),
    61: Skin(340, 294, 0.02, 0.08, 0.2, 1.0, -0.35, 0.3),
    62: Skin(330, 300, 0.01, 0.03, 0.4, 1.0, 0.25, 0.28),
    63: Skin(280, 245, 0.02, 0.12, 0.2, 1.0, 0.3, 0.32),
    64: Skin(210, 180, 0.02, 0.14, 0.2, 1.0, 0.35, 0.34),
    65: Skin(420, 370, 0.01, 0.1, 0.35, 1.0, -0.4, 0.28),
    66: Skin(310, 262, 0.01, 0.13, 0.35, 1.0, -0.45, 0.28),
    67: Wood(((1480, 1, 0.12), (2220, 0.4, 0.07)), 0.1, 0.4, 0.14),
    68: Wood(((1108, 1, 0.14), (1662, 0.4, 0.08)), 0.1, 0.45, 0.14),
    69: Puff(5000, 14000, 0.03, 0.03, 1, -0.4, 0.12),
    70: Puff(6500, 15000, 0.012, 0.02, 1, 0.4, 0.12),
    71: Wood(((2350, 1, 0.06), (2362, 0.7, 0.06)), 0.05, 0.2, 0.1),
    72: Wood(((2350, 1, 0.2), (2362, 0.7, 0.2)), 0.05, 0.2, 0.1),
    73: Puff(2200, 7000, 0.02, 0.02, 1, 0.3, 0.12),
    74: Puff(2200, 7000, 0.15, 0.04, 1, 0.3, 0.12),
    75: Wood(((2500, 1, 0.02), (5100, 0.2, 0.01)), 0.2, -0.2, 0.24),
    76: Wood(((1150, 1, 0.03), (2700, 0.3, 0.012)), 0.2, -0.3, 0.24),
    77: Wood(((830, 1, 0.035), (1980, 0.3, 0.014)), 0.2, -0.35, 0.24),
    78: Skin(520, 330, 0.06, 0.09, 0.1, 1.0, 0.2, 0.2),
    79: Skin(380, 560, 0.09, 0.12, 0.1, 1.0, 0.2, 0.2),
    80: Wood(((4150, 1, 0.04), (6980, 0.6, 0.03), (9800, 0.4, 0.02)), 0.2, -0.5, 0.1),
    81: Wood(((4150, 1, 0.45), (6980, 0.7, 0.3), (9800, 0.4, 0.2)), 0.2, -0.5, 0.1),
}
"""Percussion that all sets share."""

_CYMBALS: dict[int, Drum] = {
    42: Metal(7000, 15500, 0.028, 36, 0.6, 0.0008, 0.25, 0.28),
    44: Metal(6000, 13500, 0.022, 30, 0.7, 0.002, 0.25, 0.15),
    46: Metal(6400, 15000, 0.2, 40, 0.5, 0.0008, 0.25, 0.26),
    49: Metal(2600, 14500, 0.55, 90, 0.6, 0.0015, -0.35, 0.34),
    51: Metal(3400, 12500, 0.4, 34, 0.16, 0.0008, -0.45, 0.16),
    52: Metal(1900, 12500, 0.4, 60, 0.8, 0.0015, -0.4, 0.3),
    53: Wood(((3050, 1, 0.22), (4870, 0.5, 0.16), (7310, 0.35, 0.1), (9150, 0.25, 0.07)), 0.2, -0.45, 0.16),
    55: Metal(4200, 15000, 0.22, 60, 0.6, 0.001, -0.1, 0.24),
    57: Metal(2200, 13500, 0.62, 90, 0.6, 0.0015, 0.4, 0.34),
    59: Metal(3000, 11500, 0.4, 30, 0.16, 0.0008, 0.45, 0.16),
}

_ACOUSTIC: dict[int, Drum] = {
    **_BLOCKS,
    **_CYMBALS,
    **_toms(84, 0.2, 0.5),
    35: Skin(130, 50, 0.02, 0.13, 0.18, 1.4, 0, 0.57),
    36: Skin(160, 56, 0.022, 0.12, 0.35, 1.5, 0, 0.55),
    38: Snare(((186, 0.7, 0.07), (332, 0.4, 0.04)), (900, 9000, 1.5, 0.075), 0.56),
    39: Puff(900, 5200, 0.0008, 0.07, 4, 0.1, 0.36),
    40: Snare(((220, 0.7, 0.06), (392, 0.4, 0.035)), (1200, 10000, 1.5, 0.06), 0.54),
}
_ELECTRONIC = _ACOUSTIC | {
    35: Skin(180, 48, 0.03, 0.15, 0.25, 1.8, 0, 0.57),
    36: Skin(320, 52, 0.024, 0.12, 0.5, 2.0, 0, 0.6),
    38: Snare(((190, 0.9, 0.09), (285, 0.3, 0.05)), (1300, 11000, 1.6, 0.11), 0.62),
    40: Snare(((240, 0.6, 0.05), (480, 0.3, 0.03)), (1800, 12000, 1.8, 0.07), 0.58),
    42: Metal(8200, 16500, 0.02, 18, 0.8, 0.0006, 0.2, 0.28),
    46: Metal(7600, 16500, 0.16, 22, 0.7, 0.0006, 0.2, 0.28),
}
_SOFT = _ACOUSTIC | {
    35: Skin(85, 46, 0.03, 0.16, 0.03, 1.0, 0, 0.42),
    36: Skin(95, 50, 0.03, 0.15, 0.05, 1.0, 0, 0.42),
    38: Puff(700, 5200, 0.004, 0.09, 1, 0.05, 0.24),
    40: Puff(1000, 6500, 0.02, 0.08, 1, 0.05, 0.2),
    42: Puff(5500, 13500, 0.003, 0.018, 1, 0.3, 0.17),
    46: Puff(5000, 13000, 0.004, 0.09, 1, 0.3, 0.16),
    49: Metal(2600, 10500, 0.7, 60, 0.6, 0.12, -0.35, 0.16),
}
_EPIC = _ACOUSTIC | _toms(56, 0.36, 0.75, 0.06) | {
    35: Skin(98, 44, 0.05, 0.24, 0.18, 1.6, 0, 0.6),
    36: Skin(150, 50, 0.035, 0.2, 0.35, 1.8, 0, 0.6),
    38: Snare(((140, 0.9, 0.13), (252, 0.4, 0.08)), (600, 8500, 1.3, 0.13), 0.68),
    40: Snare(((170, 0.9, 0.1), (300, 0.4, 0.06)), (800, 9500, 1.3, 0.1), 0.66),
    49: Metal(1700, 14000, 0.65, 90, 0.6, 0.002, -0.35, 0.42),
}  # fmt: skip
_DUSTY = _ACOUSTIC | {
    35: Skin(110, 52, 0.025, 0.12, 0.05, 1.3, 0, 0.5),
    36: Skin(125, 56, 0.022, 0.11, 0.08, 1.4, 0, 0.51),
    38: Snare(((205, 0.6, 0.05), (350, 0.3, 0.03)), (700, 5200, 1.2, 0.055), 0.42),
    42: Metal(5200, 9500, 0.022, 26, 0.7, 0.0012, 0.2, 0.2),
    46: Metal(4800, 9500, 0.13, 26, 0.6, 0.0012, 0.2, 0.2),
}

SETS: dict[str, Mapping[int, Drum]] = {
    "acoustic": _ACOUSTIC,
    "electronic": _ELECTRONIC,
    "soft": _SOFT,
    "epic": _EPIC,
    "dusty": _DUSTY,
}
ROOMS = {
    "acoustic": (0.22, 0.1),
    "electronic": (0.12, 0.06),
    "soft": (0.5, 0.2),
    "epic": (0.9, 0.22),
    "dusty": (0.2, 0.12),
}
"""(seconds until the room has fallen to 1 / e^3, its level) of each set: part of every stroke, so the mix needs no room for drums."""
AUDIBLE = 1e-3
KICK, TUNED = 36, (35, 36, 41, 43, 45, 47, 48, 50)
"""Kicks and toms: they have a pitch, which belongs to the key."""
CHOKED_BY = {46: (42, 44)}
"""An open hat ends when one of these is struck."""


def stroke(set_name: str, pitch: int, layer: int, variant: int, rate: int) -> Wave:
    """A stroke with its room, float32 (2, frames); `variant` 0 to VARIANTS - 1 is the take."""
    drum = SETS[set_name][pitch]
    seed = (pitch * 8 + variant) * 16
    if isinstance(drum, Skin):
        dry = skin(replace(drum, high=drum.high * (1 + 0.01 * variant)), layer, seed, rate)
    elif isinstance(drum, Snare):
        dry = snare(drum, layer, seed, rate)
    elif isinstance(drum, Puff):
        dry = puff(drum, layer, seed, rate)
    elif isinstance(drum, Wood):
        dry = wood(drum, layer, seed, rate)
    else:
        dry = metal(drum, layer, seed, rate)
    return heard(in_room(dry, *ROOMS[set_name], pitch in (35, 36), rate))


def tuning(set_name: str, pitch: int, tonic: int) -> float:
    """The factor by which a set's skins are tuned for a key (tonic 0 to 11): its kick rests on the tonic or the fifth above it,
    whichever is nearer, at most 3.5 semitones away. What is no skin keeps its pitch, factor 1."""
    if pitch not in TUNED:
        return 1.0
    kick = SETS[set_name][KICK]
    assert isinstance(kick, Skin)
    rests = 69 + 12 * math.log2(kick.low / 440)
    shifts = [(tonic + step - rests + 6) % 12 - 6 for step in (0, 7)]
    return float(2 ** (min(shifts, key=abs) / 12))


def retuned(sound: Wave, factor: float) -> Wave:
    """A stroke (2, frames) at another pitch, shorter as it is higher."""
    at = np.arange(int((sound.shape[1] - 1) / factor)) * factor
    places = np.arange(sound.shape[1])
    return np.stack([np.interp(at, places, side) for side in sound]).astype(np.float32)


def heard(sound: Wave) -> Wave:
    """A stroke without what lies below AUDIBLE of its peak at its end."""
    loud = np.abs(sound).max(axis=0)
    end = int(np.flatnonzero(loud > AUDIBLE * loud.max())[-1]) + 1
    return fade_out(sound[:, :end].copy(), end // 8)


def in_room(dry: Wave, length: float, level: float, low: bool, rate: int) -> Wave:
    """A stroke (2, frames) and its room: noise that dies, after 8 ms, without the low end, which would blur; kicks get less."""
    size = int(length * rate)
    out = np.concatenate([dry, np.zeros((2, size), np.float32)], axis=1)
    total = size_for(out.shape[1])
    wet = np.fft.irfft(np.fft.rfft(dry, total) * _tails_of(length, rate, total), total)
    out += wet[:, : out.shape[1]].astype(np.float32) * np.float32(level * (0.35 if low else 1.0))
    return fade_out(out, size // 8)


@lru_cache(maxsize=8)
def _tails_of(length: float, rate: int, total: int) -> NDArray[np.complex64]:
    return np.asarray(np.fft.rfft(_tails(length, rate), total), np.complex64)


@lru_cache(maxsize=16)
def _tails(length: float, rate: int) -> Wave:
    """(2, samples): what a click leaves in the room."""
    size = int(length * rate)
    fall = decay(size, rate, length / 3) / np.sqrt(np.float32(rate * length / 6))
    tails = np.stack([white(0x400A + side, size) for side in (0, 1)]) * fall
    fade_in(tails, int(0.012 * rate))
    fade_out(tails, size // 4)
    return shaped(tails, rate, band(320, 7000))
