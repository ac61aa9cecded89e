"""Impacts and other sounds that begin and end. `of(draw, samples, dials)` gives a wave (samples,) that starts at once."""

from __future__ import annotations

import numpy as np

from .dials import Dials
from .signal import RATE, Draw, Wave, band, fall, glide, modes, noise, scatter, seconds_of


def _click(draw: Draw, samples: int, low: float, high: float, decay: float) -> Wave:
    return noise(draw, samples, band(low, high, 1)) * fall(samples, decay, 0.0004)


def _struck(
    draw: Draw, samples: int, dials: Dials, ratios: tuple[float, ...], base: float, ring: float, damping: float
) -> Wave:
    """Modes at `ratios` of `base` Hz; higher ones are weaker when hit softly and ring shorter."""
    apart = np.exp(draw.normal(0, 0.02, len(ratios)))
    hertz = base * dials.pitch * np.array(ratios) * apart
    order = np.arange(len(ratios))
    weight = draw.uniform(0.4, 1.0, len(ratios)) * np.exp(-order * (0.22 - 0.13 * dials.force))
    decay = ring * dials.length * (hertz / hertz[0]) ** -damping * np.exp(draw.normal(0, 0.15, len(ratios)))
    return modes(samples, hertz, decay, weight, draw.uniform(0, 1, len(ratios)))


def wood_hit(draw: Draw, samples: int, dials: Dials) -> Wave:
    base = draw.uniform(180, 420)
    body = _struck(draw, samples, dials, (1, 2.57, 4.2, 5.9, 7.4, 9.6), base, 0.045, 0.5)
    return body + (0.5 + 0.3 * dials.force) * _click(draw, samples, 400, 3500, 0.006)


def metal_hit(draw: Draw, samples: int, dials: Dials) -> Wave:
    base = draw.uniform(240, 620)
    ratios = tuple(np.cumsum(np.concatenate([[1.0], draw.uniform(0.3, 1.1, 13)])))
    body = _struck(draw, samples, dials, ratios, base, 0.55, 0.35)
    return body + (0.8 + 0.5 * dials.force) * _click(draw, samples, 2000, 9000, 0.008)


def stone_hit(draw: Draw, samples: int, dials: Dials) -> Wave:
    base = draw.uniform(350, 900)
    body = _struck(draw, samples, dials, (1, 1.6, 2.3, 3.3, 4.1, 5.2), base, 0.012, 0.2)
    thud = glide(samples, 130 * dials.pitch, 70 * dials.pitch, 0.03) * fall(samples, 0.035 * dials.length)
    grit = [_click(draw, 1200, 1500, 8000, 0.003) * draw.exponential(0.25) for _ in range(7)]
    places = np.abs(draw.normal(0, 0.04, 7) * RATE).astype(int)
    scattered = scatter(samples, grit, np.minimum(places, samples - 1).tolist())
    return body + 0.8 * thud + 0.9 * _click(draw, samples, 700, 6000, 0.012 * dials.length) + scattered


