"""What is made before it is asked for, so that the first bar of a style that was not played yet does not wait for all of it.

A server makes all rooms and the usual strokes of drums when it begins. A stream's first chord is guessed and made while
the model still says its first bar. Only the time changes by it, not what is heard.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from ...assets.music.bank import BANK
from ...assets.music.drumsets import VARIANTS
from ...assets.music.instruments import INSTRUMENTS
from ...assets.music.kits import KITS, Room
from ...assets.music.live import spectra
from ...assets.music.reverb import response
from ...assets.music.score import SCALES, Note
from ...assets.music.signal import size_for
from ...assets.music.stage import dice
from ...assets.music.voices.base import layer_of
from .conditions import Conditions
from .tokens import CHORDS, chord, drum_strokes, pitch_of, velocity_of, voicing

RATE = 48000
"""What is usual; a stream at another rate makes its own."""
KIND = "music"
OFTEN, CRASH, LONG = (36, 38, 42, 46), (49, 2), ((47, 1), (51, 1))
"""Percussion that most first bars have; the crash that opens many, and tom and ride, at the strength (layer) that is usual: they are long."""
MEMORY = {-8: 1, -3: 4 << 20, -1: 16 << 20}
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h: see `_thrifty`."""


def begin() -> threading.Event:
    """Makes rooms and strokes on a thread of its own, while nobody waits for other notes; tells when those are there that first bars
    have. For a process that plays from now on: its memory is kept together.

    The thread is as urgent as the others: one that is not would keep the interpreter's lock while it waits for a processor.
    """
    _thrifty()
    usual = threading.Event()
    threading.Thread(target=rooms_and_strokes, args=(RATE, usual), name="cadenza-beforehand", daemon=True).start()
    return usual


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


def rooms_and_strokes(rate: int = RATE, usual: threading.Event | None = None) -> None:
    """The room of every kit, and the strokes that first bars have, in all takes: about 70 MB. Style by style what a first bar has,
    after which `usual` is set; then what is long and is heard in some of them."""
    often = sorted({(pitch, layer_of(velocity)) for pitch, velocity in drum_strokes() if pitch in OFTEN})
    pitch, layer = CRASH
    opening = dice(Note(0, 0, 1, pitch, max(velocity for each, velocity in drum_strokes() if each == pitch))) % VARIANTS
    done: set[tuple[str, int, int, int]] = set()

    def strokes(asked: Iterable[tuple[str, int, int, int]]) -> None:
        for stroke in asked:
            if stroke not in done:
                done.add(stroke)
                BANK.at_leisure()
                BANK.stroke(*stroke, rate)

    for kit in KITS.values():
        BANK.at_leisure()
        response(kit.room, rate)
        strokes((kit.drums.voice, *each, variant) for each in often for variant in range(VARIANTS))
        strokes([(kit.drums.voice, pitch, layer, opening)])
    if usual is not None:
        usual.set()
    sets = sorted({kit.drums.voice for kit in KITS.values()})
    strokes((name, *each, variant) for each in (CRASH, *LONG) for name in sets for variant in range(VARIANTS))


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
