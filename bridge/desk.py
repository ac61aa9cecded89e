"""The server without sockets: clients, their requests, what is kept for them and what is to be sent.

All methods run on the server's loop. The runtime's callbacks only call `hand_over`, which carries them there. What takes a
while runs elsewhere: a submit that may compile a plan of a thousand steps, a stream that opens with as many turns, the encoding
of files.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakSet

from ..assets.refusal import Refusal
from ..runtime import kinds
from . import messages as m
from .intake import check_room, kind_of, kinds_of, quick, recipe_of
from .payload import check_encoding, encodings, pack
from .protocol import LIMITS, VERSION, check_version, decode_client, encode, peek
from .session import Arrival, Elsewhere, Entry, Event, Frames, Session, failed, make_room, outcome_of
from .stream_desk import StreamDesk

OUTBOX_LIMIT = 1024
"""Messages waiting for a client that does not read; at one more it is let go."""
PROGRESS_S = 0.03
"""Rows that follow each other more quickly are not all told: each would wake the server and the client."""


class Desk:
    """hand_over(event) must run `event()` on the loop soon, and may be called from any thread; `admit` is for submits and
    streams, `encode` for files."""

    def __init__(
        self,
        runtime: Any,
        hand_over: Callable[[Event], None],
        admit: Elsewhere,
        encode: Elsewhere,
        limits: m.Limits = LIMITS,
        server: str = "cadenza",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runtime, self.hand_over, self.admit, self.encode = runtime, hand_over, admit, encode
        self.limits, self.server, self.clock = limits, server, clock
        self.encodings = encodings()
        self.kinds = kinds_of(runtime)
        self.streams = StreamDesk(self)
        self.sessions: dict[str, Session] = {}
        self.routes: dict[bytes, Session] = {}
        self.bringing: WeakSet[Entry] = WeakSet()  # what came with arrays, as long as it is known
        self.begun = 0  # submits that the runtime took on
        self.strays: deque[tuple[bytes, Frames]] = deque(maxlen=256)  # answers to whoever has not said hello

    def receive(self, route: bytes, frames: Sequence[bytes | memoryview]) -> None:
        """Takes any bytes; whatever is wrong with them is answered and harms nobody else."""
        session = self.routes.get(route)
        try:
            message = decode_client(frames, self.limits)
            if isinstance(message, m.Hello):
                self._hello(route, message)
                return
            if session is None:
                raise Refusal("hello", "type", "this connection has not said hello", "send hello, then submit again")
            session.heard = self.clock()
            self._handle(session, message, frames[1:])
        except Exception as error:
            self._refuse(route, session, frames, error)

    def expire(self) -> None:
        """Lets go of clients that have been silent, of what they did not ask for again, and of results that are too many."""
        long_ago = self.clock() - self.limits.keep_s
        for session in list(self.sessions.values()):
            if session.heard < long_ago:
                self.drop(session)
            else:
                session.forget_unclaimed(long_ago)
        make_room(self.sessions.values(), self.limits.keep_bytes)

    def drop(self, session: Session) -> None:
        self.sessions.pop(session.client, None)
        self.routes.pop(session.route, None)
        for entry in session.requests.values():
            if entry.work is not None and entry.final is None:
                self.runtime.cancel(entry.work)
        self.streams.drop(session)
        session.requests.clear()
        session.intake.clear()
        session.outbox.clear()

    def unreachable(self, session: Session) -> None:
        """The connection is gone; what it was owed is kept for when it comes back."""
        self.routes.pop(session.route, None)
        session.outbox.clear()

    def _hello(self, route: bytes, hello: m.Hello) -> None:
        check_version(hello)
        before = self.routes.get(route)
        if before is not None and before.client != hello.client:
            sentence = "this connection has said hello under another id"
            raise Refusal("contradiction", "client", sentence, "open a connection for each client")
        session = self.sessions.get(hello.client)
        if session is None:
            if len(self.sessions) >= self.limits.clients:
                raise Refusal("busy", "client", f"{self.limits.clients} clients are connected", "try again later")
            session = self.sessions[hello.client] = Session(hello.client, route, self.clock())
        self.routes.pop(session.route, None)
        self.routes[route] = session
        session.greet(route, self.clock(), self.limits.results)
        self.streams.greet(session)
        bundles = self.runtime.describe()["bundles"]
        welcome = m.Welcome(
            version=VERSION,
            server=self.server,
            limits=self.limits,
            encodings=list(self.encodings),
            bundles=[{key: bundle[key] for key in ("name", "kind", "digest") if key in bundle} for bundle in bundles],
        )
        self.say(session, welcome)

    def _handle(self, session: Session, message: m.FromClient, payload: Sequence[Any]) -> None:
        match message:
            case m.Submit():
                self._submit(session, message, payload)
            case m.Received(request=request):
                entry = session.requests.get(request)
                self.streams.forget(session, request)
                if entry is not None and entry.sent:
                    del session.requests[request]
                    session.credit += 1
                    self._spend(session)
            case m.Cancel(request=request):
                entry = session.requests.get(request)
                if entry is None and (
                    self.streams.cancel(session, request) or any(each.request == request for each in session.intake)
                ):  # one that is refused is told so in its turn
                    return
                if entry is None:
                    raise Refusal("unknown", "request", f"{request!r} is not known here", "it may have ended already")
                if entry.work is None:
                    entry.doomed = True
                elif entry.final is None:
                    self.runtime.cancel(entry.work)
            case m.Describe(request=request):
                self.say(session, m.Description(request=request, description=self.runtime.describe()))
            case m.Stats(request=request):
                statistics = {**self.runtime.stats(), "clients": len(self.routes)}
                self.say(session, m.Statistics(request=request, statistics=statistics))
            case m.Ping(request=request):
                self.say(session, m.Pong(request=request))
            case m.Bye():
                self.drop(session)
            case _:
                self.streams.handle(session, message)

    def _submit(self, session: Session, submit: m.Submit, payload: Sequence[Any]) -> None:
        request, known = submit.request, session.requests.get(submit.request)
        if known is not None:
            self._again(session, known, submit)
            return
        try:
            self._check(session, submit)
        except Refusal as refusal:
            answer = failed(refusal, request)
            self.line_up(session, Arrival(request, lambda: answer, partial(self.say, session), quick=True))
            return
        entry = session.requests[request] = Entry(submit, payload)
        if submit.payload:
            self.bringing.add(entry)
        make, enter = partial(self._hand_in, session, entry), partial(self._enter, session, entry)
        self.line_up(session, Arrival(request, make, enter, quick(submit.recipe)))

    def _check(self, session: Session, submit: m.Submit) -> None:
        if self.streams.has(session, submit.request):
            sentence = f"{submit.request!r} was used for a stream"
            raise Refusal("contradiction", "request", sentence, "choose a new request id")
        if len(session.requests) >= self.limits.requests:
            sentence = f"{self.limits.requests} requests of this client are unfinished or unacknowledged"
            raise Refusal("busy", "request", sentence, "wait for some of them or cancel them")
        if submit.payload:
            check_room(submit, self.bringing, self.limits)
        check_encoding(submit.encoding, self.encodings)
        kind = kind_of(submit.recipe, self.kinds)
        kinds.check_parts(kind, submit.maps)
        kinds.check_encoding(kind, submit.encoding)
        if submit.preview:
            raise Refusal("unsupported", "preview", "this server sends no previews", "leave it out")

    def line_up(self, session: Session, arrival: Arrival) -> None:
        """One of a client after the other, so that they are answered in order; those of others go beside them."""
        if len(session.intake) >= OUTBOX_LIMIT:
            self.drop(session)
            return
        session.intake.append(arrival)
        self._next(session)

    def _next(self, session: Session) -> None:
        while session.intake and not session.admitting:
            arrival = session.intake.popleft()
            if arrival.quick:
                arrival.enter(outcome_of(arrival.make))
            else:
                session.admitting = True
                self.admit(arrival.make, partial(self._admitted, session, arrival))

    def _hand_in(self, session: Session, entry: Entry) -> Any:
        """The runtime's Work, or a refusal; on another thread unless it is quick."""
        submit, told = entry.submit, self.clock()
        recipe = recipe_of(submit, entry.payload)
        entry.payload = ()

        def on_event(work: Any) -> None:
            nonlocal told
            row, state, now = work.row, work.state, self.clock()
            if state == "running" and now - told < PROGRESS_S:
                return
            told = now
            self.hand_over(lambda: self._event(session, entry, work, row, state))

        return self.runtime.submit(
            recipe,
            priority=submit.priority,
            deadline_ms=submit.deadline_ms,
            late=submit.late,
            on_event=on_event,
        )

    def _admitted(self, session: Session, arrival: Arrival, outcome: Any) -> None:
        session.admitting = False
        arrival.enter(outcome)
        self._next(session)

    def _enter(self, session: Session, entry: Entry, outcome: Any) -> None:
        request, refused = entry.submit.request, isinstance(outcome, Exception)
        if session.requests.get(request) is not entry:  # the client was let go meanwhile
            if not refused:
                self.runtime.cancel(outcome)
        elif refused:
            del session.requests[request]
            self.say(session, failed(outcome, request))
        else:
            self.begun += 1
            entry.work = outcome
            self._accepted(session, entry)
            for event in entry.early:
                event()
            entry.early.clear()
            if entry.doomed and entry.final is None:
                self.runtime.cancel(entry.work)

    def _again(self, session: Session, entry: Entry, submit: m.Submit) -> None:
        """A request id once more, as after a reconnect: its present state is told, nothing is made twice."""
        if entry.submit != submit:
            sentence = f"{submit.request!r} was used for another request"
            raise Refusal("contradiction", "request", sentence, "choose a new request id")
        if entry.work is not None:
            self._accepted(session, entry)
        if entry.final is not None and not entry.sent and submit.request not in session.ready:
            session.ready.append(submit.request)
            self._spend(session)

    def _accepted(self, session: Session, entry: Entry) -> None:
        work = entry.work
        accepted = m.Accepted(
            request=entry.submit.request,
            id=work.recipe.id,
            rows=work.rows,
            position=work.position,
            expected_ms=work.expected_ms,
        )
        self.say(session, accepted)

    def _event(self, session: Session, entry: Entry, work: Any, row: int, state: str) -> None:
        request = entry.submit.request
        if session.requests.get(request) is not entry or entry.final is not None:
            return
        if entry.work is None:
            entry.early.append(partial(self._event, session, entry, work, row, state))
            return
        if state == "done":
            encoding = entry.submit.encoding

            def make() -> Frames:
                header, payload = pack(request, work.result, encoding, entry.submit.maps)
                return [encode(header), *payload]

            if encoding == "raw":
                self._encoded(session, entry, outcome_of(make))
            else:
                self.encode(make, lambda made: self._encoded(session, entry, made))
        elif state == "cancelled":
            self._end(session, entry, [encode(m.Cancelled(request=request))])
        elif state == "failed":
            self._end(session, entry, [encode(failed(work.error, request))])
        elif not session.outbox:  # progress is news; a client that lags gets the next one
            self.say(session, m.Progress(request=request, row=row, rows=work.rows))

    def _encoded(self, session: Session, entry: Entry, made: Any) -> None:
        frames = [encode(failed(made, entry.submit.request))] if isinstance(made, Exception) else made
        if session.requests.get(entry.submit.request) is entry:
            self._end(session, entry, frames)

    def _end(self, session: Session, entry: Entry, frames: Frames) -> None:
        entry.final, entry.ended, entry.size = frames, self.clock(), sum(len(frame) for frame in frames)
        session.ready.append(entry.submit.request)
        self._spend(session)

    def _spend(self, session: Session) -> None:
        """Sends ended requests as far as the client's credit goes."""
        while session.ready and session.credit > 0 and session.route in self.routes:
            entry = session.requests.get(session.ready.popleft())
            if entry is not None and entry.final is not None and not entry.sent:
                entry.sent = True
                session.credit -= 1
                session.outbox.append(entry.final)

    def say(self, session: Session, message: m.Message) -> None:
        """Puts a message where the server sends from; a client that lets too many lie there is dropped."""
        if session.route not in self.routes:
            return
        if len(session.outbox) >= OUTBOX_LIMIT:
            self.drop(session)
            return
        session.outbox.append([encode(message)])

    def _refuse(self, route: bytes, session: Session | None, frames: Sequence[Any], error: Exception) -> None:
        request = peek(frames, self.limits).request
        answer = failed(error, request if isinstance(request, str) and len(request) <= 64 else "")
        if session is not None and route in self.routes:
            self.say(session, answer)
        else:
            self.strays.append((route, [encode(answer)]))
