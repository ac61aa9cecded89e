"""The server: a ROUTER socket around the desk. One loop thread owns the socket; wake-ups come by a socket pair."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import zmq

from ..assets.refusal import Refusal
from ..runtime.worker import Worker
from .desk import Desk
from .messages import Limits
from .protocol import LIMITS, MAX_FRAME_BYTES
from .session import Event, Frames, Session, outcome_of
from .sockets import SERVER_KEYS, set_keys, speak_ipv6

# Sums of zmq's flags are slow while they are enums.
EVENTS, POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
LAST, MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
HEARTBEAT_MS = 20_000
HEARTBEAT_TIMEOUT_MS = 60_000
"""A peer whose ZMTP layer does not answer a ping for this long is cut; it may come back and submit again."""
RETRY_MS = 10
"""How soon a client whose pipe is full is tried again."""
BEGIN_MS = 1
"""How long news waits behind a submit while nothing else comes: the engine's thread begins the work in that time, and two
threads of Python get into each other's way."""
EXPIRE_MS = 5_000
STOP_MS = 100
ZERO_COPY_BYTES = 65536
"""From here on a frame is sent from where it lies; below, copying is quicker."""
ADMITTERS = 2
"""Threads that submit and open streams: while one compiles a long plan, the other clients' requests are accepted by the next."""
TURN = 256
"""Messages taken in before answers go out."""


