"""How flights are made: a job of the engine for each, and what becomes of its latent or its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from . import kinds
from .draws import StepDraws
from .engine.engine import Engine
from .engine.job import Job, Latent
from .engine.live import job_for
from .engine.tokens.job import TokenJob
from .finish import finish
from .flight import Flight, shape
from .inputs import read_by
from .music.resolve import TokensResolved
from .resolved import Resolved
from .worker import Worker

OnRow = Callable[[Job], None]


class Workshop:
    """Used on the engine's thread. `post` brings a command there from another one; of a flight it says `on_row(flight, job)`,
    and at its end `deliver(flight, made, seconds by stage)` or `failed(flight, job, error)`."""

    def __init__(
        self,
        engine: Engine,
        post: Callable[[Callable[[], None]], None],
        on_row: Callable[[Flight, Any], None],
        deliver: Callable[[Flight, Any, Mapping[str, float]], None],
        failed: Callable[[Flight, Any, Exception], None],
    ) -> None:
        self._engine, self._post = engine, post
        self._row, self._deliver, self._failed = on_row, deliver, failed
        self._player = Worker("cadenza-player")
        self._drawer = Worker("cadenza-noise")

    def close(self) -> None:
        """When the engine's thread has ended: pieces that are not played are not wanted any more."""
        self._player.close(drop=True)
        self._drawer.close()

    def begin(self, flight: Flight) -> None:
        if isinstance(flight.resolved, TokensResolved):
            self._strike_up(flight, flight.resolved)
            return
        self._prepare(flight, flight.resolved, partial(self._row, flight), partial(self._done, flight))

    def _prepare(self, flight: Flight, resolved: Resolved, on_row: OnRow, on_done: OnRow) -> None:
        """Enters the job of a recipe; that of the image it starts from comes first and hands its latent on."""
        if resolved.source is None:
            self._enter(flight, resolved, None, on_row, on_done)
        else:
            then = partial(self._enter_from, flight, resolved, on_row, on_done)
            self._prepare(flight, resolved.source, _quiet, then)

    def _enter_from(self, flight: Flight, resolved: Resolved, on_row: OnRow, on_done: OnRow, source: Job) -> None:
        self._enter(flight, resolved, source.latent, on_row, on_done)

    def _enter(self, flight: Flight, resolved: Resolved, source: Latent | None, on_row: OnRow, on_done: OnRow) -> None:
        try:
            draw = flight.draws(resolved, self._drawer)
            flight.job = job_for(
                resolved.plan,
                network=flight.network,
                shape=shape(resolved),
                begin=partial(flight.begin, resolved, draw, source),
                condition=resolved.condition,
                draw=draw,
                prepare=draw.prepare,
                given=dict.fromkeys(read_by(resolved)),
                priority=flight.priority,
                deadline=flight.deadline,
                on_row=on_row,
                on_done=on_done,
                on_error=partial(self._failed, flight),
            )
        except Exception as error:  # for want of memory
            self._failed(flight, None, error)
            return
        if flight.works:  # else cancelled before it began
            self._engine.add(flight.job)

    def _strike_up(self, flight: Flight, resolved: TokensResolved) -> None:
        """Enters the job of a piece of music; when all is said it is played on the player's thread."""
        try:
            job = kinds.tokens_job(flight.network, resolved)
        except Exception as error:  # of the text encoder's backend, or for want of memory
            self._failed(flight, None, error)
            return
        job.priority, job.deadline = flight.priority, flight.deadline
        job.on_row = partial(self._row, flight)
        job.on_done = partial(self._to_player, flight, resolved)
        job.on_error = partial(self._failed, flight)
        flight.job = job
        if flight.works:  # else cancelled before it began
            self._engine.add(job)

    def _to_player(self, flight: Flight, resolved: TokensResolved, job: TokenJob) -> None:
        self._player.do(partial(self._play, flight, resolved, job))

    def _play(self, flight: Flight, resolved: TokensResolved, job: TokenJob) -> None:
        """On the player's thread, as it takes longer than a tick should."""
        clock = self._engine.clock
        began = clock()
        try:
            piece = kinds.play(job, resolved)
        except Exception as error:
            self._post(partial(self._failed, flight, job, error))
            return
        stages = {"model": job.model_seconds, "render": clock() - began}
        self._post(partial(self._deliver, flight, piece, stages))

    def _done(self, flight: Flight, job: Job) -> None:
        clock, resolved = self._engine.clock, cast(Any, flight.resolved)
        try:
            grain = cast(StepDraws, job.draw).grain()
            began = clock()
            maps = flight.network.maps(job.latent, grain)
            decoded = clock()
            texture = finish(maps, resolved.bundle.manifest, resolved.recipe, resolved.ignored, flight.network.made_by)
        except Exception as error:
            self._failed(flight, job, error)
            return
        stages = {"model": job.model_seconds, "decode": decoded - began, "finish": clock() - decoded}
        self._deliver(flight, texture, stages)


def _quiet(job: Job) -> None:
    """Rows of an image that a request starts from are not the request's own."""
