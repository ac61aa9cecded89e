"""What plays each style: an instrument for each stream, how loud, where, how much room, and what ducks under the kick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .score import STREAMS


@dataclass(frozen=True)
class Part:
    """voice  an instrument's name, or a drum set's
    gain   dB against the level of one note
    send   how much goes to the room, as a factor
    side   -1 left to 1 right; spread: how far low and high notes stand apart from there
    duck   0 to 0.9: how far a kick pushes it down
    strum  ms from one note of a chord to the next higher
    """

    voice: str
    gain: float = 0
    send: float = 0
    side: float = 0
    spread: float = 0
    duck: float = 0
    strum: float = 0


@dataclass(frozen=True)
class Room:
    """seconds until -60 dB in the middle band; size  ms until the first reflections; dull  Hz above which it dies sooner"""

    seconds: float
    size: float = 14
    dull: float = 5000


@dataclass(frozen=True)
class Kit:
    """drums, bass, chords, arpeggio and lead, the room, and the order in which streams come in as intensity rises."""

    drums: Part
    bass: Part
    chords: Part
    arpeggio: Part
    lead: Part
    room: Room
    order: tuple[str, ...]
    loose: float = 4.0
    """Milliseconds by which hands differ from the grid, one standard deviation less than a third of it."""

    @property
    def parts(self) -> Mapping[str, Part]:
        return {name: getattr(self, name) for name in STREAMS}


KITS: dict[str, Kit] = {
    "ambient": Kit(
        Part("soft", -8), Part("sub bass", -2, duck=0.1), Part("air pad", -2, 0.5, duck=0.1),
        Part("glass bell", -10.5, 0.8, spread=0.6), Part("flute", -5, 0.7, 0.1),
        Room(3.2, 24, 4200), ("chords", "arpeggio", "bass", "lead", "drums"), 7,
    ),
    "exploration": Kit(
        Part("acoustic", -10), Part("pick bass", -2, duck=0.15), Part("strings", -8.5, 0.35, duck=0.12),
        Part("harp", -7.5, 0.45, -0.1, 0.6), Part("flute", -5.5, 0.4, 0.12),
        Room(1.9, 18, 5200), ("chords", "arpeggio", "bass", "lead", "drums"), 5,
    ),
    "tense": Kit(
        Part("dusty", -10), Part("dark bass", -2, duck=0.3), Part("dark pad", -8, 0.4, duck=0.3),
        Part("muted pluck", -9, 0.35, 0.1, 0.7), Part("cello", -7, 0.45, -0.1),
        Room(2.4, 20, 3200), ("bass", "chords", "arpeggio", "drums", "lead"), 2,
    ),
    "combat": Kit(
        Part("electronic", -11), Part("saw bass", -2, duck=0.45), Part("saw stack", -2.5, 0.2, duck=0.45),
        Part("saw pluck", -7.5, 0.25, 0, 0.6, 0.3), Part("square lead", -4, 0.22, duck=0.15),
        Room(1.1, 12, 6000), ("drums", "bass", "arpeggio", "chords", "lead"), 1,
    ),
    "boss": Kit(
        Part("epic", -12), Part("fm bass", -2, duck=0.35), Part("choir", -4, 0.4, duck=0.25),
        Part("metal pluck", -8, 0.3, 0, 0.7, 0.2), Part("saw lead", -4.5, 0.3, duck=0.15),
        Room(2.0, 22, 4500), ("drums", "bass", "chords", "arpeggio", "lead"), 2,
    ),
    "victory": Kit(
        Part("acoustic", -9), Part("round bass", -3, duck=0.2), Part("brass section", -4.5, 0.3, duck=0.15),
        Part("glockenspiel", -14, 0.35, 0, 0.6), Part("trumpet", -2, 0.3),
        Room(1.6, 18, 5500), ("chords", "lead", "bass", "drums", "arpeggio"), 3,
    ),
    "town": Kit(
        Part("soft", -8.5), Part("upright bass", -2, duck=0.1), Part("nylon guitar", -5, 0.25, -0.2, 0.2, strum=11),
        Part("marimba", -9.5, 0.3, 0.25, 0.4), Part("whistle", -6, 0.3),
        Room(1.2, 14, 5200), ("chords", "bass", "lead", "arpeggio", "drums"), 7,
    ),
    "dungeon": Kit(
        Part("dusty", -10.5), Part("dark bass", -2, duck=0.15), Part("low choir", -7.5, 0.5, duck=0.1),
        Part("tubular bell", -14.5, 0.6, 0, 0.8), Part("reed", -9.5, 0.55),
        Room(3.0, 28, 3000), ("chords", "bass", "arpeggio", "lead", "drums"), 6,
    ),
    "menu": Kit(
        Part("dusty", -9.5), Part("sub bass", -4, duck=0.3), Part("electric piano", -2, 0.3, duck=0.3),
        Part("vibraphone", -13, 0.35, 0.1, 0.5), Part("soft lead", -4, 0.35),
        Room(1.7, 16, 5000), ("chords", "bass", "drums", "arpeggio", "lead"), 5,
    ),
}  # fmt: skip

STYLES = tuple(KITS)
