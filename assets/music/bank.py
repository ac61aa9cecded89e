"""Notes that have been made once are kept, so a second loop in the same style is mostly addition.

What is kept of a note is its wave while the key is held, to one of a few lengths; where it ends is a matter of who plays it
(`tone.Tone`). So notes of all lengths share one wave.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

from .drumsets import retuned, stroke, tuning
from .instruments import INSTRUMENTS
from .signal import Wave
from .tone import Tone

CAPACITY = 48 << 20
"""Bytes of waves that a bank keeps; the ones unused for longest go first. One style sounds of less than half of it. Eight at once
sound of about three times as much, and make anew what they lack, in a fifth of one core's time."""


T = TypeVar("T")

HANDS = min(4, os.cpu_count() or 1)
"""Threads that make the notes of a bar together; numpy lets go of the interpreter's lock while it computes."""

LEISURE_S = 0.25
"""Seconds without asks after which notes may be made that nobody has asked for: a first bar is there by then."""


class Bank:
    """A cache of notes, float32 (2, frames), which nobody may change. Any thread may ask; a note is the same whoever made it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity, self.held = capacity, 0
        self._notes: OrderedDict[Hashable, Wave] = OrderedDict()
        self._begun: dict[Hashable, Future[Wave]] = {}  # what some thread is making
        self._lock = threading.Lock()
        self._asked = -math.inf  # nobody has yet

    def kept(self, key: Hashable, make: Callable[[], Wave]) -> Wave:
        """The sound of the key, made now if it is not here; who asks for what another thread makes waits for it."""
        with self._lock:
            if key in self._notes:
                self._notes.move_to_end(key)
                return self._notes[key]
            begun = self._begun.get(key)
            mine = self._begun[key] = Future() if begun is None else begun
        if begun is not None:
            return begun.result()
        try:
            note = make()
        except BaseException as error:
            with self._lock:
                del self._begun[key]
            mine.set_exception(error)
            raise
        note.flags.writeable = False
        with self._lock:
            del self._begun[key]
            self._notes[key] = note
            self.held += note.nbytes
            while self.held > self.capacity and len(self._notes) > 1:
                self.held -= self._notes.popitem(last=False)[1].nbytes
        mine.set_result(note)
        return note

    def together(self, asks: Sequence[Callable[[], T]]) -> list[T]:
        """What several asks give, most of them for notes of this bank, answered by several threads."""
        found: dict[int, T] = {}
        left = deque(enumerate(asks))

        def work() -> None:
            while left:
                try:
                    place, ask = left.popleft()
                except IndexError:  # another thread took the last one
                    return
                found[place] = ask()

        self._asked = time.monotonic()
        helpers = []
        with suppress(RuntimeError):  # the main thread has ended: no more are to be had, and this one makes all
            for _ in range(min(HANDS, len(asks)) - 1):
                helpers.append(_hands().submit(work))
        work()
        for helper in helpers:
            helper.result()
        self._asked = time.monotonic()
        return [found[place] for place in range(len(asks))]

    def at_leisure(self) -> None:
        """Returns when nobody has asked for notes `together` for a while."""
        while (wait := self._asked + LEISURE_S - time.monotonic()) > 0:
            time.sleep(wait)

    def stroke(self, drum_set: str, pitch: int, layer: int, variant: int, rate: int, tonic: int | None = None) -> Tone:
        """A stroke of a drum set with its room; with a tonic, tuned to its key."""
        key = ("stroke", drum_set, pitch, layer, variant, rate)
        wave = self.kept(key, lambda: stroke(drum_set, pitch, layer, variant, rate))
        if tonic is not None and (factor := tuning(drum_set, pitch, tonic)) != 1.0:
            untuned = wave
            wave = self.kept((*key, factor), lambda: retuned(untuned, factor))
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


@lru_cache(maxsize=1)
def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(HANDS, "cadenza-notes")


BANK = Bank()
"""The bank of this process."""
