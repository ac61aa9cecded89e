"""The live streams that are open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ...assets.refusal import Refusal
from ..engine.engine import Engine
from ..engine.tokens.network import TokenNetwork
from ..worker import Worker
from .beforehand import first_chord
from .live import LiveStream, Place
from .steering import Course

STREAMS_LIMIT = 32
"""Streams open at one time; one more is refused."""


class Hall:
    """The streams of a runtime that are open, from where they begin to where they are forgotten."""

    def __init__(self, engine: Engine, post: Callable[[Callable[[], None]], None]) -> None:
        self._place = Place(engine, post, Worker("cadenza-live"), self._forget)
        self._open: set[LiveStream] = set()
        self._closed = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, network: TokenNetwork, course: Course, **terms: Any) -> LiveStream:
        """Opens a stream, see LiveStream; its first bars are begun at once."""
        stream = LiveStream(self._place, network, course, **terms)
        with self._lock:
            if self._closed:
                raise Refusal("closed", "runtime", "is closed", "open a new one")
            if len(self._open) >= STREAMS_LIMIT:
                raise Refusal("busy", "stream", f"{STREAMS_LIMIT} streams are open", "close one of them")
            self._open.add(stream)
        self._place.post(stream._go_on)
        if stream.start.recipe.soundfont is None:
            self._place.player.do(partial(first_chord, course.at(0).conditions, stream.rate))
        return stream

    def _forget(self, stream: LiveStream) -> None:
        with self._lock:
            self._open.discard(stream)

    def leave(self) -> None:
        """In a child process: takes no more, and knows none of its parent's streams."""
        self._closed, self._open, self._lock = True, set(), threading.Lock()

    def shut(self) -> None:
        """Takes no more and ends all of them; the engine's thread has ended already, the players' does with the last."""
        with self._lock:
            self._closed = True
        for stream in list(self._open):
            stream.close()
            stream._stop()
        self._place.player.close()