def serve(
    runtime: Any,
    bind: str,
    *,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    insecure_public: bool = False,
    keys: tuple[bytes, bytes] | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Serves until SIGTERM, SIGINT (on the main thread) or `stop`; gone within 2 s. The runtime stays the caller's.

    bind   tcp://HOST:PORT (port * for any free one) or ipc://PATH; beyond this machine only with keys or the flag
    ready  is called with the address bound
    keys   CURVE (public, secret) of this server, Z85 bytes
    """
    check_bind(bind, insecure_public or keys is not None)
    _check_free(bind)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    try:
        _dress(router, keys)
        speak_ipv6(router, bind)
        try:
            router.bind(bind)
        except zmq.ZMQError as error:
            raise _unbound(bind, error.strerror) from error
        address = router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        with _Loop(runtime, router, limits, stop) as loop, _signals(loop.end, loop.outer):
            if ready is not None:
                ready(address)
            loop.run()
    finally:
        router.close(linger=0)
        context.destroy(linger=0)


def _check_free(bind: str) -> None:
    """Refuses a path that somebody serves on: libzmq would take it away from them without a word."""
    path = bind.removeprefix("ipc://")
    if path == bind or not hasattr(socket, "AF_UNIX"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:  # nobody is there, or has been left behind
            return
    raise _unbound(bind, os.strerror(errno.EADDRINUSE))


def _unbound(bind: str, why: str) -> Refusal:
    return Refusal("address", "bind", f"{bind} cannot be bound: {why}", "choose another")


def check_bind(bind: str, allowed: bool) -> None:
    """Refuses what other machines could reach, unless allowed."""
    scheme, _, rest = bind.partition("://")
    if scheme not in ("tcp", "ipc") or not rest:
        raise Refusal(
            "address", "bind", f"{bind!r} is no address to serve on", "give tcp://127.0.0.1:5557 or ipc://PATH"
        )
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and port != "*" and not (port.isdecimal() and len(port) <= 5 and int(port) < 65536):
        raise Refusal("address", "bind", f"{bind!r} has no port", "give one from 0 to 65535, or * for any free one")
    host = host.strip("[]")
    quads = host.split(".")
    numbers = len(quads) == 4 and all(quad.isdecimal() for quad in quads)
    loopback = host in ("localhost", "::1") or (numbers and quads[0] == "127")
    if scheme == "tcp" and not loopback and not allowed:
        sentence = f"{bind} can be reached from other machines and nothing protects it"
        raise Refusal("insecure", "bind", sentence, "bind to 127.0.0.1, give CURVE keys, or say --insecure-public")


def _dress(router: zmq.Socket[bytes], keys: tuple[bytes, bytes] | None) -> None:
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    router.setsockopt(zmq.SNDHWM, 256)
    router.setsockopt(zmq.RCVHWM, 256)
    router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    router.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    if keys is not None:
        router.curve_server = True
        set_keys(router, SERVER_KEYS, keys)


@contextlib.contextmanager
def _signals(end: Callable[[], None], wake: socket.socket) -> Iterator[None]:
    """`end` on SIGTERM and SIGINT. The system may give a signal to any thread, so it wakes the loop by `wake` too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: end()) for number in (signal.SIGTERM, signal.SIGINT)}
    waker = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Loop:
    def __init__(self, runtime: Any, router: zmq.Socket[bytes], limits: Limits, stop: threading.Event | None) -> None:
        from .. import __version__

        self.router, self.stop, self.running = router, stop, True
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.inner, self.outer = socket.socketpair()
        self.inner.setblocking(False)
        self.outer.setblocking(False)
        self.admitters = Worker("cadenza-admit", ADMITTERS)
        self.encoders = Worker("cadenza-encode")
        admit, encode = partial(self.elsewhere, self.admitters), partial(self.elsewhere, self.encoders)
        self.desk = Desk(runtime, self.hand_over, admit, encode, limits, f"cadenza {__version__}")

    def __enter__(self) -> _Loop:
        return self

    def __exit__(self, *_: object) -> None:
        for session in list(self.desk.sessions.values()):
            self.desk.drop(session)
        self.admitters.close(drop=True)
        self._run_events()  # cancels what was accepted for clients that have just been let go
        self.encoders.close(drop=True, wait=False)
        self.inner.close()
        self.outer.close()

    def hand_over(self, event: Event) -> None:
        self.events.put(event)
        with contextlib.suppress(OSError):  # full: the loop is awake already; closed: it is gone
            self.outer.send(b"!")

    def elsewhere(self, pool: Worker, make: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def run() -> None:
            self.hand_over(partial(done, outcome_of(make)))

        pool.do(run)

    def end(self) -> None:
        self.running = False
        self.hand_over(lambda: None)

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self.router, zmq.POLLIN)
        poller.register(self.inner, zmq.POLLIN)
        blocked, expires = False, 0.0
        while self.running and not (self.stop is not None and self.stop.is_set()):
            wait = RETRY_MS if blocked else EXPIRE_MS if self.stop is None else STOP_MS
            ready, begun = dict(poller.poll(wait)), self.desk.begun
            if self.inner.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self.inner.recv(4096)
            if self.router in ready:
                self._take_in()
            if self.desk.begun > begun:
                poller.poll(BEGIN_MS)
            self._run_events()
            blocked = self._send_out()
            if self.desk.clock() > expires:
                self.desk.expire()
                expires = self.desk.clock() + EXPIRE_MS / 1e3

    def _run_events(self) -> None:
        while not self.events.empty():
            try:
                self.events.get()()
            except Exception:  # everybody shares this thread: it ends for nobody's error
                logging.getLogger("cadenza").exception("an event of the server's loop raised")

    def _take_in(self) -> None:
        for _ in range(TURN):
            if not int(self.router.getsockopt(EVENTS)) & POLLIN:
                return
            route, *frames = self.router.recv_multipart(LAST)
            self.desk.receive(route, frames)

    def _send_out(self) -> bool:
        """Sends what can be sent without waiting; says whether something is left."""
        desk, left = self.desk, False
        while desk.strays:
            route, frames = desk.strays.popleft()
            with contextlib.suppress(zmq.ZMQError):  # best effort: who has not said hello has no queue
                self._send(route, frames)
        for session in list(desk.routes.values()):
            left |= self._empty(session)
        return left

    def _empty(self, session: Session) -> bool:
        while session.outbox:
            try:
                self._send(session.route, session.outbox[0])
            except zmq.Again:
                return True
            except zmq.ZMQError:  # EHOSTUNREACH
                self.desk.unreachable(session)
                return False
            session.outbox.popleft()
        return False

    def _send(self, route: bytes, frames: Frames) -> None:
        """Only the first frame can be refused: a ROUTER takes a message wholly once it has taken its address."""
        self.router.send(route, MORE)
        for frame in frames[:-1]:
            self.router.send(frame, MORE, copy=len(frame) < ZERO_COPY_BYTES)
        self.router.send(frames[-1], LAST, copy=len(frames[-1]) < ZERO_COPY_BYTES)
