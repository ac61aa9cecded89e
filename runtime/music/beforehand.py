"""What is made before it is asked for, so that the first bar of a style that was not played yet does not wait for all of it.

A server makes all rooms and the usual strokes of drums when it begins. A stream's first chord is guessed and made while
the model still says its first bar. Only the time changes by it, not what is heard.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from functools import partial

from ...assets.music.bank import BANK
from ...assets.music.drumsets import VARIANTS
from ...assets.music.instruments import INSTRUMENTS
from ...assets.music.kits import KITS, Room
from ...assets.music.live import spectra
from ...assets.music.reverb import response
from ...assets.music.score import SCALES
from ...assets.music.signal import size_for
from ...assets.music.voices.base import layer_of
from .conditions import Conditions
from .tokens import CHORDS, chord, drum_strokes, pitch_of, velocity_of, voicing

RATE = 48000
"""What is usual; a stream at another rate makes its own."""
OFTEN, LONG = (36, 38, 42, 46), ((49, 2), (47, 1), (51, 1))
"""Percussion that most first bars have; and crash, tom and ride at the strength (layer) that is usual in some of them: they are long."""
MEMORY = {-8: 1, -3: 4 << 20, -1: 16 << 20}
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h: see `_thrifty`."""


def begin() -> threading.Thread:
    """Makes rooms and strokes on a thread of its own, while nobody waits for other notes. For a process that plays from now on: its
    memory is kept together.

    The thread is as urgent as the others: one that is not would keep the interpreter's lock while it waits for a processor.
    """
    _thrifty()
    thread = threading.Thread(target=rooms_and_strokes, name="cadenza-beforehand", daemon=True)
    thread.start()
    return thread


def _thrifty() -> None:
    """Has all threads share one heap of glibc, so that what one of them has freed serves the others, and gives arrays from 4 MB on
    back to the system. Smaller ones must not go back: notes are sums of arrays of 0.5 to 2 MB, and fetching their pages anew each
    time takes longer than the sums. Elsewhere it does nothing."""
    with contextlib.suppress(OSError, AttributeError):
        for option, value in MEMORY.items():
            ctypes.CDLL("libc.so.6").mallopt(option, value)


def rooms_and_strokes(rate: int = RATE) -> None:
    """The room of every kit, and the strokes that first bars have, in all takes: about 70 MB."""
    for kit in KITS.values():
        BANK.at_leisure()
        response(kit.room, rate)
    wanted = {(pitch, layer_of(velocity)) for pitch, velocity in drum_strokes() if pitch in OFTEN}
    for pitch, layer in (*sorted(wanted), *LONG):
        for drum_set in sorted({kit.drums.voice for kit in KITS.values()}):
            for variant in range(VARIANTS):
                BANK.at_leisure()
                BANK.stroke(drum_set, pitch, layer, variant, rate)


def first_chord(conditions: Conditions, rate: int) -> None:
    """The room, and the chord that most pieces begin with: the tonic's triad, held for a bar."""
    kit = KITS[conditions.styles[-1]]
    bar = round(rate * 60 * conditions.beats / conditions.bpm)
    degree = conditions.progression[0] if conditions.progression else 0
    layer = layer_of(velocity_of(CHORDS, 0, conditions.beats, False))
    pitches = [pitch_of(step, conditions.tonic, SCALES[conditions.scale]) for step in voicing(chord(degree), None)]
    heard = bar + int(INSTRUMENTS[kit.chords.voice].release * rate)
    asks: list[Callable[[], object]] = [partial(_room, kit.room, bar, rate)]
    asks += [partial(BANK.note, kit.chords.voice, pitch, layer, bar, rate, heard) for pitch in pitches]
    BANK.together(asks)


def _room(room: Room, bar: int, rate: int) -> None:
    spectra(room, rate, size_for(bar + response(room, rate).shape[1] - 1))
