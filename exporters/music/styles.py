"""What the composer knows of each style: tempo, scales, chords, and which patterns its players choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """Weights are relative. `intensity` and `density` are the usual ranges; every style knows all of 0 to 1."""

    bpm: tuple[float, float]
    scales: Mapping[str, float]
    intensity: tuple[float, float]
    density: tuple[float, float]
    shapes: Mapping[str, float]
    comping: tuple[str, ...]  # from sparse to busy
    bass: tuple[str, ...]  # from calm to driving
    groove: tuple[str, ...]
    arpeggios: tuple[str, ...]
    lead: float  # how often there is one
    bars_a_chord: tuple[float, ...] = (1.0,)
    beats: Mapping[int, float] = None  # type: ignore[assignment]

    @property
    def signatures(self) -> Mapping[int, float]:
        return self.beats or {4: 0.86, 3: 0.1, 5: 0.04}


STYLES: dict[str, Style] = {
    "ambient": Style(
        (60, 90),
        {"lydian": 3, "major": 2, "dorian": 2, "minor": 1},
        (0.0, 0.4),
        (0.05, 0.5),
        {"triad": 2, "seventh": 4, "suspended": 3, "open": 1},
        ("pad", "pad", "swell"),
        ("pedal", "pedal", "halves"),
        ("sparse", "heartbeat"),
        ("updown", "broken", "rise"),
        0.6,
        (1.0, 2.0),
    ),
    "exploration": Style(
        (80, 115),
        {"dorian": 3, "major": 2, "lydian": 2, "mixolydian": 2, "minor": 1},
        (0.1, 0.6),
        (0.2, 0.7),
        {"triad": 4, "seventh": 3, "suspended": 2, "open": 1},
        ("pad", "swell", "pulse", "syncopated"),
        ("pedal", "halves", "walk", "syncopated"),
        ("soft", "tribal", "rock"),
        ("up", "updown", "broken", "alberti"),
        0.85,
    ),
    "tense": Style(
        (80, 130),
        {"phrygian": 3, "minor": 3, "harmonic minor": 3},
        (0.3, 0.8),
        (0.2, 0.7),
        {"triad": 4, "suspended": 2, "open": 3, "seventh": 1},
        ("pad", "stabs", "pulse"),
        ("pedal", "heart", "eighths", "syncopated"),
        ("heartbeat", "tribal"),
        ("repeat", "broken", "down"),
        0.5,
    ),
    "combat": Style(
        (120, 165),
        {"minor": 4, "harmonic minor": 2, "phrygian": 2, "dorian": 1},
        (0.5, 1.0),
        (0.4, 0.9),
        {"triad": 3, "open": 5},
        ("stabs", "pulse", "drive"),
        ("eighths", "octaves", "gallop"),
        ("rock", "four", "tribal"),
        ("up", "repeat", "alberti"),
        0.75,
    ),
    "boss": Style(
        (130, 185),
        {"harmonic minor": 4, "phrygian": 3, "minor": 2},
        (0.65, 1.0),
        (0.5, 1.0),
        {"triad": 3, "open": 4, "seventh": 1},
        ("stabs", "syncopated", "drive"),
        ("eighths", "gallop", "sixteenths"),
        ("rock", "tribal", "march"),
        ("up", "updown", "repeat"),
        0.8,
    ),
    "victory": Style(
        (110, 150),
        {"major": 5, "mixolydian": 2, "lydian": 1},
        (0.4, 0.9),
        (0.4, 0.9),
        {"triad": 6, "suspended": 2, "open": 1},
        ("pulse", "stabs", "syncopated"),
        ("halves", "walk", "octaves"),
        ("march", "rock"),
        ("up", "alberti", "updown"),
        0.95,
    ),
    "town": Style(
        (84, 124),
        {"major": 5, "mixolydian": 2, "dorian": 1},
        (0.1, 0.5),
        (0.3, 0.8),
        {"triad": 5, "seventh": 3, "suspended": 1},
        ("offbeat", "pulse", "syncopated"),
        ("halves", "walk", "syncopated"),
        ("soft", "four"),
        ("alberti", "broken", "up"),
        0.95,
        beats={4: 0.7, 3: 0.27, 5: 0.03},
    ),
    "dungeon": Style(
        (66, 104),
        {"phrygian": 3, "minor": 3, "harmonic minor": 2, "dorian": 1},
        (0.1, 0.6),
        (0.1, 0.6),
        {"triad": 3, "open": 3, "suspended": 2},
        ("pad", "swell", "stabs"),
        ("pedal", "heart", "halves"),
        ("tribal", "sparse", "heartbeat"),
        ("down", "broken", "repeat"),
        0.6,
        (1.0, 2.0),
    ),
    "menu": Style(
        (76, 118),
        {"major": 3, "dorian": 2, "lydian": 2, "minor": 1},
        (0.1, 0.5),
        (0.2, 0.7),
        {"seventh": 4, "triad": 3, "suspended": 2},
        ("pad", "pulse", "offbeat", "syncopated"),
        ("pedal", "halves", "syncopated"),
        ("four", "soft"),
        ("up", "updown", "alberti"),
        0.7,
    ),
}

PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (0, 1, 3, 4), (0, 2, 3, 4), (3, 4, 0, 5), (0, 3, 0, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 4), (0, 5, 3, 4), (0, 2, 5, 6), (0, 3, 0, 6), (0, 0, 5, 6)),
    "dorian": ((0, 3, 0, 3), (0, 3, 6, 3), (0, 2, 3, 6), (0, 6, 3, 1), (0, 1, 3, 6)),
    "phrygian": ((0, 1, 0, 6), (0, 1, 2, 1), (0, 0, 1, 1), (0, 6, 1, 6), (0, 5, 1, 6)),
    "lydian": ((0, 1, 0, 1), (0, 1, 4, 1), (0, 4, 1, 4), (0, 5, 1, 4), (0, 2, 1, 4)),
    "mixolydian": ((0, 6, 3, 0), (0, 6, 3, 4), (0, 3, 6, 3), (0, 4, 6, 3), (0, 3, 0, 6)),
    "harmonic minor": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 4), (0, 5, 1, 4), (0, 3, 0, 4)),
}
"""Degrees, a bar each, for four bars."""
TURNS: dict[str, tuple[int, ...]] = {
    "major": (4, 4, 3),
    "minor": (6, 4, 4),
    "dorian": (6, 3),
    "phrygian": (1, 6),
    "lydian": (1, 4),
    "mixolydian": (6, 3, 4),
    "harmonic minor": (4, 4, 1),
}
"""What leads back to the first chord of a loop."""
