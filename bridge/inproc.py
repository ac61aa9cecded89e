"""The address "inproc": an engine in this process behind the surface of a connection."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from typing import Any

from ..assets.refusal import Refusal
from ..runtime import kinds
from .bars import StreamPending
from .game import Game, closed
from .intake import kind_of, kinds_of
from .payload import as_files, known_encoding
from .pending import Pending
from .plain import check_recipe, names_of, pythons
from .stream import Port
from .stream_inproc import heard, open_stream


class InprocGame(Game):
    def __init__(self, runtime: Any, owned: bool = True) -> None:
        """`owned`: close the runtime with the connection."""
        super().__init__()
        self.runtime, self._owned, self._closed = runtime, owned, False
        self._kinds = kinds_of(runtime)
        self._ended: queue.SimpleQueue[tuple[Pending, Any]] = queue.SimpleQueue()
        self._works: dict[int, tuple[Pending, Any]] = {}
        self._streams: dict[int, Any] = {}

    def describe(self) -> dict[str, Any]:
        self._check_open()
        told: dict[str, Any] = self.runtime.describe()
        return told

    def stats(self) -> dict[str, Any]:
        self._check_open()
        told: dict[str, Any] = self.runtime.stats()
        return told

    def cancel(self, pending: Pending) -> None:
        self._check_open()
        if not pending.done:
            self.runtime.cancel(self._works[id(pending)][1])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for _, work in self._works.values():
            self.runtime.cancel(work)
        for stream in self._streams.values():
            stream.close()
        if self._owned:
            self.runtime.close()

    def pump(self, timeout: float) -> None:
        self._check_open()
        if timeout > 0:
            try:
                self._take(*self._ended.get(timeout=timeout))
            except queue.Empty:
                return
        while not self._ended.empty():  # this thread alone takes from it
            self._take(*self._ended.get())

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _submit(self, recipe: Mapping[str, Any], terms: dict[str, Any]) -> Pending:
        self._check_open()
        check_recipe(recipe)
        encoding, preview = known_encoding(terms.pop("encoding")), terms.pop("preview")
        if preview:
            raise Refusal("unsupported", "preview", "there are no previews yet", "leave it out")
        kind, maps = kind_of(recipe, self._kinds), names_of(terms.pop("maps"))
        kinds.check_encoding(kind, encoding)
        pending = Pending((encoding, kinds.check_parts(kind, maps) if maps else ()))

        def on_event(work: Any) -> None:  # on the engine's thread; only an end wakes who waits
            pending.row = work.row
            if work.state not in ("waiting", "running"):
                self._ended.put((pending, work))

        work = self.runtime.submit(pythons(recipe), on_event=on_event, **pythons(terms))
        pending.rows, pending.position, pending.expected_ms = work.rows, work.position, work.expected_ms
        self._works[id(pending)] = (pending, work)
        return pending

    def _stream(self, fields: dict[str, Any]) -> tuple[StreamPending, Port]:
        self._check_open()
        return open_stream(self.runtime, pythons(fields), self._streams, self._ended.put)

    def _take(self, pending: Pending, work: Any) -> None:
        if isinstance(pending, StreamPending):
            heard(pending, work, self._streams)
            return
        self._works.pop(id(pending), None)
        if work.state != "done":
            pending.end(work.error)
            return
        try:
            encoding, maps = pending.message
            pending.end(work.result.select(maps) if encoding == "raw" else as_files(work.result, encoding, maps))
        except Refusal as refusal:
            pending.end(refusal)