def glass(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A break: a crack, then shards that ring one after another."""
    made = 1.2 * _click(draw, samples, 2500, 12000, 0.02)
    count = int(16 * 2**dials.density)
    shards, places = [], []
    for _ in range(count):
        hertz = dials.pitch * draw.uniform(1800, 6500) * np.array([1, 1.9, 2.7])
        ring = draw.uniform(0.02, 0.09) * dials.length
        shards.append(modes(int(RATE * 0.5), hertz, ring, np.array([1, 0.5, 0.3]) * draw.exponential(0.35)))
        places.append(min(samples - 1, int(RATE * draw.exponential(0.13 * dials.length))))
    return made + _ended(scatter(2 * samples, shards, places)[:samples])


def bell(draw: Draw, samples: int, dials: Dials) -> Wave:
    base = 440 * 2 ** (draw.integers(-7, 10) / 12)
    body = _struck(draw, samples, dials, (0.5, 1, 1.19, 1.5, 2, 2.66, 3.01, 4.17, 5.43), base, 1.1, 0.6)
    return body + 0.25 * _click(draw, samples, 2000, 7000, 0.005)


def drum(draw: Draw, samples: int, dials: Dials) -> Wave:
    start = draw.uniform(120, 240) * dials.pitch
    skin = glide(samples, start * 1.6, start * 0.75, 0.04) * fall(samples, 0.16 * dials.length, 0.002)
    body = _struck(draw, samples, dials, (1.59, 2.14, 2.3, 2.65, 2.92), start, 0.07, 0.4)
    return skin + 0.35 * body + (0.35 + 0.25 * dials.force) * _click(draw, samples, 300, 5000, 0.015)


def drip(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A drop into water in a hollow place: a click, a bubble that rises, and some echoes of both."""
    pitch = dials.pitch * draw.uniform(650, 1500)
    length = int(0.16 * RATE)
    bubble = glide(length, pitch, pitch * draw.uniform(1.5, 2.2), 0.05) * fall(length, 0.03, 0.004)
    drop = 0.25 * _click(draw, length, 2000, 8000, 0.002) + np.concatenate([np.zeros(320), bubble[:-320]])
    made = np.zeros(samples)
    at, loud = 0, 1.0
    while at < samples - length and loud > 0.02:
        made[at : at + length] += loud * drop
        at, loud = at + int(RATE * draw.uniform(0.06, 0.16)), loud * 0.42 * min(1.4, dials.length)
    return made


def whoosh(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A band of noise that sweeps up and down as it passes."""
    length = min(samples - 1, int(RATE * draw.uniform(0.35, 0.6) * dials.length))
    swell = np.sin(np.pi * np.linspace(0, 1, length) ** draw.uniform(0.8, 1.4)) ** 2
    made = np.zeros(samples)
    centre = dials.pitch * draw.uniform(500, 1000)
    for octave, when in ((0, 0.5), (0.8, 0.8), (1.6, 1.6), (2.4, 3.0)):
        part = noise(draw, length, band(centre * 2**octave * 0.75, centre * 2**octave * 1.35, 1.5))
        made[:length] += part * swell ** (1 + when) * 0.7**octave
    return made


def explosion(draw: Draw, samples: int, dials: Dials) -> Wave:
    long = dials.length * draw.uniform(0.8, 1.2)
    boom = glide(samples, 110 * dials.pitch, 38 * dials.pitch, 0.12) * fall(samples, 0.35 * long, 0.003)
    blast = noise(draw, samples, band(60, 900 * dials.pitch, 0.7)) * fall(samples, 0.3 * long, 0.004)
    crack = noise(draw, samples, band(1000, 9000, 0.7)) * fall(samples, 0.06 * long, 0.001)
    debris = [_click(draw, 1600, 800, 5000, 0.006) * draw.exponential(0.2) for _ in range(18)]
    places = [min(samples - 1, int(RATE * each)) for each in draw.exponential(0.35 * long, 18) + 0.05]
    return 1.3 * boom + blast + 0.7 * crack + _ended(scatter(2 * samples, debris, places)[:samples])


def thunder(draw: Draw, samples: int, dials: Dials) -> Wave:
    """A crack that tears, and rolls that follow from farther away."""
    made = np.zeros(samples)
    count = int(7 * 1.6**dials.density)
    at = 0.0
    for number in range(count):
        place = int(at * RATE)
        if place >= samples - 400:
            break
        rest = samples - place
        high = 2200 * dials.pitch / (1 + 1.2 * at)
        roll = noise(draw, rest, band(40, high * 0.25 + 60, 0.9)) + 0.5 * noise(draw, rest, band(high * 0.3, high, 0.8))
        made[place:] += (
            roll * fall(rest, 0.28 * dials.length, 0.004 + 0.03 * min(1, at)) * 0.8**number * draw.uniform(0.4, 1)
        )
        at += draw.uniform(0.05, 0.35) * dials.length
    return made


def zap(draw: Draw, samples: int, dials: Dials) -> Wave:
    start = dials.pitch * draw.uniform(1800, 3600)
    decay = draw.uniform(0.05, 0.11) * dials.length
    low = draw.uniform(90, 220) * dials.pitch
    t = seconds_of(samples)
    phase = 2 * np.pi * np.cumsum(low + (start - low) * np.exp(-t / decay)) / RATE
    tone = np.sin(phase + 1.2 * np.sin(phase * 0.5)) + 0.35 * np.sin(2 * phase)
    return tone * fall(samples, 1.6 * decay, 0.002)


def pickup(draw: Draw, samples: int, dials: Dials) -> Wave:
    """Two or three rising notes of a chime."""
    root = 440 * 2 ** (draw.integers(3, 15) / 12) * dials.pitch
    steps = [(0, 7), (0, 4, 7), (0, 5, 12), (0, 12)][int(draw.integers(4))]
    apart = draw.uniform(0.055, 0.085)
    made = np.zeros(samples)
    for number, step in enumerate(steps):
        place = int(number * apart * RATE)
        if place < samples:
            ring = 0.16 * dials.length * (2.0 if number == len(steps) - 1 else 0.6)
            hertz = root * 2 ** (step / 12) * np.array([1, 2, 3.01, 4.02])
            made[place:] += modes(samples - place, hertz, ring, [1, 0.35, 0.2, 0.08])
    return made


def splash(draw: Draw, samples: int, dials: Dials) -> Wave:
    body = noise(draw, samples, band(500 * dials.pitch, 5500, 0.7)) * fall(samples, 0.14 * dials.length, 0.02)
    thump = glide(samples, 170 * dials.pitch, 90 * dials.pitch, 0.05) * fall(samples, 0.06, 0.003)
    count = int(22 * 2**dials.density)
    bubbles, places = [], []
    for _ in range(count):
        length = int(RATE * draw.uniform(0.02, 0.06))
        pitch = dials.pitch * np.exp(draw.normal(np.log(1000), 0.4))
        shape = fall(length, length / RATE / 4, 0.002) * draw.exponential(0.4)
        bubbles.append(glide(length, pitch, pitch * 1.4, length / RATE) * shape)
        places.append(min(samples - 1, int(RATE * (0.05 + draw.exponential(0.2 * dials.length)))))
    return body + thump + _ended(scatter(2 * samples, bubbles, places)[:samples])


def _ended(wave: Wave) -> Wave:
    """What was cut off at the end, faded over its last fiftieth of a second."""
    length = min(len(wave), RATE // 50)
    wave[-length:] *= np.linspace(1, 0, length)
    return wave


SHOTS_MADE = {
    "wood hit": wood_hit, "metal hit": metal_hit, "stone hit": stone_hit, "glass": glass, "bell": bell, "drum": drum,
    "drip": drip, "whoosh": whoosh, "explosion": explosion, "thunder": thunder, "zap": zap, "pickup": pickup,
    "splash": splash,
}  # fmt: skip
