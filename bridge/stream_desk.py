"""The server's half of live streams: bars are sent as they are made, kept until they are taken, and never more than the credit.

All methods run on the server's loop but `_begin`, which may take as long as thousands of turns are read; what a stream tells on
its player's thread is handed over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np

from ..assets.music.score import STREAMS
from ..assets.refusal import Refusal, Unknown
from ..runtime.music.live import Ended, LiveBar, LiveStream
from . import messages as m
from .protocol import encode
from .session import Arrival, Event, Frames, Session, failed

STEERS_KEPT = 256
"""Answers to `steer` that are remembered, so that one that comes again after a reconnect is not done twice."""
EARLY_LIMIT = 256
"""Turns of a stream that wait until it has begun; at one more the client is told to wait."""


@dataclass(eq=False)
class Channel:
    """One stream of one client."""

    open: m.Open
    stream: LiveStream | None = None  # None before it has begun
    early: list[Callable[[], None]] = field(default_factory=list)  # how it was steered and what it told before that
    latest: dict[type, m.Taken | m.Close] = field(default_factory=dict)  # and what else was said: the last word counts
    here: bool = True  # it was opened on the connection that the client has now
    kept: deque[tuple[int, Frames]] = field(default_factory=deque)  # bars that are not taken yet
    final: Frames | None = None
    steered: OrderedDict[str, m.Steered] = field(default_factory=OrderedDict)


class Host(Protocol):
    """What a desk for streams needs of the desk that it is part of."""

    limits: m.Limits
    runtime: Any
    routes: dict[bytes, Session]
    hand_over: Callable[[Event], None]

    def line_up(self, session: Session, arrival: Arrival) -> None: ...

    def say(self, session: Session, message: m.Message) -> None: ...


class StreamDesk:
    def __init__(self, desk: Host) -> None:
        self.desk = desk
        self.channels: dict[tuple[str, str], Channel] = {}  # by client and request

    def handle(self, session: Session, message: m.FromClient) -> None:
        if isinstance(message, m.Open):
            self._open(session, message)
            return
        if not isinstance(message, m.Steer | m.Taken | m.Close):
            raise Unknown("type", type(message).__name__.lower(), ("open", "steer", "taken", "close"))
        named = "stream" if isinstance(message, m.Steer) else "request"
        channel = self.channels.get((session.client, getattr(message, named)))
        if channel is None:
            raise Refusal("unknown", named, f"{getattr(message, named)!r} is no stream that is open here", "open one")
        if channel.stream is not None:
            self._tell(session, channel, channel.stream, message)
        elif not isinstance(message, m.Steer):
            channel.latest[type(message)] = message
        elif len(channel.early) < EARLY_LIMIT:
            channel.early.append(partial(self._late, session, message))
        else:
            raise Refusal("busy", named, "has not begun, and was steered much already", "wait for opened")

    def has(self, session: Session, request: str) -> bool:
        return (session.client, request) in self.channels

    def greet(self, session: Session) -> None:
        """The client has a new connection, on which it has opened none of its streams: what is made waits until it does."""
        for (client, _), channel in self.channels.items():
            if client == session.client:
                channel.here = False

    def cancel(self, session: Session, request: str) -> bool:
        """Closes a stream by the id of its request; False where there is none."""
        known = self.has(session, request)
        if known:
            self.handle(session, m.Close(request=request))
        return known

    def forget(self, session: Session, request: str) -> None:
        """The client has heard how a stream ended."""
        channel = self.channels.get((session.client, request))
        if channel is not None and channel.final is not None:
            self._leave((session.client, request))

    def drop(self, session: Session) -> None:
        """The client is gone: its streams end, and nobody is told."""
        for key in [key for key in self.channels if key[0] == session.client]:
            stream = self._leave(key)
            if stream is not None:  # else it is closed when it has begun
                stream.close()

    def _leave(self, key: tuple[str, str]) -> LiveStream | None:
        """Takes a channel off the desk, and its stream, which knows it: while they hold each other no memory is given back."""
        channel = self.channels.pop(key)
        stream, channel.stream = channel.stream, None
        return stream

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
        channel = self.channels[key] = Channel(message)
        make, enter = partial(self._begin, session, channel), partial(self._begun, session, channel)
        self.desk.line_up(session, Arrival(message.request, make, enter, quick=False))

    def _begin(self, session: Session, channel: Channel) -> LiveStream:
        """On another thread: each turn is a recipe that is resolved."""
        message = channel.open
        stream: LiveStream = self.desk.runtime.stream(
            message.recipe,
            steering=message.steering,
            first=message.first,
            ahead=message.ahead,
            priority=message.priority,
            on_event=lambda event: self.desk.hand_over(partial(self._event, session, channel, event)),
        )
        return stream

    def _begun(self, session: Session, channel: Channel, outcome: Any) -> None:
        key, refused = (session.client, channel.open.request), isinstance(outcome, Exception)
        if self.channels.get(key) is not channel:  # the client was let go meanwhile
            if not refused:
                outcome.close()
            return
        early, channel.early = channel.early, []
        if refused:
            del self.channels[key]
            self.desk.say(session, failed(outcome, channel.open.request))
        else:
            channel.stream = outcome
            if channel.here:
                self.desk.say(session, opened(channel.open.request, outcome))
        for event in early:
            event()
        for message in channel.latest.values():
            self._late(session, message)

    def _late(self, session: Session, message: m.Steer | m.Taken | m.Close) -> None:
        """What was said to a stream before it had begun."""
        try:
            self.handle(session, message)
        except Exception as error:
            self.desk.say(session, failed(error, message.request))

    def _again(self, session: Session, channel: Channel) -> None:
        """After a reconnect: what was not taken is sent once more, in its order."""
        channel.here = True
        if channel.stream is None:  # all of it comes when it has begun
            return
        self.desk.say(session, opened(channel.open.request, channel.stream))
        session.outbox.extend(frames for _, frames in channel.kept)
        if channel.final is not None:
            session.outbox.append(channel.final)

    def _tell(
        self, session: Session, channel: Channel, stream: LiveStream, message: m.Steer | m.Taken | m.Close
    ) -> None:
        match message:
            case m.Steer():
                self._steer(session, channel, stream, message)
            case m.Taken(bar=bar):
                stream.take(bar)
                while channel.kept and channel.kept[0][0] <= bar:
                    channel.kept.popleft()
            case m.Close(tail=tail, bars=bars):
                stream.close(tail, bars)

    def _steer(self, session: Session, channel: Channel, stream: LiveStream, message: m.Steer) -> None:
        if message.request not in channel.steered:
            turn, ignored = stream.steer(message.changes, message.bar)
            channel.steered[message.request] = m.Steered(
                request=message.request,
                stream=message.stream,
                bar=turn.bar,
                changes=turn.changes,
                ignored=list(ignored),
            )
            if len(channel.steered) > STEERS_KEPT:
                channel.steered.popitem(last=False)
        self.desk.say(session, channel.steered[message.request])

    def _event(self, session: Session, channel: Channel, event: LiveBar | Ended) -> None:
        request = channel.open.request
        if self.channels.get((session.client, request)) is not channel:  # the client was let go meanwhile
            return
        if channel.stream is None:
            channel.early.append(partial(self._event, session, channel, event))
            return
        if isinstance(event, LiveBar):
            frames = packed(request, event, channel.open.stems)
            channel.kept.append((event.number, frames))
        elif event.refusal is not None:
            frames = channel.final = [encode(failed(event.refusal, request))]
        else:
            closed = m.Closed(
                request=request, recipe=event.recipe.to_dict(), digest=event.digest, under_runs=event.under_runs
            )
            frames = channel.final = [encode(closed)]
        if channel.here and session.route in self.desk.routes:
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
