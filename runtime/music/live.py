"""Live streams: music that is made bar by bar, a little ahead of who listens, and steered while it plays.

A bar is one job of the engine, which goes on from the cache of the bar before, and one call of the player. Bars are made on credit
only: at most `ahead` of them are not taken. So what steers is heard from the first bar on that is not yet made, a client that
does not listen costs nothing, and the whole is a function of how it began and of the turns at their bars.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Literal, Self

import numpy as np

from ...assets.music.live import LEAD, Chunk, Player
from ...assets.music.score import Chord
from ...assets.refusal import Refusal
from ..engine.engine import Engine
from ..engine.tokens.job import Past, TokenJob
from ..engine.tokens.network import TokenNetwork
from ..work import unexpected
from ..worker import Worker
from .fonts import bank_of
from .momentum import forgets
from .opened import noise_of
from .reading import Reader, certain, silent_streams
from .recipe import MusicRecipe
from .resolve import MusicResolved, manifest_of, plan_of
from .steering import Course, StreamRecipe, Turn
from .terms import LONGEST, check_close
from .tokens import Tokens

PRIORITY = 10
"""Of a stream's bars: nothing else in a game is heard at once when it is late."""


@dataclass(frozen=True)
class LiveBar:
    """What was made: a chunk of sound and what made it.

    recipe     the fields that this bar was made by
    chords     in sixteenths of the bar
    digest     sha-256 (hex) over the audio of all bars so far
    under_runs how many bars came too late so far, for a player that began with the first
    last       the tail after the last bar
    """

    chunk: Chunk
    rate: int
    recipe: MusicRecipe
    chords: tuple[Chord, ...]
    digest: str
    under_runs: int
    last: bool = False

    @property
    def number(self) -> int:
        return self.chunk.number


@dataclass(frozen=True)
class Ended:
    """How a stream ended: `refusal` where not by being closed."""

    recipe: StreamRecipe
    digest: str
    under_runs: int
    refusal: Refusal | None = None


Event = LiveBar | Ended
State = Literal["open", "closing", "ended"]


@dataclass(frozen=True)
class Place:
    """Where streams play: their engine, a way onto its thread, one thread of players, and who is told when one has ended."""

    engine: Engine
    post: Callable[[Callable[[], None]], None]
    player: Worker
    forget: Callable[[LiveStream], None]

    def clock(self) -> float:
        return self.engine.clock()


