"""Ambiences: sounds without a beginning, periodic over their length. `of(draw, samples, dials)` gives a wave (samples,)."""

from __future__ import annotations

import numpy as np

from .dials import Dials
from .signal import RATE, Draw, Wave, band, fall, glide, noise, scatter, seconds_of, slow


def wind(draw: Draw, samples: int, dials: Dials) -> Wave:
    """Broad noise under gusts, and a whistle whose loudness follows them."""
    gusts = np.exp((0.45 + 0.25 * dials.density) * slow(draw, samples, 1.2))
    body = noise(draw, samples, band(120 * dials.pitch, 450 * dials.pitch, 0.8)) * gusts
    pitch = dials.pitch * draw.uniform(500, 900)
    whistle = noise(draw, samples, band(pitch * 0.93, pitch * 1.07, 3)) * gusts**2
    air = noise(draw, samples, band(1500, 5000, 0.7)) * gusts**1.5
    return body + draw.uniform(0.1, 0.3) * whistle + 0.06 * air


def rain(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A bed of hiss and single drops over it, a few hundred a second."""
    bed = noise(draw, samples, band(900 * dials.pitch, 9000, 0.6)) * (1 + 0.08 * slow(draw, samples, 2))
    count = int(samples / RATE * 180 * 3**dials.density)
    drops = [_drop(draw, dials) for _ in range(min(count, 60))]
    which = draw.integers(len(drops), size=count)
    scattered = scatter(
        samples, [drops[i] * draw.exponential() for i in which], draw.integers(samples, size=count).tolist()
    )
    return bed + draw.uniform(1.5, 3.0) * scattered


def _drop(draw: Draw, dials: Dials) -> Wave:
    length = int(RATE * 0.012)
    return fall(length, draw.uniform(0.001, 0.003), 0.0003) * noise(draw, length, band(1500 * dials.pitch, 7000, 1))


def fire(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A low roar that flickers, and crackles, many small and few large."""
    roar = noise(draw, samples, band(60, 350 * dials.pitch, 0.9)) * np.exp(0.35 * slow(draw, samples, 9))
    hiss = noise(draw, samples, band(2000, 7000, 0.7)) * np.exp(0.5 * slow(draw, samples, 14))
    count = int(samples / RATE * 14 * 3**dials.density)
    crackles = []
    for _ in range(count):
        length = int(RATE * draw.uniform(0.006, 0.03))
        tone = draw.uniform(900, 4500) * dials.pitch
        burst = noise(draw, length, band(tone * 0.6, tone * 1.6, 1))
        crackles.append(fall(length, length / RATE / 5, 0.0003) * burst * min(6.0, draw.pareto(1.6) + 0.3))
    return roar + 0.08 * hiss + 0.9 * scatter(samples, crackles, draw.integers(samples, size=count).tolist())


def ocean(draw: Draw, samples: int, dials: Dials) -> Wave:
    """Waves that rise, break and draw back; as many as fit into the length, so the last meets the first."""
    count = max(1, round(samples / RATE / 3.2 * 1.6**dials.density))
    phase = (seconds_of(samples) * RATE / samples * count + draw.random()) % 1.0
    swell = np.where(phase < 0.4, (phase / 0.4) ** 2.5, np.exp(-(phase - 0.4) * 4.5))
    swell = swell * np.exp(0.15 * slow(draw, samples, 3))
    body = noise(draw, samples, band(90 * dials.pitch, 700 * dials.pitch, 0.7)) * (0.25 + swell)
    foam = noise(draw, samples, band(1200 * dials.pitch, 8000, 0.6)) * (0.03 + swell**1.6)
    return body + 0.8 * foam


def stream(draw: Draw, samples: int, dials: Dials) -> Wave:
    """Bubbles: short sines that rise, hundreds a second, over a soft wash."""
    wash = noise(draw, samples, band(400 * dials.pitch, 2500 * dials.pitch, 0.7)) * np.exp(0.2 * slow(draw, samples, 5))
    count = int(samples / RATE * 45 * 2.5**dials.density)
    bubbles = []
    for _ in range(count):
        length = int(RATE * draw.uniform(0.02, 0.07))
        pitch = dials.pitch * np.exp(draw.normal(np.log(900), 0.45))
        bubble = glide(length, pitch, pitch * draw.uniform(1.1, 1.6), length / RATE)
        bubbles.append(bubble * fall(length, length / RATE / 4, 0.002) * draw.exponential())
    return 0.5 * wash + 1.2 * scatter(samples, bubbles, draw.integers(samples, size=count).tolist())


def crickets(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A few insects, each with its pitch and its rhythm of chirps, over the air of a night."""
    made = 0.06 * noise(draw, samples, band(200, 3000, 0.6))
    t = seconds_of(samples)
    for _ in range(max(1, round(3 * 2**dials.density))):
        pulses = max(1, round(samples / RATE * draw.uniform(22, 38)))
        chirps = max(1, round(samples / RATE * draw.uniform(1.2, 2.6)))
        turn = t * RATE / samples
        pulse = np.clip(np.sin(2 * np.pi * (pulses * turn + draw.random())), 0, 1) ** 1.5
        chirp = np.clip(np.sin(2 * np.pi * (chirps * turn + draw.random())) * 3 - draw.uniform(-1.5, 0.5), 0, 1)
        cycles = round(dials.pitch * draw.uniform(3200, 5000) * samples / RATE)
        made += draw.uniform(0.3, 1.0) * np.sin(2 * np.pi * cycles * turn) * pulse * chirp
    return made


def engine(draw: Draw, samples: int, dials: Dials) -> Wave:
    """Firing strokes and their harmonics, uneven from stroke to stroke, and the noise of the casing."""
    turn = seconds_of(samples) * RATE / samples
    cycles = round(dials.pitch * draw.uniform(38, 70) * samples / RATE)
    made = np.zeros(samples)
    for number in range(1, 24):
        uneven = 1 + 0.25 * slow(draw, samples, 6)
        made += (
            uneven
            * number**-0.9
            * draw.uniform(0.3, 1.2)
            * np.sin(2 * np.pi * (cycles * number * turn + draw.random()))
        )
    strokes = np.clip(np.sin(2 * np.pi * cycles * turn), 0, 1) ** 2
    casing = noise(draw, samples, band(250 * dials.pitch, 1500 * dials.pitch, 0.8)) * (0.3 + strokes)
    return made + (0.35 + 0.15 * dials.density) * casing


def drone(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A root, its fifth and octave, beating slowly, under dark air."""
    root = 440 * 2 ** ((draw.integers(-36, -22)) / 12) * dials.pitch
    turn = seconds_of(samples) * RATE / samples
    made = np.zeros(samples)
    for ratio, weight in ((1, 1.0), (1.5, 0.5), (2, 0.6), (3, 0.25), (4, 0.2), (5, 0.08), (6, 0.08), (8, 0.05)):
        for _ in range(2):
            cycles = round(root * ratio * (1 + draw.normal(0, 0.002)) * samples / RATE)
            swell = np.exp(0.4 * slow(draw, samples, 1.5))
            made += weight * draw.uniform(0.4, 1) * swell * np.sin(2 * np.pi * (cycles * turn + draw.random()))
    air = noise(draw, samples, band(root * 2, root * 6, 0.8)) * np.exp(0.3 * slow(draw, samples, 1.5))
    return made + (0.2 + 0.1 * dials.density) * air


def pad(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A chord of soft saws in equal temperament, each voice a little apart from itself."""
    root = int(draw.integers(-21, -9))
    chord = [(0, 3, 7), (0, 4, 7), (0, 3, 7, 10), (0, 4, 7, 11), (0, 5, 7)][int(draw.integers(5))]
    turn = seconds_of(samples) * RATE / samples
    made = np.zeros(samples)
    dark = draw.uniform(1.3, 1.9)
    for step in (*chord, 12 + chord[int(draw.integers(len(chord)))]):
        hertz = 440 * 2 ** ((root + step) / 12) * dials.pitch
        for number in range(1, 13):
            swell = np.exp(0.25 * slow(draw, samples, 1.0))
            for apart in (-0.0012, 0.0015):
                cycles = round(hertz * number * (1 + apart) * samples / RATE)
                made += swell * number**-dark * np.sin(2 * np.pi * (cycles * turn + draw.random()))
    return made + 0.05 * noise(draw, samples, band(800, 4000, 0.7))


AMBIENCES = {
    "wind": wind, "rain": rain, "fire": fire, "ocean": ocean, "stream": stream, "crickets": crickets, "engine": engine,
    "drone": drone, "pad": pad,
}  # fmt: skip
