"""What the server remembers of a client: its requests, how they ended, and what is to be sent to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..assets.refusal import Refusal, alone, noted
from . import messages as m
from .protocol import encode

Frames = list[Any]
Event = Callable[[], None]
Elsewhere = Callable[[Callable[[], Any], Callable[[Any], None]], None]
"""elsewhere(make, event) runs `make()` on another thread and then `event(what it made, or its exception)` on the loop."""


def outcome_of(make: Callable[[], Any]) -> Any:
    """What `make` gives, or its exception."""
    try:
        return make()
    except Exception as error:
        return alone(error)


def failed(error: Exception, request: str = "") -> m.Failed:
    noted(error)
    if not isinstance(error, Refusal):
        sentence = f"{type(error).__name__}: {str(error)[:200]}"
        error = Refusal("internal", "request", sentence, "report it; others are served on")
    return m.Failed(
        request=request,
        code=error.code,
        field=error.field[:200],
        sentence=error.sentence[:2000],
        remedy=error.remedy[:2000],
    )


def make_room(sessions: Iterable[Session], limit: int) -> None:
    """Lets go of the oldest results until those that are left have at most `limit` bytes."""
    kept = [entry for session in sessions for entry in session.requests.values() if entry.final and entry.final[1:]]
    total = sum(entry.size for entry in kept)
    for entry in sorted(kept, key=lambda entry: entry.ended):
        if total <= limit:
            return
        total -= entry.size
        entry.let_go(limit)


@dataclass(eq=False)
class Entry:
    """One request of one client."""

    submit: m.Submit
    payload: Sequence[Any] = ()  # frames of its arrays, until it is handed in
    work: Any = None  # runtime Work; None before it is accepted
    early: list[Event] = field(default_factory=list)  # what happened to it before it was accepted
    doomed: bool = False  # cancelled before it was accepted
    final: Frames | None = None  # header and payload of how it ended; empty once they were sent and let go
    size: int = 0  # bytes of `final`
    ended: float = 0.0
    sent: bool = False
    gone: bool = False  # its result was let go

    def let_go(self, limit: int) -> None:
        """Without its result. Who was sent it, has it; who was not, must hear that it will not come."""
        self.gone = True
        if self.sent:
            self.final = []
            return
        sentence = f"its result was let go before it could be sent: all that are kept had more than {limit} bytes"
        refusal = Refusal("forgotten", "request", sentence, "acknowledge results sooner, and submit it again")
        self.final = [encode(failed(refusal, self.submit.request))]


@dataclass(frozen=True)
class Arrival:
    """What is answered in its turn: `enter` takes what `make` gave, or its exception."""

    request: str
    make: Callable[[], Any]
    enter: Callable[[Any], None]
    quick: bool  # else `make` runs on another thread


@dataclass(eq=False)
class Session:
    """One client, across reconnects."""

    client: str
    route: bytes
    heard: float
    greeted: float = 0.0  # when it last said hello
    requests: dict[str, Entry] = field(default_factory=dict)
    intake: deque[Arrival] = field(default_factory=deque)  # submits, refusals of submits, and streams, in their order
    admitting: bool = False  # one of them is with the runtime
    outbox: deque[Frames] = field(default_factory=deque)
    credit: int = 0  # results that may still be sent before one is acknowledged
    ready: deque[str] = field(default_factory=deque)  # ended requests waiting for credit

    def greet(self, route: bytes, now: float, credit: int) -> None:
        """A new connection: nothing has been sent on it, and what was let go is made again if it is asked for."""
        self.route, self.heard, self.greeted, self.credit = route, now, now, credit
        self.outbox.clear()
        self.ready.clear()
        for request, entry in list(self.requests.items()):
            entry.sent = False
            if entry.gone:
                del self.requests[request]

    def forget_unclaimed(self, before: float) -> None:
        """Lets go of what ended and was not asked for again since the client came back: its `received` was lost."""
        if self.greeted >= before:
            return
        waiting = set(self.ready)
        for request, entry in list(self.requests.items()):
            if entry.final is not None and not entry.sent and request not in waiting:
                del self.requests[request]
