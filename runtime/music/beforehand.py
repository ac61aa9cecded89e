"""What is made before it is asked for, so that the first bar of a style that was not played yet does not wait for all of it.

A server makes all rooms and the usual strokes of drums while it loads. What a stream's first chord needs is made as the model
begins its first bar, and the notes as they are said (`live`). Only the time changes by it, not what is heard.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...assets.music.bank import BANK
from ...assets.music.drumsets import VARIANTS
from ...assets.music.instruments import INSTRUMENTS
from ...assets.music.kits import KITS, Room
from ...assets.music.live import spectra
from ...assets.music.reverb import response
from ...assets.music.score import SCALES
from ...assets.music.signal import size_for
from ...assets.music.stage import dice
from ...assets.music.voices.base import layer_of
from .conditions import Conditions
from .tokens import (
    CHORDS,
    CRASH,
    HAT,
    KICK,
    OPEN,
    RIDE,
    SNARE,
    TOM,
    chord,
    drum_notes,
    drum_strokes,
    pitch_of,
    velocity_of,
    voicing,
)

RATE = 48000
"""What is usual; a stream at another rate makes its own."""
KIND = "music"
FIRST_BARS: Mapping[int, Iterable[int]] = {
    KICK: (0, 3, 6), SNARE: (4, 12, 15), HAT: range(16), OPEN: (8, 14), TOM: (0, 3, 6, 14), CRASH: (0,), RIDE: (0, 8),
}  # fmt: skip
"""Sixteenths at which first bars have percussion; the place tells the strength and the take of a stroke."""
STRUCK: Mapping[str, int] = {
    "soft": KICK | HAT | RIDE,
    "dusty": KICK | HAT | TOM | CRASH | RIDE,
    "acoustic": KICK | SNARE | HAT | CRASH,
    "electronic": KICK | SNARE | HAT | OPEN | TOM | CRASH,
    "epic": KICK | SNARE | HAT | OPEN | TOM | CRASH | RIDE,
}
"""What first bars of a drum set's styles have: in more than a quarter of twelve seeds, as the shipped model says them."""
OFTEN = (36, 38, 42, 46)
"""Kick, snare and hats, which later bars have in all takes."""
EAGER = sorted(KITS.values(), key=lambda kit: kit.order.index("drums"))
"""Kits, those first that have most to make: drums that play at any intensity."""
MEMORY = {-8: 1, -3: 4 << 20, -1: 16 << 20}
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h: see `_thrifty`."""


class Beforehand:
    """Rooms and strokes that are made by a thread of its own while nobody waits for other notes, and by who has time to help."""

    def __init__(self, rate: int = RATE) -> None:
        self._usual = deque(first_bars(rate))
        self._rest = deque(all_takes(rate))
        threading.Thread(target=self._make, name="cadenza-beforehand", daemon=True).start()

    def help(self, seconds: float) -> None:
        """Makes what first bars have beside the thread, for so long or until all of it is begun."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and _next(self._usual):
            pass

    def _make(self) -> None:
        """As urgent as other threads: one that is not would keep the interpreter's lock while it waits for a processor."""
        for asks in (self._usual, self._rest):
            BANK.at_leisure()
            while _next(asks):
                BANK.at_leisure()


def _next(asks: deque[Callable[[], object]]) -> bool:
    """Answers the first of the asks; false where none is left."""
    try:
        ask = asks.popleft()
    except IndexError:
        return False
    ask()
    return True


def begin() -> Beforehand:
    """For a process that plays from now on: its memory is kept together."""
    _thrifty()
    return Beforehand()


def plays(bundles: Sequence[Path] | None) -> bool:
    """Whether there is music among the bundles' folders, None: the embedded ones. What cannot be read is refused elsewhere."""
    if bundles is None:
        return True
    for folder in bundles:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if json.loads((Path(folder) / "bundle.json").read_text(encoding="utf-8")).get("kind") == KIND:
                return True
    return False


def _thrifty() -> None:
    """Has all threads share one heap of glibc, so that what one of them has freed serves the others, and gives arrays from 4 MB on
    back to the system. Smaller ones must not go back: notes are sums of arrays of 0.5 to 2 MB, and fetching their pages anew each
    time takes longer than the sums. Elsewhere it does nothing."""
    with contextlib.suppress(OSError, AttributeError):
        for option, value in MEMORY.items():
            ctypes.CDLL("libc.so.6").mallopt(option, value)


def first_bars(rate: int) -> Iterator[Callable[[], object]]:
    """Asks for the room of every kit and the strokes that first bars have."""
    for kit in EAGER:
        yield partial(response, kit.room, rate)
        words = np.zeros(16, np.int64)
        for bit, places in FIRST_BARS.items():
            words[list(places)] |= bit & STRUCK[kit.drums.voice]
        strokes = {(note.pitch, layer_of(note.velocity), dice(note) % VARIANTS) for note in drum_notes(words, 4)}
        yield from (partial(BANK.stroke, kit.drums.voice, *stroke, rate) for stroke in sorted(strokes))


def all_takes(rate: int) -> Iterator[Callable[[], object]]:
    """Asks for all takes of what is struck often."""
    strokes = {(pitch, layer_of(velocity)) for pitch, velocity in drum_strokes() if pitch in OFTEN}
    for kit in EAGER:
        for stroke in sorted(strokes):
            yield from (partial(BANK.stroke, kit.drums.voice, *stroke, take, rate) for take in range(VARIANTS))


def first_chord(conditions: Conditions, rate: int) -> None:
    """The room, and of the chord that most pieces begin with, a triad, what notes of all lengths share."""
    kit = KITS[conditions.styles[-1]]
    bar = round(rate * 60 * conditions.beats / conditions.bpm)
    degree = conditions.progression[0] if conditions.progression else 0
    layer = layer_of(velocity_of(CHORDS, 0, conditions.beats, False))
    asks: list[Callable[[], object]] = [partial(_room, kit.room, bar, rate)]
    if shared := INSTRUMENTS[kit.chords.voice].shared:
        steps = voicing(chord(degree), None)
        pitches = [pitch_of(step, conditions.tonic, SCALES[conditions.scale]) for step in steps]
        asks += [partial(shared, pitch, layer, rate) for pitch in pitches]
    BANK.together(asks)


def _room(room: Room, bar: int, rate: int) -> None:
    spectra(room, rate, size_for(bar + response(room, rate).shape[1] - 1))
