"""Sounds from words and a seed: the voices, and what is the same for all of them: tilt, distance, loudness, ends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .ambiences import AMBIENCES
from .dials import Dials, dials_of
from .shots import SHOTS_MADE
from .signal import RATE, Draw, Wave, filtered, seconds_of
from .vocabulary import SOUNDS

AMBIENCE_LEVEL = 0.09
"""Root mean square of ambiences, -21 dB of full scale."""
SOFT = 0.7
"""Peaks of ambiences bend towards this: a crackle may stand out of a fire, not out of the range."""
SHOT_PEAK = 0.7
"""Of a one-shot hit with ordinary force."""
LEAD = 64
"""Samples of silence before a one-shot, 2 ms: a filter's own onset fits in."""


def make(sound: str, modifiers: Mapping[str, float], seed: int, samples: int) -> NDArray[np.float32]:
    """A sound (samples,) at RATE, peak at most 1; an ambience is periodic over its length, a one-shot ends in silence."""
    draw = np.random.default_rng([seed, SOUNDS.index(sound)])
    dials = dials_of(modifiers, float(draw.normal()))
    if sound in AMBIENCES:
        wave = _coloured(draw, AMBIENCES[sound](draw, samples, dials), dials, circular=True)
        wave *= AMBIENCE_LEVEL * 10 ** (0.2 * dials.force) / np.sqrt(np.mean(wave**2))
        wave = SOFT * np.tanh(wave / SOFT)
    else:
        wave = np.concatenate([np.zeros(LEAD), SHOTS_MADE[sound](draw, samples - LEAD, dials)])
        wave = _coloured(draw, wave, dials, circular=False)
        wave[:LEAD] *= np.linspace(0, 1, LEAD) ** 2
        wave[-RATE // 25 :] *= np.linspace(1, 0, RATE // 25) ** 2
        wave *= SHOT_PEAK * 10 ** (0.12 * dials.force - 0.2 * dials.distance) / np.abs(wave).max()
    peak = float(np.abs(wave).max())
    return (wave * min(1.0, 0.98 / peak)).astype(np.float32)


def _coloured(draw: Draw, wave: Wave, dials: Dials, circular: bool) -> Wave:
    """Tilt of up to 6 dB an octave around 800 Hz, and distance: less of the high, and a hall of as much as that."""
    wanted = np.zeros(len(wave) if circular else 2 * len(wave))
    wanted[: len(wave)] = wave
    hall = draw.standard_normal(len(wanted)) * np.exp(-seconds_of(len(wanted)) / 0.35)
    far = dials.distance

    def response(hertz: Wave) -> Wave:
        return (hertz / 800) ** (0.9 * dials.tilt) / (1 + far * (hertz / 2200) ** 2) / (1 + (25 / hertz) ** 4)

    wet = np.fft.irfft(np.fft.rfft(wanted) * np.fft.rfft(hall), len(wanted)) if far > 0 else wanted
    wet = wet * (0.9 * far * np.sqrt(float(np.mean(wanted**2)) / max(float(np.mean(wet**2)), 1e-20)))
    return filtered(wanted * (1 - 0.5 * far) + wet, response)[: len(wave)]
