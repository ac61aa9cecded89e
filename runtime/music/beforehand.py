"""What is made before it is asked for, so that the first bar of a style that was not played yet does not wait for all of it.

A server makes all rooms and strokes of drums when it begins, behind everything else. A stream's first chord is guessed and made while
the model still says its first bar. Only the time changes by it, not what is heard.
"""

from __future__ import annotations

import contextlib
import os
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


def begin() -> threading.Thread:
    """Makes rooms and strokes on a thread of its own, of the lowest priority where the system knows one for threads."""
    thread = threading.Thread(target=_begin, name="cadenza-beforehand", daemon=True)
    thread.start()
    return thread


def _begin() -> None:
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):  # then it is as urgent as the others
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    rooms_and_strokes()


def rooms_and_strokes(rate: int = RATE) -> None:
    """The room of every kit, and every stroke that the model can ask for, in all takes: about 30 MB."""
    for kit in KITS.values():
        response(kit.room, rate)
    wanted = {(pitch, layer_of(velocity)) for pitch, velocity in drum_strokes()}
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