class LiveStream:
    """One stream. Methods may be called from any thread; `on_event` is called from the player's, and must return at once.

    ahead, first  see kinds.stream; length: the recipe of a whole stream, which ends by itself

    Without an `on_event` of its own it can be iterated: a bar is taken when the next one is asked for.
    """

    def __init__(
        self,
        place: Place,
        network: TokenNetwork,
        course: Course,
        *,
        ahead: int,
        first: int = 0,
        priority: int = PRIORITY,
        length: StreamRecipe | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.start = start = course.at(-1)  # before any turn: those at bar 0 stand in the recipe's steering
        self.lead, self.rate = LEAD, start.recipe.rate
        self.ahead, self.first = ahead, first
        self._place, self._network, self._course = place, network, course
        self._manifest = manifest_of(start.bundle)
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._given: LiveBar | None = None  # the last bar that was iterated
        self._on_event = on_event or self._heard.put
        self._priority = priority
        self._bars = None if length is None else length.bars  # how many it has, where that is known
        self._lock = threading.Lock()  # for the course and the next six
        self._state: State = "open"
        self._tail = length is not None and length.tail
        self._next = 0  # the first bar that is not begun
        self._taken = first - 1
        self._allowed_at: dict[int, float] = {}  # when a bar's credit came
        self._refusal: Refusal | None = None
        self._job: TokenJob | None = None  # on the engine's thread, as the next
        self._past: Past | None = None
        self._begun = start  # what was asked for when the model last began anew
        self._reader = Reader()
        self._player = Player(self.rate, loudness=start.recipe.loudness, bank=bank_of(start.recipe))
        self._total = hashlib.sha256()
        self._made = self._under_runs = 0
        self._began: float | None = None  # when the first bar's first sample would be heard

    @property
    def made_by(self) -> dict[str, str]:
        return self._network.made_by

    @property
    def next_bar(self) -> int:
        """The first bar that steering can still reach."""
        with self._lock:
            return self._next

    def steer(self, changes: Mapping[str, Any], bar: int | None = None) -> tuple[Turn, tuple[str, ...]]:
        """From a bar on, or the first that is not begun, the music is another; gives the turn, and the prompt's ignored words."""
        with self._lock:
            if self._state != "open":
                raise Refusal("closed", "stream", "has ended", "open another one")
            if bar is not None and isinstance(bar, int) and bar < self._next:
                sentence = f"{bar} is made already, the first that can be steered is {self._next}"
                raise Refusal("late", "bar", sentence, "leave it out, or name a later one")
            return self._course.steer(changes, self._next if bar is None else bar)

    def take(self, bar: int) -> None:
        """The listener has bars up to this one: as many more may be made."""
        with self._lock:
            known = max(self._next, self._taken + 1)  # who names a `first` has those before it from an earlier stream
            if not isinstance(bar, int) or isinstance(bar, bool) or not 0 <= bar < known:
                raise Refusal("out_of_range", "bar", f"{bar!r} was not made yet", f"valid is 0 to {known - 1}")
            if bar <= self._taken:
                return
            for number in range(self._taken + self.ahead + 1, bar + self.ahead + 1):
                self._allowed_at[number] = self._place.clock()
            self._taken = bar
        self._place.post(self._go_on)

    def close(self, tail: bool = False, bars: int | None = None) -> None:
        """Ends it after those bars that are begun, or after so many in all where these are more; `tail`: what still rings comes as
        a last chunk."""
        check_close(tail, bars)
        with self._lock:
            if self._state != "open":
                return
            self._bars, self._tail = max(self._next, bars or 0), tail
        self._place.post(self._go_on)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LiveBar:
        """The next bar, which takes the one before; ends when the stream was closed, raises the refusal it ended with."""
        before, self._given = self._given, None
        if before is not None and not before.last:
            self.take(before.number)
        event = self._heard.get()
        if isinstance(event, LiveBar):
            self._given = event
            return event
        self._heard.put(event)  # whoever asks again is told again
        if event.refusal is not None:
            raise event.refusal.afresh()
        raise StopIteration

    # On the engine's thread.

    def _go_on(self) -> None:
        """Begins the next bar where there is credit for it."""
        with self._lock:
            number, last = self._next, self._bars is not None and self._next >= self._bars
            if self._state != "open" or self._job is not None or (not last and self._waits(number)):
                return
            if number >= LONGEST:
                self._refusal = Refusal("limit", "bars", f"{LONGEST} is as long as a stream lasts", "open another one")
            if self._refusal is not None or last:
                self._state = "closing"
            else:
                state, before = self._course.at(number), self._course.at(max(0, number - 1))
                self._next += 1
        if self._state == "closing":
            self._stop()
            return
        try:
            self._job = self._job_of(number, state, before)
        except Exception as error:  # for want of memory
            self._fail(error)
            return
        self._place.engine.add(self._job)

    def _job_of(self, number: int, state: MusicResolved, before: MusicResolved) -> TokenJob:
        """Says a bar; `before` is what the bar before it was said by."""
        frames, longest = 4 * state.conditions.beats, max(self._manifest.delays)
        first, count = number * frames, frames + longest
        strike = any(getattr(state.recipe, name) != getattr(before.recipe, name) for name in ("key", "featuring"))
        plan = plan_of(state.recipe, state.conditions, self._manifest, first, count, strike)
        anew = forgets(plan, state, self._begun)
        if number == 0 or anew.any():
            self._begun = state
        job = TokenJob(
            self._network,
            plan,
            lambda: noise_of(state.recipe, count, first),
            priority=self._priority,
            deadline=self._due(number, state) if number >= self.first else inf,
            past=self._past,
            forgets=anew,
            until=count,
            keep=frames,
            on_done=lambda job: self._said(number, state, job),
            on_error=lambda _, error: self._fail(error),
        )
        if number == 0:
            job.on_row = partial(self._overhear, state)
        return job

    def _waits(self, number: int) -> bool:
        """For credit; one that nobody hears for the player, so that a late `first` does not take the engine for itself."""
        return number > self._taken + self.ahead or (number < self.first and self._made < number)

    def _due(self, number: int, state: MusicResolved) -> float:
        """When the bar should be there, on the engine's clock: when those before it have been heard."""
        if self._began is None:
            return self._place.clock()
        seconds = 60.0 * state.conditions.beats / state.conditions.bpm
        return self._began + seconds * (number - self.first)

    def _overhear(self, state: MusicResolved, job: TokenJob) -> None:
        if not job.finished:
            self._place.player.do(partial(self._rehearse, state, job, job.row))

    def _said(self, number: int, state: MusicResolved, job: TokenJob) -> None:
        self._past, self._job = job.left, None
        tokens = job.tokens[:, : 4 * state.conditions.beats]
        self._place.player.do(partial(self._play, number, state, tokens))
        self._go_on()

    def _stop(self) -> None:
        if self._job is not None:
            self._place.engine.remove(self._job)
            self._job = None
        self._place.forget(self)
        self._place.player.do(self._end)

    def _fail(self, error: Exception) -> None:
        refusal = error if isinstance(error, Refusal) else unexpected(error)
        with self._lock:
            if self._state == "ended":
                return
            self._state, self._refusal, self._tail = "closing", refusal, False
        self._job = None
        self._stop()

    # On the player's thread.

    def _rehearse(self, state: MusicResolved, job: TokenJob, row: int) -> None:
        """Makes the notes of a first bar as they are said: the model needs one core, and the bar as long as half of its notes."""
        if job.row != row:  # more is known since then, or all
            return
        recipe, words = state.recipe, job.tokens[:, : 4 * state.conditions.beats]
        bar = certain(words, state.conditions, silent_streams(recipe.only, recipe.mute))
        self._player.rehearse(bar, lambda: not job.finished)

    def _play(self, number: int, state: MusicResolved, tokens: Tokens) -> None:
        try:
            recipe = state.recipe
            bar, chords = self._reader.read(tokens, state.conditions, silent_streams(recipe.only, recipe.mute))
            self._deliver(self._player.play(bar), recipe, chords, False)
        except Exception as error:
            self._place.post(lambda error=error: self._fail(error))  # type: ignore[misc]

    def _deliver(self, chunk: Chunk, recipe: MusicRecipe, chords: tuple[Chord, ...], last: bool) -> None:
        self._total.update(np.ascontiguousarray(chunk.audio, "<f4").data)
        self._made += not last
        if chunk.number < self.first:
            self._place.post(self._go_on)
        if chunk.number >= self.first or last:
            self._watch(chunk)
            self._tell(LiveBar(chunk, self.rate, recipe, chords, self._total.hexdigest(), self._under_runs, last))

    def _watch(self, chunk: Chunk) -> None:
        """Counts an under-run: a bar that had its credit half a bar before it was due, and still came late."""
        now, place = self._place.clock(), chunk.start / self.rate
        allowed = self._allowed_at.pop(chunk.number, 0.0)
        if self._began is None:
            self._began = now - place
        due = self._began + place
        if now > due:
            self._under_runs += allowed < due - 0.5 * len(chunk.audio) / self.rate
            self._began = now - place  # who listens went on when it came

    def _end(self) -> None:
        with self._lock:
            if self._state == "ended":
                return
            self._state = "ended"
            recipe = StreamRecipe(
                start=self.start.recipe,
                steering=self._course.until(self._made),
                bars=self._made,
                tail=self._tail and self._made > 0,
            )
            state = self._course.at(max(0, self._made - 1))
        if recipe.tail:
            self._deliver(self._player.end(), state.recipe, (), True)
        self._tell(Ended(recipe, self._total.hexdigest(), self._under_runs, self._refusal))

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except BaseException:  # sys.exit too, which would end the players' thread without a word
            logging.getLogger("cadenza").exception("on_event of a stream raised")
