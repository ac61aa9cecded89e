"""The composer's drums and bass: patterns that fill up as intensity rises, with variations, fills and approach notes."""

from __future__ import annotations

import numpy as np

from ...runtime.music.conditions import Conditions
from ...runtime.music.tokens import (
    BASS,
    CRASH,
    DRUM,
    HAT,
    HOLD,
    KICK,
    OPEN,
    RIDE,
    ROOT_FOLD,
    SNARE,
    TOM,
    Tokens,
    onset,
)
from .harmony import Change

Hits = tuple[float, int, tuple[int, ...]]
EIGHTHS, SIXTEENTHS, OFFBEATS = tuple(range(0, 20, 2)), tuple(range(20)), (2, 6, 10, 14, 18)
QUARTERS = (0, 4, 8, 12, 16)

GROOVES: dict[str, tuple[Hits, ...]] = {
    "sparse": (
        (0.1, RIDE, (0,)),
        (0.25, KICK, (0,)),
        (0.4, HAT, QUARTERS),
        (0.5, KICK, (10,)),
        (0.6, SNARE, (12,)),
        (0.7, HAT, EIGHTHS),
        (0.85, TOM, (6, 14)),
        (0.95, HAT, SIXTEENTHS),
    ),
    "soft": (
        (0.06, HAT, (4, 12)),
        (0.14, KICK, (0,)),
        (0.22, HAT, QUARTERS),
        (0.3, KICK, (8,)),
        (0.36, SNARE, (12,)),
        (0.42, HAT, EIGHTHS),
        (0.5, SNARE, (4,)),
        (0.62, KICK, (10,)),
        (0.74, OPEN, (14,)),
        (0.84, KICK, (6,)),
        (0.92, HAT, SIXTEENTHS),
    ),
    "heartbeat": (
        (0.04, KICK, (0,)),
        (0.14, KICK, (3,)),
        (0.26, HAT, QUARTERS),
        (0.36, KICK, (8, 11)),
        (0.46, HAT, EIGHTHS),
        (0.58, SNARE, (12,)),
        (0.66, TOM, (14,)),
        (0.74, HAT, SIXTEENTHS),
        (0.84, SNARE, (4,)),
        (0.93, TOM, (6, 7)),
    ),
    "tribal": (
        (0.05, TOM, (0,)),
        (0.15, TOM, (6,)),
        (0.25, KICK, (0, 8)),
        (0.35, TOM, (11, 14)),
        (0.45, RIDE, QUARTERS),
        (0.55, TOM, (3,)),
        (0.65, SNARE, (12,)),
        (0.74, HAT, EIGHTHS),
        (0.82, KICK, (4, 12)),
        (0.9, TOM, (8, 9)),
        (0.96, HAT, SIXTEENTHS),
    ),
    "rock": (
        (0.05, HAT, QUARTERS),
        (0.15, KICK, (0,)),
        (0.25, SNARE, (12,)),
        (0.32, KICK, (8,)),
        (0.4, SNARE, (4,)),
        (0.48, HAT, EIGHTHS),
        (0.58, KICK, (10,)),
        (0.66, OPEN, (14,)),
        (0.72, KICK, (6,)),
        (0.8, HAT, SIXTEENTHS),
        (0.88, KICK, (3, 14)),
        (0.95, SNARE, (7, 15)),
    ),
    "four": (
        (0.06, HAT, OFFBEATS),
        (0.16, KICK, (0,)),
        (0.26, KICK, (8,)),
        (0.36, KICK, QUARTERS),
        (0.46, SNARE, (4, 12)),
        (0.56, HAT, EIGHTHS),
        (0.66, OPEN, (2, 10)),
        (0.76, HAT, SIXTEENTHS),
        (0.88, KICK, (14,)),
        (0.95, SNARE, (15,)),
    ),
    "march": (
        (0.06, KICK, (0,)),
        (0.16, SNARE, (4, 12)),
        (0.28, KICK, (8,)),
        (0.4, SNARE, (14,)),
        (0.5, SNARE, (6,)),
        (0.6, HAT, QUARTERS),
        (0.7, SNARE, (15, 7)),
        (0.8, TOM, (10,)),
        (0.88, HAT, EIGHTHS),
        (0.95, SNARE, (1, 2, 9)),
    ),
}
"""What a groove adds from which intensity on: (intensity, drum, sixteenths of the bar)."""


