"""Tokens of an endless piece, read bar by bar: what was struck before governs and is held on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...assets.music.live import Bar
from ...assets.music.score import SCALES, STREAMS, Chord, Note
from .conditions import Conditions
from .tokens import (
    ARPEGGIO,
    BASS,
    CHORDS,
    DRUM,
    FIRST,
    HOLD,
    LEAD,
    Tokens,
    chord,
    chords_of,
    drum_notes,
    melodic_note,
    struck,
    velocity_of,
    voicing,
)
from .tokens import pitch_of as pitch_of_step

PITCHED = (BASS, CHORDS, ARPEGGIO, LEAD)


class Reader:
    """Bars in their order; it remembers the chord, where its voices lie, and which streams sound at the bar line."""

    def __init__(self) -> None:
        self._chord = chord(0)
        self._voices: tuple[int, ...] | None = None
        self._open: frozenset[int] = frozenset()

    def read(
        self, words: Tokens, conditions: Conditions, silent: frozenset[int] = frozenset()
    ) -> tuple[Bar, tuple[Chord, ...]]:
        """A bar's tokens (streams, frames) as what is played, and its chords (sixteenths of the bar); `silent` streams do not sound."""
        frames = words.shape[1]
        governing = struck(words[CHORDS], self._chord)
        tonic, scale = conditions.tonic, SCALES[conditions.scale]
        notes = drum_notes(words[DRUM], conditions.beats)
        held: set[int] = set()
        carried: dict[int, int] = {}
        for stream in PITCHED:
            if stream in self._open:
                carried[stream] = _run(words[stream], 0)
                if carried[stream] == frames:
                    held.add(stream)
            for start in np.nonzero(words[stream] >= FIRST)[0].tolist():
                length = 1 + _run(words[stream], start + 1)
                if start + length == frames:
                    held.add(stream)
                word = int(words[stream, start])
                if stream == CHORDS:
                    self._voices = voicing(word, self._voices)
                    loud = velocity_of(CHORDS, start, conditions.beats, False)
                    notes += [
                        Note(CHORDS, start, length, pitch_of_step(step, tonic, scale), loud) for step in self._voices
                    ]
                else:
                    notes.append(melodic_note(stream, start, length, word, int(governing[start]), conditions))
        self._chord, self._open = int(governing[-1]), frozenset(held) - silent
        bar = Bar(
            notes=tuple(note for note in notes if note.stream not in silent),
            beats=conditions.beats,
            bpm=conditions.bpm,
            style=conditions.styles[-1],
            held=self._open,
            carried={stream: sixteenths for stream, sixteenths in carried.items() if stream not in silent},
            tonic=tonic,
        )
        return bar, chords_of(governing, tonic, scale)


def certain(words: Tokens, conditions: Conditions, silent: frozenset[int] = frozenset()) -> Bar:
    """Those notes of a first bar (streams, frames) that are known while -1 stands for words that are not said yet. A note may be
    held on through those, so what reaches the bar's end is left out."""
    said = np.where(words < 0, HOLD, words)
    said[DRUM] = np.maximum(words[DRUM], 0)
    bar, _ = Reader().read(said, conditions, silent)
    known = tuple(note for note in bar.notes if note.stream == DRUM or note.start + note.length < bar.frames)
    return replace(bar, notes=known)


def silent_streams(only: tuple[str, ...], mute: tuple[str, ...]) -> frozenset[int]:
    return frozenset(k for k, name in enumerate(STREAMS) if (only and name not in only) or name in mute)


def _run(words: np.ndarray, start: int) -> int:
    """How many words from `start` on hold."""
    rest = words[start:]
    other = np.nonzero(rest != HOLD)[0]
    return int(other[0]) if len(other) else len(rest)
