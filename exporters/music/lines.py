"""The composer's arpeggios and leads: figures over chord tones, and motifs that return, vary and lead back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.music.conditions import Conditions
from ...runtime.music.tokens import ARPEGGIO, HOLD, LEAD, LOWEST, SHAPES, STEPS, Tokens, onset
from .harmony import Change

FIGURES: dict[str, tuple[int, ...]] = {
    "up": (0, 1, 2, 3),
    "down": (3, 2, 1, 0),
    "updown": (0, 1, 2, 3, 4, 3, 2, 1),
    "rise": (0, 1, 2, 3, 4, 5, 4, 2),
    "alberti": (0, 2, 1, 2),
    "broken": (0, 2, 1, 3, 2, 4, 3, 1),
    "repeat": (0, 0, 1, 0, 2, 0, 1, 0),
}
"""Which chord tone, counted upwards from the root."""
GATES = ((1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 0, 1, 1, 1, 0), (1, 0, 0, 1, 0, 0, 1, 0), (1, 1, 0, 1, 1, 0, 1, 1))


def arpeggiate(
    into: Tokens, parts: list[Change], conditions: Conditions, figure: str, rng: np.random.Generator
) -> None:
    """A figure that starts anew with each chord; how fast follows intensity and density, how high brightness."""
    drive = 0.55 * conditions.intensity + 0.45 * conditions.density
    if drive < 0.2:
        return
    every = 4 if drive < 0.36 else 2 if drive < 0.66 else 1
    gate = GATES[0] if every > 1 or drive > 0.85 else GATES[int(rng.integers(len(GATES)))]
    high = 7 * round(conditions.brightness * 2 - 0.2 + 0.3 * rng.random())
    tones = FIGURES[figure]
    for part in parts:
        steps = SHAPES[part.shape]
        for count, at in enumerate(range(part.start, part.end, every)):
            if not gate[count % len(gate)]:
                continue
            octave, tone = divmod(tones[count % len(tones)], len(steps))
            step = steps[tone] + 7 * octave + high
            while step >= LOWEST[ARPEGGIO] + STEPS[ARPEGGIO]:
                step -= 7
            end = min(at + every, part.end)
            into[ARPEGGIO, at:end] = HOLD
            into[ARPEGGIO, at] = onset(ARPEGGIO, step, accent=count % 4 == 0 and every < 4)


@dataclass(frozen=True)
class Motif:
    """Two bars: onsets and lengths in sixteenths, and the contour in steps of the scale from the motif's first note."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    contour: tuple[int, ...]


CELLS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.05, (8,)),
    (0.15, (4, 4)),
    (0.3, (6, 2)),
    (0.4, (4, 2, 2)),
    (0.5, (3, 3, 2)),
    (0.6, (2, 2, 2, 2)),
    (0.7, (2, 1, 1, 4)),
    (0.8, (3, 1, 2, 2)),
    (0.9, (1, 1, 2, 1, 1, 2)),
    (1.0, (2, 1, 1, 2, 1, 1)),
)
"""Rhythms of half a bar (lengths in sixteenths) by how dense they are."""


def motif(conditions: Conditions, rng: np.random.Generator) -> Motif:
    bar = 4 * conditions.beats
    starts, lengths, at = [], [], 0
    density = conditions.density
    cells = [cell for _, cell in sorted(CELLS, key=lambda each: abs(each[0] - density))[:4]]
    chosen = [cells[int(rng.integers(len(cells)))] for _ in range(2)]
    number = 0
    while at < 2 * bar:
        cell = chosen[number % 2]
        quiet = number > 0 and rng.random() < 0.45 - 0.4 * density
        for length in cell:
            length = min(length, 2 * bar - at)
            if length > 0 and not quiet:
                starts.append(at)
                lengths.append(length)
            at += max(length, 0)
        number += 1
    contour, step, direction = [0], 0, int(rng.choice((-1, 1)))
    for _ in starts[1:]:
        if rng.random() < 0.3:
            direction = -direction
        step += direction * int(rng.choice((0, 1, 1, 1, 2, 3), p=(0.1, 0.25, 0.25, 0.15, 0.15, 0.1)))
        if abs(step) > 6:
            direction = -1 if step > 0 else 1
        contour.append(step)
    return Motif(tuple(starts), tuple(lengths), tuple(contour))


def lead(into: Tokens, parts: list[Change], conditions: Conditions, rng: np.random.Generator) -> None:
    """Two-bar units in the order a a' b a'': repeated, moved with the harmony, contrasted, and led back to the start."""
    bar = 4 * conditions.beats
    a, b = motif(conditions, rng), motif(conditions, rng)
    plan = [a, a, b, a] if rng.random() < 0.7 else [a, b, a, b]
    silent = {number for number in range(1, 4) if rng.random() < 0.35 - 0.4 * conditions.density}
    centre = 2 + round(9 * conditions.brightness)
    frames, previous, first = into.shape[1], centre, None
    for unit in range(-(-conditions.bars // 2)):
        if unit % 4 in silent:
            continue
        chosen, base = plan[unit % 4], 2 * bar * unit
        last_unit = unit == -(-conditions.bars // 2) - 1
        start_step = _near(_tones(parts, min(base + chosen.starts[0], frames - 1)), previous + _pull(previous, centre))
        for number, (start, length) in enumerate(zip(chosen.starts, chosen.lengths, strict=True)):
            at = base + start
            if at >= frames:
                break
            step = start_step + chosen.contour[number]
            if at % 4 == 0 or length >= 4:  # what is heard most stands on the chord
                step = _near(_tones(parts, at), step)
            if last_unit and number == len(chosen.starts) - 1 and first is not None and conditions.section == "loop":
                step = first + (1 if step > first else -1)
            step = _inside(step)
            end = min(at + length, frames)
            into[LEAD, at:end] = HOLD
            into[LEAD, at] = onset(LEAD, step, accent=start == 0 or at % bar == 0)
            first = step if first is None else first
            previous = step


def _pull(step: int, centre: int) -> int:
    return int(np.sign(centre - step)) * (abs(centre - step) // 3)


def _tones(parts: list[Change], at: int) -> list[int]:
    """Steps of the scale that belong to the chord at a frame."""
    part = next(part for part in parts if part.start <= at < part.end)
    return [part.degree + step + 7 * octave for octave in range(-2, 3) for step in SHAPES[part.shape]]


def _near(tones: list[int], step: int) -> int:
    return min(tones, key=lambda tone: (abs(tone - step), tone))


def _inside(step: int) -> int:
    low, high = LOWEST[LEAD], LOWEST[LEAD] + STEPS[LEAD]
    while step < low:
        step += 7
    while step >= high:
        step -= 7
    return step
