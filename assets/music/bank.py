"""Notes that have been made once are kept, so a second loop in the same style is mostly addition."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from .drumsets import stroke
from .instruments import INSTRUMENTS
from .signal import Wave, fade_out

CAPACITY = 384 << 20
"""Bytes of notes that a bank keeps; the ones unused for longest go first."""


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

    def stroke(self, drum_set: str, pitch: int, layer: int, variant: int, rate: int) -> Wave:
        """A stroke of a drum set with its room."""
        key = ("stroke", drum_set, pitch, layer, variant, rate)
        return self.kept(key, lambda: stroke(drum_set, pitch, layer, variant, rate))

    def note(self, voice: str, pitch: int, layer: int, held: int, rate: int) -> Wave:
        """A note whose key is held for `held` samples, with its release."""
        kind = INSTRUMENTS[voice]
        release = int(kind.release * rate)
        length = held + release
        if kind.seconds is not None:
            natural = int(kind.seconds * rate)
            length = natural if kind.rings else min(length, natural)
        key = ("note", voice, pitch, layer, length, rate)

        def make() -> Wave:
            whole = _whole(length, rate)
            base = self.kept(("base", voice, pitch, layer, whole, rate), lambda: kind.make(pitch, layer, whole, rate))
            return fade_out(base[:, :length].copy(), min(length // 2, max(release, rate // 50)))

        return self.kept(key, make)


def _whole(length: int, rate: int) -> int:
    """The length to which a note is made before it is cut: half a second times a power of two, so few are made."""
    size = rate // 2
    while size < length:
        size *= 2
    return size


BANK = Bank()
"""The bank of this process."""
