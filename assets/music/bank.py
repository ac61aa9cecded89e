"""Notes that have been made once are kept, so a second loop in the same style is mostly addition.

What is kept of a note is its wave while the key is held, to one of a few lengths; where it ends is a matter of who plays it
(`tone.Tone`). So notes of all lengths share one wave.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from .drumsets import stroke
from .instruments import INSTRUMENTS
from .signal import Wave
from .tone import Tone

CAPACITY = 112 << 20
"""Bytes of waves that a bank keeps; the ones unused for longest go first. Eight styles at once sound of about as much."""


class Bank:
    """A cache of notes, float32 (2, frames), which nobody may change. Any thread may ask; a note is the same whoever made it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity, self.held = capacity, 0
        self._notes: OrderedDict[Hashable, Wave] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, key: Hashable, make: Callable[[], Wave]) -> Wave:
        """The sound of the key, made now if it is not here."""
        with self._lock:
            if key in self._notes:
                self._notes.move_to_end(key)
                return self._notes[key]
        note = make()
        note.flags.writeable = False
        with self._lock:
            if key not in self._notes:
                self._notes[key] = note
                self.held += note.nbytes
                while self.held > self.capacity and len(self._notes) > 1:
                    self.held -= self._notes.popitem(last=False)[1].nbytes
            return self._notes.get(key, note)

    def stroke(self, drum_set: str, pitch: int, layer: int, variant: int, rate: int) -> Tone:
        """A stroke of a drum set with its room."""
        key = ("stroke", drum_set, pitch, layer, variant, rate)
        wave = self.kept(key, lambda: stroke(drum_set, pitch, layer, variant, rate))
        return Tone(wave, wave.shape[1])

    def note(self, voice: str, pitch: int, layer: int, held: int, rate: int, heard: int | None = None) -> Tone:
        """A note whose key is held for `held` samples, with its release; of its wave there may be the first `heard` samples only."""
        kind = INSTRUMENTS[voice]
        release = int(kind.release * rate)
        length = held + release
        if kind.seconds is not None:
            natural = int(kind.seconds * rate)
            length = natural if kind.rings else min(length, natural)
        wave = self.wave(voice, pitch, layer, length if heard is None else min(heard, length), rate)
        return Tone(wave, length, ((length, min(length // 2, max(release, rate // 50))),))

    def wave(self, voice: str, pitch: int, layer: int, least: int, rate: int) -> Wave:
        """The sound of a held key, at least so many samples of it."""
        whole = _whole(least, rate)
        make = INSTRUMENTS[voice].make
        return self.kept(("wave", voice, pitch, layer, whole, rate), lambda: make(pitch, layer, whole, rate))


def _whole(length: int, rate: int) -> int:
    """The length to which a wave is made before it is cut, so that few are made: half a second times 1, 1.5, 2, 3, 4, 6, 8, ..."""
    size = rate // 2
    while size < length:
        if 3 * size // 2 >= length:
            return 3 * size // 2
        size *= 2
    return size


BANK = Bank()
"""The bank of this process."""
