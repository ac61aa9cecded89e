"""Skins and sticks: kicks, toms, snares, claps, woods and shakers, made at once from sines that fall, shaped noise and a small room.

Every sound is float32 (2, frames), struck at its first sample, at the level that its set gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..signal import Wave, band, decay, fade_in, fade_out, no_rumble, placed, rise, seconds, shaped, white


@dataclass(frozen=True)
class Skin:
    """A kick or tom. high, low  Hz at the stroke and at rest; drop  seconds of the fall of pitch; ring  seconds of loudness
    click  level of the beater; drive  bend by tanh; side  -1 to 1; level  peak
    """

    high: float
    low: float
    drop: float
    ring: float
    click: float = 0.2
    drive: float = 1.0
    side: float = 0.0
    level: float = 0.6


@dataclass(frozen=True)
class Snare:
    """tone  (Hz, level, seconds) of each mode of the skin; noise  (lowest, highest Hz, level, seconds) of the wires; level  peak"""

    tone: tuple[tuple[float, float, float], ...]
    noise: tuple[float, float, float, float]
    level: float = 0.5


@dataclass(frozen=True)
class Puff:
    """Shaped noise: claps, shakers, brushes. (lowest, highest) Hz; attack and ring in seconds; strokes: how many, 11 ms apart"""

    low: float
    high: float
    attack: float
    ring: float
    strokes: int = 1
    side: float = 0.0
    level: float = 0.2


@dataclass(frozen=True)
class Wood:
    """Sticks, blocks, bells, triangles: (Hz, level, seconds) of each mode, and a knock of noise."""

    modes: tuple[tuple[float, float, float], ...]
    knock: float = 0.2
    side: float = 0.0
    level: float = 0.3


def skin(drum: Skin, layer: int, seed: int, rate: int) -> Wave:
    frames = int(rate * min(2.5, drum.ring * 7 + 0.02))
    time = np.arange(frames) / rate
    fall = drum.high * (0.8, 0.9, 1.0)[layer] - drum.low
    turns = drum.low * time + fall * drum.drop * (1 - np.exp(-time / drum.drop))  # the integral of the falling pitch
    body = np.sin(2 * math.pi * (turns - np.floor(turns))).astype(np.float32)
    body *= decay(frames, rate, drum.ring)
    if drum.drive > 1:
        body = np.tanh(body * np.float32(drum.drive)) / np.float32(math.tanh(drum.drive))
    short = min(frames, rate // 25)
    click = shaped(white(seed, short), rate, band(1200, 6500)) * decay(short, rate, 0.004)
    body[:short] += click * np.float32(drum.click * (0.5, 0.8, 1.2)[layer] * 2)
    body = shaped(body, rate, no_rumble)
    return _ended(placed(fade_in(body, rate // 1500), drum.side), drum.level, rate)


def snare(drum: Snare, layer: int, seed: int, rate: int) -> Wave:
    low, high, level, ring = drum.noise
    frames = int(rate * min(1.2, ring * 7 + 0.02))
    time = seconds(frames, rate)
    body = np.zeros(frames, np.float32)
    for frequency, loud, fall in drum.tone:
        glide = 1 + 0.25 * np.exp(time / np.float32(-0.012))
        turns = np.cumsum(glide.astype(np.float64)) * (frequency / rate)
        body += (
            np.float32(loud)
            * np.sin(2 * math.pi * (turns - np.floor(turns))).astype(np.float32)
            * np.exp(time * np.float32(-1 / fall))
        )
    out = placed(body, 0.0)
    for side in (0, 1):
        wires = shaped(white(seed + side, frames), rate, band(low, high * (0.6, 0.8, 1.0)[layer]))
        out[side] += wires * (decay(frames, rate, ring) + 0.8 * decay(frames, rate, ring / 6)) * np.float32(level)
    return _ended(fade_in(out, rate // 2500), drum.level, rate)


def puff(drum: Puff, layer: int, seed: int, rate: int) -> Wave:
    gap = int(0.011 * rate)
    frames = int(rate * (drum.attack + min(1.0, drum.ring * 7))) + gap * drum.strokes
    loud = np.zeros(frames, np.float32)
    up = max(8, int(drum.attack * rate))
    for stroke in range(drum.strokes):
        at, last = stroke * gap, stroke == drum.strokes - 1
        rest = frames - at - up
        stroked = np.concatenate([rise(up), decay(rest, rate, drum.ring if last else 0.006)])
        loud[at:] = np.maximum(loud[at:], stroked * np.float32(1 if last else 0.75))
    bright = drum.high * (0.7, 0.85, 1.0)[layer]
    sides = [shaped(white(seed + side, frames), rate, band(drum.low, bright, 3)) for side in (0, 1)]
    middle = sides[0] + sides[1]
    out = np.stack([middle + 0.5 * s for s in sides]) * loud
    return _ended(out * placed(np.ones(1, np.float32), drum.side), drum.level, rate)


def wood(drum: Wood, layer: int, seed: int, rate: int) -> Wave:
    longest = max(fall for _, _, fall in drum.modes)
    frames = int(rate * min(2.0, longest * 7 + 0.02))
    time = seconds(frames, rate)
    body = np.zeros(frames, np.float32)
    for number, (frequency, loud, fall) in enumerate(drum.modes):
        turns = np.arange(frames) * (frequency / rate)
        wave = np.sin(2 * math.pi * (turns - np.floor(turns))).astype(np.float32)
        body += (
            wave
            * np.exp(time * np.float32(-1 / fall))
            * np.float32(loud * (1 if number == 0 else (0.5, 0.8, 1.0)[layer]))
        )
    short = min(frames, rate // 30)
    body[:short] += (
        shaped(white(seed, short), rate, band(1500, 9000)) * decay(short, rate, 0.003) * np.float32(drum.knock * 2)
    )
    return _ended(placed(fade_in(body, rate // 3000), drum.side), drum.level, rate)


def _ended(sound: Wave, level: float, rate: int) -> Wave:
    """At its peak level, with the last tenth faded so that it ends in silence."""
    peak = float(np.abs(sound).max())
    return fade_out(sound * np.float32(level / peak), sound.shape[-1] // 10)
