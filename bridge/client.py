"""The client over a socket, blocking and polling: one DEALER socket, used on one thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import zmq

from ..assets.refusal import OutOfRange, Refusal, WrongType
from . import messages as m
from .bars import StreamPending
from .conversation import Conversation
from .game import Game, closed
from .pending import Pending
from .sockets import CLIENT_KEYS, set_keys, speak_ipv6
from .stream import Port

# Sums of zmq's flags are slow while they are enums.
EVENTS, POLLIN, NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)
LONGEST_S = 86_400
"""A day; what is not finite is no time to wait."""
Keys = tuple[bytes, bytes, bytes]
"""CURVE: the server's public key, the client's public and secret key; Z85 bytes."""


def open_socket(context: Any, address: str, keys: Keys | None) -> Any:
    """A DEALER connected to the address; nothing has been said yet."""
    if not isinstance(address, str):
        raise WrongType("address", address, "text such as tcp://127.0.0.1:5557")
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.RECONNECT_IVL, 50)
    dealer.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    try:
        if keys is not None:
            set_keys(dealer, CLIENT_KEYS, keys)
        speak_ipv6(dealer, address)
        dealer.connect(address)
    except zmq.ZMQError as error:
        sentence = f"{address!r} is no address ({error.strerror})"
        raise Refusal("address", "address", sentence, 'give tcp://HOST:PORT, ipc://PATH or "inproc"') from error
    return dealer


def check_timeout(timeout: object) -> None:
    """Seconds to wait for a server."""
    if (
        isinstance(timeout, bool)
        or not isinstance(timeout, int | float | np.floating | np.integer)
        or not 0 <= timeout <= LONGEST_S
    ):
        raise OutOfRange("timeout", timeout, f"0 to {LONGEST_S} seconds")


def nobody(address: str, timeout: float) -> Refusal:
    sentence = f"nobody answered at {address} within {timeout:g} s"
    return Refusal("timeout", "address", sentence, f"start a server: cadenza serve --bind {address}")


class SocketGame(Game):
    def __init__(self, address: str, timeout: float, keys: Keys | None = None) -> None:
        super().__init__()
        check_timeout(timeout)
        self._context = zmq.Context()
        self._closed = False
        try:
            self._dealer = open_socket(self._context, address, keys)
            self._talk = Conversation()
            self._greet(address, timeout)
        except BaseException:
            self._context.destroy(linger=0)
            self._closed = True
            raise

    @property
    def welcome(self) -> m.Welcome:
        """What the server said of itself: version, limits, encodings, bundles."""
        assert self._talk.welcome is not None
        return self._talk.welcome

    def describe(self) -> dict[str, Any]:
        return self._ask(m.Describe)

    def stats(self) -> dict[str, Any]:
        return self._ask(m.Stats)

    def cancel(self, pending: Pending) -> None:
        self._talk.cancel(pending)
        self.pump(0)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._talk.bye()
        try:
            self._send()
        finally:
            self._dealer.close(linger=100)  # milliseconds for the bye; nothing else is waited for
            self._context.term()

    def pump(self, timeout: float) -> None:
        if self._closed:
            raise closed()
        self._talk.tick()
        self._send()
        came = self._take_in()
        if not came and timeout > 0 and self._dealer.poll(max(1, int(timeout * 1e3))):
            came = self._take_in()
        if not came:
            self._talk.check_alive()
        self._send()

    def _greet(self, address: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self._talk.welcome is None:
            left = end - time.monotonic()
            if left <= 0:
                raise nobody(address, timeout)
            self.pump(left)
            if self._talk.refused is not None:
                raise self._talk.refused.afresh()

    def _submit(self, recipe: Mapping[str, Any], terms: dict[str, Any]) -> Pending:
        pending = self._talk.submit(recipe, **terms)
        self.pump(0)
        return pending

    def _stream(self, fields: dict[str, Any]) -> tuple[StreamPending, Port]:
        pending = self._talk.stream(**fields)
        self.pump(0)
        return pending, SocketPort(self, self._talk, pending)

    def _ask(self, kind: type[m.Describe] | type[m.Stats]) -> dict[str, Any]:
        pending = self._talk.ask(kind)
        self.wait(pending, 10.0)
        answer: dict[str, Any] = pending.value()
        return answer

    def _take_in(self) -> bool:
        came = False
        while self._dealer.getsockopt(EVENTS) & POLLIN:  # asking costs less than an exception when nothing is there
            frames = self._dealer.recv_multipart(NOBLOCK, copy=False)
            came = True
            self._talk.receive([frames[0].buffer, *frames[1:]])
        return came

    def _send(self) -> None:
        waiting = self._talk.outgoing
        while waiting:
            try:
                if len(waiting[0]) == 1:  # nearly always, and quicker so
                    self._dealer.send(waiting[0][0], NOBLOCK)
                else:
                    self._dealer.send_multipart(waiting[0], NOBLOCK)
            except zmq.Again:  # full: the rest goes with the next call
                return
            del waiting[0]


class SocketPort(Port):
    def __init__(self, game: SocketGame, talk: Conversation, pending: StreamPending) -> None:
        self._game, self._talk, self._pending = game, talk, pending

    def steer(self, changes: Mapping[str, Any], bar: int | None) -> Pending:
        pending = self._talk.steer(self._pending, changes, bar)
        self._game.pump(0)
        return pending

    def taken(self, bar: int) -> None:
        self._say(self._pending.take(bar))

    def close(self, tail: bool, bars: int | None) -> None:
        self._say(self._pending.close(tail, bars))

    def _say(self, message: m.Message) -> None:
        self._talk.tell(message)
        self._game.pump(0)
