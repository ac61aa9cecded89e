"""A live stream as a game holds it: bars in order, steering, and the recipe that plays all of it again.

with game.stream("tense exploration, 96 bpm, D minor", seed=7) as music:
    for bar in music:
        speaker.play(bar.audio)
        if boss_appears:
            music.steer("boss", intensity=0.9)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

from ..assets.refusal import Refusal
from ..runtime.music.terms import check_close
from . import messages as m
from .bars import StreamBar, StreamPending
from .pending import Pending, ended
from .plain import pythons
from .ticket import Connection, Ticket


class Port(ABC):
    """How a stream reaches its server, over a socket or in process."""

    @abstractmethod
    def steer(self, changes: Mapping[str, Any], bar: int | None) -> Pending:
        """Ends with the turn: .bar, .changes, .ignored."""

    @abstractmethod
    def taken(self, bar: int) -> None: ...

    @abstractmethod
    def close(self, tail: bool, bars: int | None) -> None: ...


class MusicStream:
    """Use it on the thread that opened it. A bar is taken, and credit for one more given, when it is handed out."""

    def __init__(self, game: Connection, pending: StreamPending, port: Port) -> None:
        self._game, self._pending, self._port = game, pending, port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamBar:
        """The next bar; waits for it. Ends when the stream was closed, raises the refusal it ended with."""
        bar = self.next()
        if bar is None:
            raise StopIteration
        return bar

    def next(self, timeout: float | None = None) -> StreamBar | None:
        """As iterating, with a TimeoutError after so many seconds; None after the end."""
        self._wait(lambda: bool(self._pending.bars) or self._pending.done, timeout)
        return self._hand_out()

    def poll(self) -> StreamBar | None:
        """The next bar if it is here; never waits. `ended` says whether there will be none."""
        if not self._pending.bars and not self._pending.done:
            self._game.poll()
        return self._hand_out()

    @property
    def ended(self) -> bool:
        return self._pending.done and not self._pending.bars

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self._facts().rate

    @property
    def lead(self) -> int:
        """Samples of each bar's audio before its first beat."""
        return self._facts().lead

    @property
    def ignored(self) -> tuple[str, ...]:
        """Words of the prompt that were not known."""
        return tuple(self._facts().ignored)

    @property
    def made_by(self) -> Mapping[str, Any]:
        return self._facts().made_by

    @property
    def start(self) -> Mapping[str, Any]:
        """The complete recipe it began with."""
        return self._facts().recipe

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The whole stream with its steering, once it has ended: `game.replay(stream)` makes it again, byte for byte."""
        recipe: Mapping[str, Any] = self._closed().recipe
        return recipe

    @property
    def id(self) -> str:
        """The id of that recipe."""
        from ..runtime.kinds import read_recipe

        return read_recipe(self.recipe).id

    @property
    def digest(self) -> str:
        """sha-256 over all its audio, once it has ended."""
        return str(self._closed().digest)

    @property
    def under_runs(self) -> int:
        """Bars that the server made too late, once it has ended."""
        return int(self._closed().under_runs)

    def steer(self, prompt: str = "", *, bar: int | None = None, **changes: Any) -> Ticket:
        """Makes the music another from a bar on, without `bar` from the first that is not made yet.

        The ticket's result has `.bar`, `.changes` (the fields that are others now) and `.ignored`. Changes are fields of a recipe:
        style or styles (a list, or weights by style), weights, intensity, density, brightness, section, bpm, key or scale,
        progression, temperature, top_k, top_p, only, mute, featuring.
        """
        if self._pending.done:
            return Ticket(self._game, ended())
        asked = {**({"prompt": prompt} if prompt else {}), **changes}
        return Ticket(self._game, self._port.steer(asked, bar))

    def close(self, tail: bool = False, bars: int | None = None) -> None:
        """Asks for its end, after the bars that are begun or so many in all; they, and with `tail` what rings on, still come."""
        tail, bars = pythons((tail, bars))
        check_close(tail, bars)
        if not self._pending.done:
            self._port.close(tail, bars)

    def _wait(self, done: Callable[[], bool], timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        self._game.pump(0)
        while not done():
            left = 1.0 if end is None else min(1.0, end - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"no bar after {timeout} s; it goes on, wait again or close it")
            self._game.pump(left)

    def _hand_out(self) -> StreamBar | None:
        pending = self._pending
        if not pending.bars:
            if pending.done and isinstance(pending.outcome, Refusal):
                raise pending.outcome.afresh()
            return None
        bar = pending.bars.popleft()
        if not bar.last and not pending.done:
            self._port.taken(bar.number)
        return bar

    def _facts(self) -> m.Opened:
        pending = self._pending
        if pending.opened is None:  # known, it can be asked for when the connection is closed too
            self._wait(lambda: pending.opened is not None or pending.done, None)
        if pending.opened is None:
            pending.value()
        assert pending.opened is not None
        return pending.opened

    def _closed(self) -> Any:
        if not self._pending.done:
            raise Refusal("open", "stream", "is still playing", "close it and iterate to its end")
        return self._pending.value()
