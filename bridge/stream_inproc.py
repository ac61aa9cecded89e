"""Live streams of an engine in this process, behind the surface they have over a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from ..assets.music.score import STREAMS
from ..assets.refusal import Refusal, Unknown
from ..runtime.music.live import Ended, LiveBar, LiveStream
from . import messages as m
from .bars import StreamBar, StreamPending
from .pending import Pending
from .plain import pythons
from .stream import Port
from .stream_desk import opened


class InprocPort(Port):
    def __init__(self, stream: LiveStream) -> None:
        self._stream = stream

    def steer(self, changes: Mapping[str, Any], bar: int | None) -> Pending:
        pending = Pending(None)
        try:
            turn, ignored = self._stream.steer(pythons(changes), pythons(bar))
        except Refusal as refusal:
            pending.end(refusal)
        else:
            steered = m.Steered(
                request="steer", stream="stream", bar=turn.bar, changes=turn.changes, ignored=list(ignored)
            )
            pending.end(steered)
        return pending

    def taken(self, bar: int) -> None:
        self._stream.take(bar)

    def close(self, tail: bool, bars: int | None) -> None:
        self._stream.close(tail, bars)


def open_stream(
    runtime: Any, fields: dict[str, Any], streams: dict[int, Any], put: Callable[[tuple[StreamPending, Any]], None]
) -> tuple[StreamPending, Port]:
    """Opens a stream whose events are `put` for the thread that pumps."""
    stems = list(fields.pop("stems", ()))
    for name in stems:
        if name not in STREAMS:
            raise Unknown("stems", name, STREAMS)
    pending = StreamPending(stems)
    pending.expected = fields.get("first", 0)
    pending.whole = pending.expected == 0
    stream = runtime.stream(fields.pop("recipe"), **fields, on_event=lambda event: put((pending, event)))
    pending.opened = opened("stream", stream)
    streams[id(pending)] = stream
    return pending, InprocPort(stream)


def heard(pending: StreamPending, event: LiveBar | Ended, streams: dict[int, Any]) -> None:
    """What a stream told, on the thread that pumps."""
    if isinstance(event, LiveBar):
        pending.add(_bar(event, pending.message))
        return
    streams.pop(id(pending), None)
    closed = m.Closed(request="stream", recipe=event.recipe.to_dict(), digest=event.digest, under_runs=event.under_runs)
    pending.end(event.refusal or closed)


def _bar(event: LiveBar, stems: list[str]) -> StreamBar:
    chunk = event.chunk
    return StreamBar(
        number=event.number,
        audio=chunk.audio,
        start=chunk.start,
        lead=chunk.lead,
        stems={name: np.ascontiguousarray(chunk.stems[name]) for name in STREAMS if name in stems},
        recipe=event.recipe.to_dict(),
        chords=[msgspec.to_builtins(chord) for chord in event.chords],
        digest=event.digest,
        under_runs=event.under_runs,
        last=event.last,
    )
