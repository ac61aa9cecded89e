"""The runtime: takes requests from any thread, makes them on one engine thread, tells what happens.

with Runtime() as runtime:
    texture = runtime.submit({"prompt": "mossy stone", "seed": 7}).wait()
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from ..assets.refusal import Refusal
from ..assets.sound import Sound
from ..assets.store import Store, default_folder
from ..assets.texture import Texture
from . import kinds
from .bundles import load_bundles
from .engine.engine import Engine
from .engine.job import Job
from .engine.tokens.job import TokenJob
from .flight import Backlog, Flight, candidates_of, cells
from .keeper import Keeper
from .kinds import AnyResolved
from .music.hall import Hall
from .music.live import LiveStream
from .music.piece import Piece
from .pictures import shelf_beside
from .templates import Templates
from .work import Work, cancelled, check_terms, ignore, too_late, unexpected
from .workshop import Workshop

WORK_LIMIT = 4096
"""Requests waiting or running at one time; one more is refused."""
ROWS_A_FILING = 4
"""How often what a flight still needs is brought up to date; what others expect to wait is that much too long at most."""


class Runtime:
    """Serves bundles on one engine thread; every method may be called from any thread.

    bundles  folders, or one; None for the embedded ones
    backend  a name of `engine.backends`, or "auto": the quickest that is installed
    threads  processor threads of the backend; None for all
    store    where results are kept by recipe id; None keeps nothing
    """

    def __init__(
        self,
        bundles: Sequence[Path] | Path | str | None = None,
        backend: str = "auto",
        threads: int | None = None,
        store: Store | None = None,
    ) -> None:
        self.bundles = load_bundles(bundles)
        self.store = store
        cache = default_folder() / "proofs"
        opened = partial(kinds.open_bundle, backend=backend, threads=threads or os.cpu_count() or 1, cache=cache)
        self.networks: dict[str, Any] = {digest: opened(bundle) for digest, bundle in self.bundles.items()}
        self._resolve = Templates(partial(kinds.resolve, bundles=self.bundles, shelf=shelf_beside(store)))
        self._engine = Engine()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._flights: dict[bytes, Flight] = {}  # by canonical bytes; guarded by the lock, as the next three
        self._backlog = Backlog()
        self._unfinished = 0  # works
        self._counts = dict.fromkeys(("accepted", "joined", "done", "failed", "cancelled"), 0)
        self._lock = threading.RLock()
        self._keeper = Keeper(store)
        self._workshop = Workshop(self._engine, self._commands.put, self._row, self._deliver, self._failed)
        self._hall = Hall(self._engine, self._commands.put)
        self._numbers = itertools.count(1)
        self._began = time.monotonic()
        self._open = True
        self._thread = threading.Thread(target=self._loop, name="cadenza-engine", daemon=True)
        self._thread.start()
        _running.add(self)
        atexit.register(self.close)  # who does not close may end while a model runs, and the process would abort

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resolve(self, request: Mapping[str, Any]) -> Any:
        """The complete recipe of a request, and the words of its prompts that were not known; or a refusal."""
        return self._resolve(request)

    def submit(
        self,
        request: Mapping[str, Any],
        *,
        priority: int = 0,
        deadline_ms: float | None = None,
        late: str = "deliver",
        on_event: Callable[[Work], None] = ignore,
    ) -> Work:
        """Takes a request on. A deadline that cannot be met is known here, before any work starts."""
        priority, deadline_ms, late = check_terms(priority, deadline_ms, late)
        candidates = candidates_of(request, self.resolve, late == "degrade" and deadline_ms is not None)
        now = self._engine.clock()
        with self._lock:
            if not self._open:
                raise Refusal("closed", "runtime", "is closed", "open a new one")
            if self._unfinished >= WORK_LIMIT:
                raise Refusal(
                    "busy", "request", f"{WORK_LIMIT} requests are waiting", "wait for some of them or cancel them"
                )
            position, backlog_ms = self._backlog.ahead(priority)
            resolved, expected_ms = self._in_time(candidates, backlog_ms, deadline_ms, late)
            work = Work(
                id=f"w{next(self._numbers)}",
                recipe=resolved.recipe,
                ignored=resolved.ignored,
                rows=resolved.plan.rows,
                position=position,
                expected_ms=expected_ms,
                on_event=on_event,
                priority=priority,
                late=late,
                deadline=now + deadline_ms / 1e3 if deadline_ms is not None else float("inf"),
                accepted=now,
            )
            self._counts["accepted"] += 1
            self._join(work, resolved)
        return work

    def stream(self, request: Mapping[str, Any], **terms: Any) -> LiveStream:
        """Opens a live stream of music; terms are those of `kinds.stream`."""
        return kinds.stream(self._hall, self.networks, self.bundles, request, **terms)

    def cancel(self, work: Work) -> None:
        """Ends a work between two ticks. A recipe that others wait for is still made; one that has ended stays ended."""
        self._commands.put(partial(self._cancel, work))

    def describe(self) -> dict[str, Any]:
        """What this runtime serves: a list of bundles with their dials and limits."""
        told = ((kinds.describe(bundle), self.networks[digest]) for digest, bundle in self.bundles.items())
        return {"bundles": [{**own, "made_by": network.made_by, "batch": network.strategy} for own, network in told]}

    def stats(self) -> dict[str, Any]:
        """Counts and times since the start; seconds."""
        account = self._engine.account
        with self._lock:
            counts = {**self._counts, "unfinished": self._unfinished, "streams": len(self._hall)}
        return {
            **counts,
            "not_stored": self._keeper.missed,
            "ticks": account.ticks,
            "evaluations": account.samples,
            "model_s": account.model_seconds,
            "uptime_s": time.monotonic() - self._began,
        }

    def close(self) -> None:
        """Cancels what is left and stops the engine's thread; again it does nothing, or what is left of one that was interrupted."""
        with self._lock:
            self._open = False
        self._commands.put(self._cancel_all)
        self._thread.join()
        self._hall.shut()
        self._workshop.close()
        self._keeper.close()
        atexit.unregister(self.close)

    def _in_time(
        self, candidates: Sequence[AnyResolved], backlog_ms: float, deadline_ms: float | None, late: str
    ) -> tuple[AnyResolved, float]:
        """The first candidate that is in time, else the last one, with the milliseconds expected until it is done."""
        for candidate in candidates:
            network = self.networks[candidate.bundle.digest]
            own_ms = 1e3 * network.expected_seconds(cells(candidate), candidate.evaluations)
            if deadline_ms is None or backlog_ms + own_ms <= deadline_ms:
                return candidate, backlog_ms + own_ms
        if late == "fail" and deadline_ms is not None:
            raise too_late(backlog_ms + own_ms, deadline_ms)
        return candidate, backlog_ms + own_ms

    def _join(self, work: Work, resolved: AnyResolved) -> None:
        flight = self._flights.get(work.recipe.canonical)
        if flight is None:
            flight = Flight(resolved, self.networks[resolved.bundle.digest])
            self._flights[work.recipe.canonical] = flight
            begin = self._workshop.begin
        else:
            self._counts["joined"] += 1
            begin = self._hurry
        flight.join(work)
        self._unfinished += 1
        self._backlog.file(flight)
        self._commands.put(partial(begin, flight))  # last: the engine's thread wakes, and can go on when this one waits

    # Below here, on the engine's thread only.

    def _loop(self) -> None:
        while self._open or self._flights:
            try:
                if self._commands.empty() and self._engine.jobs:
                    self._engine.tick()
                else:
                    self._commands.get()()
            except Exception:  # everybody shares this thread: it ends for nobody's error
                logging.getLogger("cadenza").exception("a command or a tick of the engine's thread raised")

    def _hurry(self, flight: Flight) -> None:
        if flight.job is not None:
            self._engine.hurry(flight.job, flight.priority, flight.deadline)

    def _row(self, flight: Flight, job: Job | TokenJob) -> None:
        if job.row % ROWS_A_FILING == 0 and not job.finished:
            with self._lock:
                self._backlog.file(flight)
        for work in list(flight.works):
            work.state, work.row = "running", min(job.row, work.rows)  # a live run may take more than expected
            work.tell()

    def _deliver(self, flight: Flight, made: Texture | Piece | Sound, stages: Mapping[str, float]) -> None:
        if self._flights.get(flight.resolved.recipe.canonical) is not flight:  # cancelled while it was played
            return
        finished = self._engine.clock()
        for work in self._land(flight, "done"):
            total = {"total": finished - work.accepted, **stages}
            work.row = work.rows
            work.end("done", made.timed({stage: 1e3 * seconds for stage, seconds in total.items()}))
        self._keeper.keep(made)

    def _failed(self, flight: Flight, job: Job | TokenJob | None, error: Exception) -> None:
        if self._flights.get(flight.resolved.recipe.canonical) is not flight:  # cancelled before it failed
            return
        refusal = error if isinstance(error, Refusal) else unexpected(error)
        for work in self._land(flight, "failed"):
            work.end("failed", error=refusal)

    def _land(self, flight: Flight, how: str) -> Iterable[Work]:
        """Takes the flight out of the air; from here on an identical request is a new flight."""
        with self._lock:
            self._flights.pop(flight.resolved.recipe.canonical, None)
            self._backlog.strike(flight)
            self._unfinished -= len(flight.works)
            self._counts[how] += len(flight.works)
            flight.job = None  # which knows the flight
            return flight.works

    def _cancel(self, work: Work) -> None:
        with self._lock:
            flight = self._flights.get(work.recipe.canonical)
            if flight is None or work not in flight.works:
                return
            flight.leave(work)
            self._unfinished -= 1
            self._counts["cancelled"] += 1
            if flight.works:
                self._backlog.file(flight)
                self._hurry(flight)
            else:
                self._backlog.strike(flight)
                del self._flights[work.recipe.canonical]
                if flight.job is not None:
                    self._engine.remove(flight.job)
                    flight.job = None
        work.end("cancelled", error=cancelled(work))

    def _cancel_all(self) -> None:
        for flight in list(self._flights.values()):
            for work in list(flight.works):
                self._cancel(work)


def _forked() -> None:
    """In a child process, which has none of its parent's threads: who asks there is refused, and does not wait for ever."""
    for runtime in list(_running):
        runtime._open, runtime._lock = False, threading.RLock()  # a thread that is not here may have held it
        runtime._hall.leave()


_running: WeakSet[Runtime] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
