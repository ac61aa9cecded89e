"""Bars of a live stream as they come from a server."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..assets.refusal import Corrupt
from . import messages as m
from .pending import Pending

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class StreamBar:
    """One bar.

    audio   float32 (samples, 2): play it right after that of the bar before
    start   sample of the whole stream that is its first; the bar's first beat is `lead` samples later
    stems   by stream, those that were asked for
    recipe  the fields that made it; chords: [{"start", "degree", "pitches"}], in sixteenths of the bar
    digest  sha-256 over the audio of all bars so far
    under_runs  bars that the server made too late so far
    last    the tail that rings after the last bar
    """

    number: int
    audio: Sound
    start: int
    lead: int
    stems: Mapping[str, Sound]
    recipe: Mapping[str, Any]
    chords: Sequence[Mapping[str, Any]]
    digest: str
    under_runs: int
    last: bool


class StreamPending(Pending):
    """What has come of a stream, and was not handed out yet."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.opened: m.Opened | None = None
        self.playing = False  # opened on the connection that there is now
        self.bars: deque[StreamBar] = deque()
        self.expected = message.first if isinstance(message, m.Open) else 0
        self.total: Any = hashlib.sha256()
        self.whole = self.expected == 0
        self.tail = False  # came, and has a number as bars have
        self.taken: m.Taken | None = None  # of the last bar that was handed out
        self.closing: m.Close | None = None
        self.on_news: Callable[[], None] | None = None

    def hear(self, message: m.Opened | m.Bar, frames: Sequence[Any]) -> None:
        if isinstance(message, m.Opened):
            self.opened, self.playing = message, True
        elif message.bar >= self.expected:  # after a reconnect bars may come twice
            self.add(unpacked(message, frames))

    def add(self, bar: StreamBar) -> None:
        self.expected, self.tail = bar.number + 1, bar.last
        self.total.update(np.ascontiguousarray(bar.audio, "<f4").data)
        if self.whole and self.total.hexdigest() != bar.digest:
            sentence = f"has the digest {self.total.hexdigest()}, announced was {bar.digest}"
            self.end(Corrupt(f"bar {bar.number}", sentence, "open the stream again"))
            return
        self.bars.append(bar)
        if self.on_news is not None:
            self.on_news()

    def again(self) -> list[Any]:
        """A server that was restarted begins with the first bar that has not come, and ends where this one would have.

        One that was not may have lost the last `taken` with the connection, and waits for it.
        """
        self.playing = False
        bars = self.expected - self.tail
        messages = [msgspec.structs.replace(self.message, first=bars)]
        if self.taken is not None:
            messages.append(self.taken)
        if self.closing is not None:
            messages.append(msgspec.structs.replace(self.closing, bars=max(self.closing.bars or 0, bars)))
        return messages

    def plays_on(self, failed: m.Failed) -> bool:
        """What answers a `taken` or a `close` that was wrong."""
        return (
            self.playing
            and failed.code in ("out_of_range", "type", "missing")
            and failed.field in ("bar", "bars", "tail")
        )

    def take(self, bar: int) -> m.Taken:
        """What is said of a bar that was handed out, which is remembered."""
        self.taken = m.Taken(request=self.message.request, bar=bar)
        return self.taken

    def close(self, tail: bool, bars: int | None) -> m.Close:
        """What is said of its end, which is remembered."""
        self.closing = m.Close(request=self.message.request, tail=tail, bars=bars)
        return self.closing

    def note(self, turn: m.Steered) -> None:
        """Remembers a turn: with it a server that was restarted goes on where this one was."""
        if isinstance(self.message, m.Open):
            steering = [*self.message.steering, {"bar": turn.bar, "changes": turn.changes}]
            self.message = msgspec.structs.replace(self.message, steering=steering)


def unpacked(message: m.Bar, frames: Sequence[Any]) -> StreamBar:
    if len(frames) != len(message.payload):
        raise Corrupt("payload", f"{len(message.payload)} frames were announced, {len(frames)} came", "open it again")
    sounds = {}
    for part, frame in zip(message.payload, frames, strict=True):
        if part.dtype != "float32" or 4 * prod(part.shape) != part.bytes or len(frame) != part.bytes:
            sentence = f"{part.dtype} {part.shape} in {len(frame)} bytes cannot be read"
            raise Corrupt(f"payload.{part.name}", sentence, "install a newer client")
        sounds[part.name] = np.frombuffer(frame, np.float32).reshape(part.shape)
    return StreamBar(
        number=message.bar,
        audio=sounds.pop("audio"),
        start=message.start,
        lead=message.lead,
        stems=sounds,
        recipe=message.recipe,
        chords=message.chords,
        digest=message.digest,
        under_runs=message.under_runs,
        last=message.last,
    )
