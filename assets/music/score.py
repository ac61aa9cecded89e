"""What is played, before it sounds: notes of five streams on a grid of sixteenths, with the key and chords they stand in."""

from __future__ import annotations

from dataclasses import dataclass

STREAMS = ("drums", "bass", "chords", "arpeggio", "lead")

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}
"""Semitones of the seven degrees above the tonic."""


@dataclass(frozen=True)
class Note:
    """One note: stream (index into STREAMS), start and length in sixteenths from the loop's start, MIDI pitch, velocity 1 to 127.

    Drums carry General MIDI percussion numbers as pitch. A note may sound past the loop's end: it wraps.
    """

    stream: int
    start: int
    length: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Chord:
    """A chord from `start` (sixteenths) until the next: a degree 0 to 6 of the scale and the chord's pitch classes 0 to 11."""

    start: int
    degree: int
    pitches: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """A loop of `bars` bars of `beats` quarter notes at `bpm`, in the key of `tonic` (0 = C) and `scale` (a name of SCALES).

    loops  else it is heard once, as an intro or an ending is: nothing wraps, and what rings after the last bar is part of it
    """

    notes: tuple[Note, ...]
    chords: tuple[Chord, ...]
    bars: int
    beats: int
    bpm: float
    tonic: int
    scale: str
    style: str
    loops: bool = True

    @property
    def frames(self) -> int:
        """Sixteenths of the whole loop."""
        return self.bars * self.beats * 4
