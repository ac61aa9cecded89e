"""What is made before it is asked for, so that the first bar of a style that was not played yet does not wait for all of it.

A server makes all rooms and the usual strokes of drums when it begins. A stream's first chord is guessed and made while
the model still says its first bar. Only the time changes by it, not what is heard.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading

from ...assets.music.bank import BANK
from ...assets.music.drumsets import VARIANTS
from ...assets.music.instruments import INSTRUMENTS
from ...assets.music.kits import KITS
from ...assets.music.live import spectra
from ...assets.music.reverb import response
from ...assets.music.score import SCALES
from ...assets.music.signal import size_for
from ...assets.music.voices.base import layer_of
from .conditions import Conditions
from .tokens import CHORDS, chord, drum_strokes, pitch_of, velocity_of, voicing

RATE = 48000
"""What is usual; a stream at another rate makes its own."""
OFTEN, CRASH = (36, 38, 42, 46), 49
"""Percussion that most first bars have, and what some of them begin with; a crash is as long as ten of the others."""
MMAP_THRESHOLD, LARGE = -3, 1 << 19
"""M_MMAP_THRESHOLD of glibc's malloc.h, and bytes."""


def begin() -> threading.Thread:
    """Makes rooms and strokes on a thread of its own. For a process that plays from now on: memory of large arrays then goes back to
    the system when they are free.

    The thread is as urgent as the others: one that is not would keep the interpreter's lock while it waits for a processor.
    """
    _give_back()
    thread = threading.Thread(target=rooms_and_strokes, name="cadenza-beforehand", daemon=True)
    thread.start()
    return thread


def _give_back() -> None:
    """Has glibc keep arrays from LARGE bytes on out of its heap, which otherwise grows to all that eight streams ever used at once:
    300 MB more. Elsewhere it does nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(MMAP_THRESHOLD, LARGE)


def rooms_and_strokes(rate: int = RATE) -> None:
    """The room of every kit, and the strokes that first bars have, in all takes: about 50 MB."""
    for kit in KITS.values():
        response(kit.room, rate)
    wanted = {(pitch, layer_of(velocity)) for pitch, velocity in drum_strokes() if pitch in OFTEN}
    wanted.add((CRASH, 2))
    for drum_set in {kit.drums.voice for kit in KITS.values()}:
        for pitch, layer in sorted(wanted):
            for variant in range(VARIANTS):
                BANK.stroke(drum_set, pitch, layer, variant, rate)


def first_chord(conditions: Conditions, rate: int) -> None:
    """The room, and the chord that most pieces begin with: the tonic's triad, held for a bar."""
    kit = KITS[conditions.styles[-1]]
    bar = round(rate * 60 * conditions.beats / conditions.bpm)
    spectra(kit.room, rate, size_for(bar + response(kit.room, rate).shape[1] - 1))
    degree = conditions.progression[0] if conditions.progression else 0
    layer = layer_of(velocity_of(CHORDS, 0, conditions.beats, False))
    release = INSTRUMENTS[kit.chords.voice].release
    for step in voicing(chord(degree), None):
        pitch = pitch_of(step, conditions.tonic, SCALES[conditions.scale])
        BANK.note(kit.chords.voice, pitch, layer, bar, rate, bar + int(release * rate))
