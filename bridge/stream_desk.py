"""The server's half of live streams: bars are sent as they are made, kept until they are taken, and never more than the credit.

All methods run on the server's loop; what a stream tells on its player's thread is handed over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ..assets.music.score import STREAMS
from ..assets.refusal import Refusal, Unknown
from ..runtime.music.live import Ended, LiveBar, LiveStream
from . import messages as m
from .protocol import encode

if TYPE_CHECKING:
    from .desk import Desk, Frames, Session

STEERS_KEPT = 256
"""Answers to `steer` that are remembered, so that one that comes again after a reconnect is not done twice."""


@dataclass(eq=False)
class Channel:
    """One stream of one client."""

    open: m.Open
    stream: LiveStream
    kept: deque[tuple[int, Frames]] = field(default_factory=deque)  # bars that are not taken yet
    final: Frames | None = None
    steered: OrderedDict[str, m.Steered] = field(default_factory=OrderedDict)


class StreamDesk:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.channels: dict[tuple[str, str], Channel] = {}  # by client and request

    def handle(self, session: Session, message: m.FromClient) -> None:
        match message:
            case m.Open():
                self._open(session, message)
            case m.Steer():
                self._steer(session, message)
            case m.Taken(request=request, bar=bar):
                channel = self._channel(session, request)
                while channel.kept and channel.kept[0][0] <= bar:
                    channel.kept.popleft()
                channel.stream.take(bar)
            case m.Close(request=request, tail=tail, bars=bars):
                self._channel(session, request).stream.close(tail, bars)
            case _:
                raise Unknown("type", type(message).__name__.lower(), ("open", "steer", "taken", "close"))

    def cancel(self, session: Session, request: str) -> bool:
        """Closes a stream by the id of its request; False where there is none."""
        channel = self.channels.get((session.client, request))
        if channel is not None:
            channel.stream.close()
        return channel is not None

    def forget(self, session: Session, request: str) -> None:
        """The client has heard how a stream ended."""
        channel = self.channels.get((session.client, request))
        if channel is not None and channel.final is not None:
            del self.channels[session.client, request]

    def drop(self, session: Session) -> None:
        """The client is gone: its streams end, and nobody is told."""
        for key in [key for key in self.channels if key[0] == session.client]:
            self.channels.pop(key).stream.close()

    def _open(self, session: Session, message: m.Open) -> None:
        key = session.client, message.request
        known = self.channels.get(key)
        if known is not None:
            if known.open.recipe != message.recipe:
                sentence = f"{message.request!r} was used for another stream"
                raise Refusal("contradiction", "request", sentence, "choose a new request id")
            self._again(session, known)
            return
        if message.request in session.requests:
            raise Refusal("contradiction", "request", f"{message.request!r} was used", "choose a new request id")
        limit = self.desk.limits.streams
        if sum(client == session.client for client, _ in self.channels) >= limit:
            raise Refusal("busy", "request", f"{limit} streams of this client are open", "close one of them")
        for name in message.stems:
            if name not in STREAMS:
                raise Unknown("stems", name, STREAMS)
        stream = self.desk.runtime.stream(
            message.recipe,
            steering=message.steering,
            first=message.first,
            ahead=message.ahead,
            priority=message.priority,
            on_event=lambda event: self.desk.hand_over(partial(self._event, session, message.request, event)),
        )
        self.channels[key] = Channel(message, stream)
        self.desk._say(session, opened(message.request, stream))

    def _again(self, session: Session, channel: Channel) -> None:
        """After a reconnect: what was not taken is sent once more, in its order."""
        self.desk._say(session, opened(channel.open.request, channel.stream))
        session.outbox.extend(frames for _, frames in channel.kept)
        if channel.final is not None:
            session.outbox.append(channel.final)

    def _steer(self, session: Session, message: m.Steer) -> None:
        channel = self._channel(session, message.stream, "stream")
        if message.request not in channel.steered:
            turn, ignored = channel.stream.steer(message.changes, message.bar)
            channel.steered[message.request] = m.Steered(
                request=message.request,
                stream=message.stream,
                bar=turn.bar,
                changes=turn.changes,
                ignored=list(ignored),
            )
            if len(channel.steered) > STEERS_KEPT:
                channel.steered.popitem(last=False)
        self.desk._say(session, channel.steered[message.request])

    def _channel(self, session: Session, request: str, named: str = "request") -> Channel:
        channel = self.channels.get((session.client, request))
        if channel is None:
            raise Refusal("unknown", named, f"{request!r} is no stream that is open here", "open one")
        return channel

    def _event(self, session: Session, request: str, event: LiveBar | Ended) -> None:
        channel = self.channels.get((session.client, request))
        if channel is None:  # the client was let go meanwhile
            return
        if isinstance(event, LiveBar):
            frames = packed(request, event, channel.open.stems)
            channel.kept.append((event.number, frames))
        elif event.refusal is not None:
            refusal = event.refusal
            frames = channel.final = [
                encode(
                    m.Failed(
                        request=request,
                        code=refusal.code,
                        field=refusal.field,
                        sentence=refusal.sentence,
                        remedy=refusal.remedy,
                    )
                )
            ]
        else:
            closed = m.Closed(
                request=request, recipe=event.recipe.to_dict(), digest=event.digest, under_runs=event.under_runs
            )
            frames = channel.final = [encode(closed)]
        if session.route in self.desk.routes:
            session.outbox.append(frames)


def packed(request: str, bar: LiveBar, stems: list[str]) -> Frames:
    """The header of a bar, its audio, and the stems that were asked for."""
    chunk = bar.chunk
    sounds = {"audio": chunk.audio, **{name: chunk.stems[name] for name in STREAMS if name in stems}}
    parts = [
        m.Part(
            name=name,
            encoding="raw",
            dtype="float32",
            shape=sound.shape,
            colour_space="linear",
            origin="first",
            bytes=sound.nbytes,
        )
        for name, sound in sounds.items()
    ]
    header = m.Bar(
        request=request,
        bar=bar.number,
        start=chunk.start,
        lead=chunk.lead,
        recipe=bar.recipe.to_dict(),
        chords=[msgspec.to_builtins(chord) for chord in bar.chords],
        digest=bar.digest,
        under_runs=bar.under_runs,
        last=bar.last,
        payload=parts,
    )
    return [encode(header), *(np.ascontiguousarray(sound).reshape(-1).view(np.uint8).data for sound in sounds.values())]


def opened(request: str, stream: LiveStream) -> m.Opened:
    """What a client is told of a stream that has begun, over the wire and in process."""
    return m.Opened(
        request=request,
        recipe=stream.start.recipe.to_dict(),
        ignored=list(stream.start.ignored),
        made_by=dict(stream.made_by),
        rate=stream.rate,
        lead=stream.lead,
        ahead=stream.ahead,
    )


__all__ = ["Channel", "StreamDesk", "packed"]
