"""The client without sockets: what was asked, what came, what is to be said next; blocking and asyncio share it."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..assets.refusal import Refusal, Unknown
from ..runtime.pictures import Shelf, detached, digests_in
from . import messages as m
from .bars import StreamPending
from .payload import check_encoding, known_encoding, pack_arrays, unpack
from .pending import Pending
from .plain import check_recipe, names_of
from .protocol import LIMITS, VERSION, check_payload, decode_server, encode, encode_request, unsendable, version_refusal

PING_S = 2.0
"""After this long without a word, while something is awaited, the client asks whether the server is there."""
BRINGING = frozenset(("image", "inputs", "mask"))
"""Fields of a recipe that may be arrays."""
PATIENCE_S = 60.0
"""A server that has been silent for this long is given up."""


Asked = TypeVar("Asked", bound=Pending)


class Conversation:
    """`outgoing` holds messages to send, each its frames; `receive` takes the frames of one message."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = secrets.token_hex(16)
        self.clock = clock
        self.limits = LIMITS
        self.welcome: m.Welcome | None = None
        self.refused: Refusal | None = None
        self.greeting = False  # hello was said on a new connection, and is not answered yet
        self.turned_away: Refusal | None = None  # how it was answered, where it is worth saying again
        self.open: dict[str, Pending] = {}
        self.outgoing: list[list[Any]] = []
        self.arrays = Shelf()  # what was sent from here: a recipe that names it can be sent again
        self.heard = self.asked = clock()
        self.doubt: float | None = None  # when the first ping without an answer was sent
        self._numbers = itertools.count(1)
        self.hello()

    def hello(self) -> None:
        if self.welcome is not None:  # what is open is said after the welcome, and until then nothing of it
            self.greeting = True
            self.outgoing.clear()
        self.say(m.Hello(version=VERSION, client=self.client, agent="cadenza python"))

    def submit(self, recipe: Mapping[str, Any], encoding: str = "raw", **terms: Any) -> Pending:
        check_recipe(recipe)
        if self.welcome is None:
            known_encoding(encoding)
        else:
            check_encoding(encoding, self.welcome.encodings)
        terms["maps"] = names_of(terms.get("maps"))
        told, arrays = self._with_arrays(recipe) if BRINGING & recipe.keys() else (dict(recipe), {})
        parts, payload = pack_arrays(arrays)
        check_payload(parts, self.limits)
        return self._sent(
            lambda: Pending(m.Submit(request=self._next(), recipe=told, encoding=encoding, payload=parts, **terms)),
            payload=payload,
            told=told,
        )

    def _with_arrays(self, recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The recipe as it is sent, and all arrays that it names: those in it, and those that went from here before."""
        told, arrays = detached(recipe)
        for array in arrays.values():
            self.arrays.keep(array)
        known = {digest: self.arrays.find(digest) for digest in digests_in(told)}
        return told, {digest: array for digest, array in known.items() if array is not None}

    def _sent(
        self,
        asked: Callable[[], Asked],
        payload: Sequence[Any] = (),
        told: Mapping[str, Any] | None = None,
    ) -> Asked:
        """`told` are the fields among which one that cannot be sent is looked for."""
        try:
            return self._ask(asked(), payload)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, Refusal):
                raise
            code, field = "out_of_range" if isinstance(error, OverflowError) else "type", unsendable(told or {})
            raise Refusal(code, field, f"cannot be sent: {error}", "use text, numbers, lists and maps") from error

    def ask(self, kind: type[m.Describe] | type[m.Stats]) -> Pending:
        return self._ask(Pending(kind(request=self._next())))

    def stream(self, **fields: Any) -> StreamPending:
        """Opens a live stream; its bars come to the pending."""
        return self._sent(lambda: StreamPending(m.Open(request=self._next(), **fields)), told=fields.get("recipe"))

    def steer(self, stream: Pending, changes: Mapping[str, Any], bar: int | None) -> Pending:
        return self._sent(
            lambda: Pending(
                m.Steer(request=self._next(), stream=stream.message.request, changes=dict(changes), bar=bar)
            ),
            told=changes,
        )

    def say(self, message: m.Message) -> None:
        """What needs no answer of its own."""
        self.outgoing.append([encode(message)])

    def tell(self, message: m.Message) -> None:
        """The same, about something open that remembers it: where hello is not answered yet, `again` says it."""
        if not self.greeting:
            self.say(message)

    def cancel(self, pending: Pending) -> None:
        if not pending.done:
            pending.doomed = True
            self.tell(m.Cancel(request=pending.message.request))

    def bye(self) -> None:
        self.say(m.Bye())

    def tick(self) -> None:
        """Call while waiting: asks after a silent server, and says hello once more to one that has not answered it."""
        now = self.clock()
        if not self.open:
            self.heard = self.asked = now
            return
        if now - max(self.heard, self.asked) > PING_S:
            self.asked = now
            self._doubt()
            if self.greeting:
                self.hello()
            else:
                self.say(m.Ping(request="ping"))

    def check_alive(self) -> None:
        """Call when nothing came: gives a dead server up, or one that turns this client away all the time."""
        silent = self.clock() - self.doubt if self.doubt is not None else 0.0
        if silent > PATIENCE_S:
            sentence = f"has been silent for {silent:.0f} s"
            self.give_up(self.turned_away or Refusal("lost", "server", sentence, "submit it again, or connect again"))

    def give_up(self, refusal: Refusal) -> None:
        """Ends everything that is open."""
        self.refused = refusal if self.welcome is None else self.refused
        self.greeting, self.doubt, self.turned_away = False, None, None
        ended, self.open = self.open, {}
        for pending in ended.values():
            pending.end(refusal)

    def receive(self, frames: Sequence[Any]) -> None:
        self.heard = self.clock()
        try:
            message = decode_server(frames[0])
        except Unknown:  # a message type of a later minor version
            self.doubt = None
            return
        except Refusal as refusal:
            self.give_up(refusal)
            return
        if isinstance(message, m.Failed) and (message.code == "hello" or self.greeting):
            self._doubt()  # it is there, and serves nothing of what is open
        else:
            self.doubt = None
        pending = self.open.get(getattr(message, "request", ""))
        match message:
            case m.Result():
                self.say(m.Received(request=message.request))
                if pending is not None:
                    self._result(message, frames[1:], pending)
            case m.Welcome():
                self._welcomed(message)
            case m.Failed(code="hello"):
                if not self.greeting and not any(b"hello" in frames[0][:16] for frames in self.outgoing):
                    self.hello()
            case m.Failed():
                self._failed(message, pending)
            case m.Accepted() if pending is not None:
                pending.rows = message.rows
                pending.position, pending.expected_ms = message.position, message.expected_ms
            case m.Progress() if pending is not None:
                pending.row, pending.rows = message.row, message.rows
            case m.Cancelled():
                self._close(message.request, Refusal("cancelled", "request", "was cancelled", "submit it again"))
            case m.Opened() | m.Bar() | m.Closed() | m.Steered():
                self._streamed(message, frames[1:], pending)
            case m.Description(request=request, description=told) | m.Statistics(request=request, statistics=told):
                self._close(request, told, acknowledge=False)
            case _:
                pass

    def _doubt(self) -> None:
        if self.doubt is None:
            self.doubt = self.clock()

    def _next(self) -> str:
        return f"r{next(self._numbers)}"

    def _ask(self, pending: Asked, payload: Sequence[Any] = ()) -> Asked:
        if len(self.open) >= self.limits.requests:
            sentence = f"{self.limits.requests} requests are unfinished"
            raise Refusal("busy", "request", sentence, "wait for some of them or cancel them")
        header = encode_request(pending.message, self.limits)
        if not self.open:  # while nothing was asked, silence meant nothing
            self.doubt = self.turned_away = None
        self.open[pending.message.request] = pending
        pending.payload = list(payload)
        if not self.greeting:  # else it is asked with all that is open
            self.outgoing.append([header, *payload])
        return pending

    def _welcomed(self, welcome: m.Welcome) -> None:
        if welcome.version[0] != VERSION[0]:
            self.refused = refusal = version_refusal(welcome.version)
            self.give_up(refusal)
            return
        again, self.greeting, self.turned_away = self.welcome is not None, False, None
        self.welcome, self.limits = welcome, welcome.limits
        if again:  # the connection was new to the server: everything open is asked once more, by its old request id
            for pending in self.open.values():
                first, *others = pending.again()
                self.outgoing += [[encode(first), *pending.payload], *([encode(each)] for each in others)]

    def _failed(self, failed: m.Failed, pending: Pending | None) -> None:
        refusal = Refusal(failed.code, failed.field, failed.sentence, failed.remedy)
        if pending is not None:
            if not pending.plays_on(failed):
                self._close(failed.request, refusal)
        elif self.welcome is None:
            self.refused = refusal
        elif self.greeting and not failed.request:  # the answer to hello
            if failed.code == "busy":
                self.turned_away = refusal
            else:
                self.give_up(refusal)

    def _streamed(self, message: m.Opened | m.Bar | m.Closed | m.Steered, frames: Sequence[Any], pending: Any) -> None:
        if isinstance(message, m.Steered):
            stream: Any = self.open.get(message.stream)
            if stream is not None and pending is not None:
                stream.note(message)
            self._close(message.request, message, acknowledge=False)
        elif isinstance(message, m.Closed):
            self._close(message.request, message)
        elif pending is not None:
            try:
                pending.hear(message, [getattr(frame, "buffer", frame) for frame in frames])
            except Refusal as refusal:
                self.say(m.Close(request=message.request))
                self.open.pop(message.request).end(refusal)

    def _result(self, message: m.Result, frames: Sequence[Any], pending: Pending) -> None:
        pending.row = pending.rows
        try:
            buffers = [getattr(frame, "buffer", frame) for frame in frames]
            outcome: Any = unpack(message, buffers, selected=bool(pending.message.maps))
        except Refusal as refusal:
            outcome = refusal
        self.open.pop(message.request).end(outcome)

    def _close(self, request: str, outcome: Any, acknowledge: bool = True) -> None:
        pending = self.open.pop(request, None)
        if acknowledge:  # cancelled and failed requests are kept by the server until acknowledged, as results are
            self.say(m.Received(request=request))
        if pending is not None:
            pending.end(outcome)