def drum(into: Tokens, conditions: Conditions, groove: str, rng: np.random.Generator) -> None:
    bar, loud = 4 * conditions.beats, conditions.intensity
    first = np.zeros(bar, np.int64)
    for least, what, where in GROOVES[groove]:
        if loud >= least:
            first[[at for at in where if at < bar]] |= what
    if not first.any():
        return
    second = first.copy()  # the other bar of the pattern: one kick moves
    movable = [at for at in np.nonzero(first & KICK)[0] if at]
    if movable and rng.random() < 0.7:
        at = int(rng.choice(movable))
        second[at] &= ~KICK
        second[(at + int(rng.choice((-2, 2)))) % bar] |= KICK
    for number in range(conditions.bars):
        into[DRUM, number * bar : (number + 1) * bar] = second if number % 2 else first
    if loud > 0.35:
        into[DRUM, 0] |= CRASH
        if loud > 0.65:
            into[DRUM, 0 :: 4 * bar] |= CRASH
    figure = fill_figure(rng)
    for number in range(3, conditions.bars, 4):
        end = (number + 1) * bar
        length = 8 if (number % 8 == 7 or number == conditions.bars - 1) and loud > 0.45 else 4
        if loud > 0.25:
            into[DRUM, end - length : end] = figure[-length:]


def fill_figure(rng: np.random.Generator) -> np.ndarray:
    """Eight sixteenths of snare and toms, fuller towards the end."""
    figure = np.where(rng.random(8) < 0.55, SNARE, 0)
    figure[4:] = np.where(rng.random(4) < 0.85, TOM, SNARE)
    figure[[0, 4]] |= SNARE
    if rng.random() < 0.5:
        figure[[0, 4]] |= KICK
    return figure


BASSES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "pedal": ((0, 99, 0),),
    "halves": ((0, 7, 0), (8, 7, 4), (16, 4, 0)),
    "heart": ((0, 2, 0), (3, 4, 0), (8, 2, 0), (11, 4, 0), (16, 4, 0)),
    "walk": ((0, 4, 0), (4, 4, 2), (8, 4, 4), (12, 4, 2), (16, 4, 4)),
    "syncopated": ((0, 3, 0), (3, 3, 0), (6, 2, 4), (8, 3, 7), (11, 3, 4), (14, 2, 0), (16, 4, 4)),
    "eighths": tuple((at, 2, 0) for at in range(0, 20, 2)),
    "octaves": tuple((at, 2, 0 if at % 4 == 0 else 7) for at in range(0, 20, 2)),
    "gallop": tuple((at + off, 2 if off == 0 else 1, 0) for at in range(0, 20, 4) for off in (0, 2, 3)),
    "sixteenths": tuple((at, 1, 7 if at % 8 == 6 else 0) for at in range(20)),
}
"""(sixteenth of the bar, length, steps above the chord's root)"""


def bass(into: Tokens, parts: list[Change], conditions: Conditions, pattern: str, rng: np.random.Generator) -> None:
    """The pattern over each chord, starting anew with it; the last note before a change steps towards the next root."""
    bar = 4 * conditions.beats
    colour = int(rng.choice((4, 4, 2, -3)))  # what the pattern's fifths are in this piece
    for number, part in enumerate(parts):
        following = parts[(number + 1) % len(parts)]
        length = part.end - part.start
        notes = [
            (base + at, min(long, length - base - at), colour if step == 4 else step)
            for base in range(0, length, bar if pattern != "pedal" else length)
            for at, long, step in BASSES[pattern]
            if at < bar and base + at < length
        ]
        towards = _root(following.degree) - _root(part.degree)
        near = towards - 1 if towards > 0 else towards + 1
        if len(notes) > 2 and following.degree != part.degree and -4 <= near <= 9 and rng.random() < 0.7:
            at, long, _ = notes[-1]
            notes[-1] = (at, long, near)
        for at, long, step in notes:
            at += part.start
            into[BASS, at : at + long] = HOLD
            into[BASS, at] = onset(BASS, step, accent=at % bar == 0)


def _root(degree: int) -> int:
    return degree - 7 if degree >= ROOT_FOLD else degree
