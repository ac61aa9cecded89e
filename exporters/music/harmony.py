"""The composer's chords: a progression for the whole piece, and how they are struck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ...runtime.music.conditions import Conditions
from ...runtime.music.tokens import CHORDS, HOLD, REST, Tokens, chord
from .styles import PROGRESSIONS, TURNS, Style

T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """A chord from `start` until `end` (sixteenths)."""

    start: int
    end: int
    degree: int
    shape: str


def weighted(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    chances = np.array(list(weights.values()), float)
    return list(weights)[int(rng.choice(len(chances), p=chances / chances.sum()))]


def changes(conditions: Conditions, style: Style, rng: np.random.Generator) -> list[Change]:
    """The chords of a piece, which cover it without gaps."""
    degrees = _degrees(conditions, style, rng)
    bar = 4 * conditions.beats
    usual = weighted(rng, style.shapes)
    shapes = {degree: usual if rng.random() < 0.6 else weighted(rng, style.shapes) for degree in range(7)}
    found: list[Change] = []
    for number, degree in enumerate(degrees):
        start, end = number * bar, (number + 1) * bar
        if found and found[-1].degree == degree and conditions.progression is None and number % 2:
            found[-1] = Change(found[-1].start, end, degree, found[-1].shape)
        else:
            found.append(Change(start, end, degree, shapes[degree]))
    last = found[-1]
    if conditions.section == "loop" and last.end - last.start == bar and conditions.beats == 4 and rng.random() < 0.25:
        turn = int(rng.choice(TURNS[conditions.scale]))  # two chords in the last bar
        if turn != last.degree:
            half = last.start + bar // 2
            found[-1:] = [Change(last.start, half, last.degree, last.shape), Change(half, last.end, turn, shapes[turn])]
    return found


def _degrees(conditions: Conditions, style: Style, rng: np.random.Generator) -> list[int]:
    """A degree a bar: A A' phrases of four bars; from sixteen bars on A A' B A'."""
    bars, scale = conditions.bars, conditions.scale
    if conditions.section == "stinger":
        return [0] if bars == 1 else [int(rng.choice(TURNS[scale]))] * (bars - 1) + [0]
    if conditions.section == "fill":
        return [int(rng.choice((0, *TURNS[scale]))) for _ in range(bars)]
    first = _phrase(scale, rng)
    other = _phrase(scale, rng)
    slow = float(rng.choice(style.bars_a_chord))
    if slow == 2.0:
        first = [degree for degree in first for _ in (0, 1)]
        other = [degree for degree in other for _ in (0, 1)]
    turned = [*first[:-1], int(rng.choice(TURNS[scale]))]
    if slow == 2.0:
        turned[-2] = turned[-1] if rng.random() < 0.5 else turned[-2]
    parts = [first, turned, other, turned] if bars > 8 else [first, turned]
    run = [degree for number in range(8) for degree in parts[number % len(parts)]][:bars]
    if conditions.section == "loop" and bars > 1:
        run[-1] = turned[-1] if run[-1] == 0 or rng.random() < 0.8 else run[-1]
    if conditions.section == "ending":
        run[-1] = 0
        if bars > 1:
            run[-2] = int(rng.choice(TURNS[scale]))
    return run


def _phrase(scale: str, rng: np.random.Generator) -> list[int]:
    options = PROGRESSIONS[scale]
    return list(options[int(rng.integers(len(options)))])


COMPING: dict[str, tuple[tuple[int, int], ...]] = {
    "swell": ((0, 14),),
    "pulse": ((0, 3), (4, 3), (8, 3), (12, 3), (16, 3)),
    "offbeat": ((2, 2), (6, 2), (10, 2), (14, 2), (18, 2)),
    "stabs": ((0, 2), (6, 2), (12, 2), (16, 2)),
    "syncopated": ((0, 3), (3, 3), (6, 2), (10, 2), (12, 3), (16, 3)),
    "drive": tuple((at, 2) for at in range(0, 20, 2)),
}
"""Onsets in a bar and how long they last, sixteenths. A pad holds from change to change."""


def comp(into: Tokens, parts: list[Change], conditions: Conditions, pattern: str) -> None:
    """Strikes the chords; every change is struck, so that the harmony can be read off the stream."""
    bar = 4 * conditions.beats
    for part in parts:
        word = chord(part.degree, part.shape)
        onsets = [(part.start, part.end - part.start)]
        if pattern != "pad":
            figure = [
                (at + b, length) for b in range(0, into.shape[1], bar) for at, length in COMPING[pattern] if at < bar
            ]
            onsets = [(at, min(length, part.end - at)) for at, length in figure if part.start <= at < part.end]
            if not onsets or onsets[0][0] != part.start:
                onsets.insert(0, (part.start, min(2, (onsets[0][0] if onsets else part.end) - part.start)))
        for at, length in onsets:
            into[CHORDS, at : at + length] = HOLD
            into[CHORDS, at] = word
    assert into[CHORDS, 0] != REST
