"""A live stream as a game holds it: bars in order, steering, and the recipe that plays all of it again.

with game.stream("tense exploration, 96 bpm, D minor", seed=7) as music:
    for bar in music:
        speaker.play(bar.audio)
        if boss_appears:
            music.steer("boss", intensity=0.9)
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..assets.refusal import Corrupt, Refusal
from ..runtime.music.terms import check_close
from . import messages as m
from .conversation import Pending
from .plain import pythons

if TYPE_CHECKING:
    from .game import Game, Ticket

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class StreamBar:
    """One bar.

    audio   float32 (samples, 2): play it right after that of the bar before
    start   sample of the whole stream that is its first; the bar's first beat is `lead` samples later
    stems   by stream, those that were asked for
    recipe  the fields that made it; chords: [{"start", "degree", "pitches"}], in sixteenths of the bar
    digest  sha-256 over the audio of all bars so far
    under_runs  bars that the server made too late so far
    last    the tail that rings after the last bar
    """

    number: int
    audio: Sound
    start: int
    lead: int
    stems: Mapping[str, Sound]
    recipe: Mapping[str, Any]
    chords: Sequence[Mapping[str, Any]]
    digest: str
    under_runs: int
    last: bool


class StreamPending(Pending):
    """What has come of a stream, and was not handed out yet."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.opened: m.Opened | None = None
        self.playing = False  # opened on the connection that there is now
        self.bars: deque[StreamBar] = deque()
        self.expected = message.first if isinstance(message, m.Open) else 0
        self.total: Any = hashlib.sha256()
        self.whole = self.expected == 0
        self.tail = False  # came, and has a number as bars have
        self.taken: m.Taken | None = None  # of the last bar that was handed out
        self.closing: m.Close | None = None
        self.on_news: Callable[[], None] | None = None

    def hear(self, message: m.Opened | m.Bar, frames: Sequence[Any]) -> None:
        if isinstance(message, m.Opened):
            self.opened, self.playing = message, True
        elif message.bar >= self.expected:  # after a reconnect bars may come twice
            self.add(unpacked(message, frames))

    def add(self, bar: StreamBar) -> None:
        self.expected, self.tail = bar.number + 1, bar.last
        self.total.update(np.ascontiguousarray(bar.audio, "<f4").data)
        if self.whole and self.total.hexdigest() != bar.digest:
            sentence = f"has the digest {self.total.hexdigest()}, announced was {bar.digest}"
            self.end(Corrupt(f"bar {bar.number}", sentence, "open the stream again"))
            return
        self.bars.append(bar)
        if self.on_news is not None:
            self.on_news()

    def again(self) -> list[Any]:
        """A server that was restarted begins with the first bar that has not come, and ends where this one would have.

        One that was not may have lost the last `taken` with the connection, and waits for it.
        """
        self.playing = False
        bars = self.expected - self.tail
        messages = [msgspec.structs.replace(self.message, first=bars)]
        if self.taken is not None:
            messages.append(self.taken)
        if self.closing is not None:
            messages.append(msgspec.structs.replace(self.closing, bars=max(self.closing.bars or 0, bars)))
        return messages

    def plays_on(self, failed: m.Failed) -> bool:
        """What answers a `taken` or a `close` that was wrong."""
        return (
            self.playing
            and failed.code in ("out_of_range", "type", "missing")
            and failed.field in ("bar", "bars", "tail")
        )

    def take(self, bar: int) -> m.Taken:
        """What is said of a bar that was handed out, which is remembered."""
        self.taken = m.Taken(request=self.message.request, bar=bar)
        return self.taken

    def close(self, tail: bool, bars: int | None) -> m.Close:
        """What is said of its end, which is remembered."""
        self.closing = m.Close(request=self.message.request, tail=tail, bars=bars)
        return self.closing

    def note(self, turn: m.Steered) -> None:
        """Remembers a turn: with it a server that was restarted goes on where this one was."""
        if isinstance(self.message, m.Open):
            steering = [*self.message.steering, {"bar": turn.bar, "changes": turn.changes}]
            self.message = msgspec.structs.replace(self.message, steering=steering)


def unpacked(message: m.Bar, frames: Sequence[Any]) -> StreamBar:
    if len(frames) != len(message.payload):
        raise Corrupt("payload", f"{len(message.payload)} frames were announced, {len(frames)} came", "open it again")
    sounds = {}
    for part, frame in zip(message.payload, frames, strict=True):
        if part.dtype != "float32" or 4 * prod(part.shape) != part.bytes or len(frame) != part.bytes:
            sentence = f"{part.dtype} {part.shape} in {len(frame)} bytes cannot be read"
            raise Corrupt(f"payload.{part.name}", sentence, "install a newer client")
        sounds[part.name] = np.frombuffer(frame, np.float32).reshape(part.shape)
    return StreamBar(
        number=message.bar,
        audio=sounds.pop("audio"),
        start=message.start,
        lead=message.lead,
        stems=sounds,
        recipe=message.recipe,
        chords=message.chords,
        digest=message.digest,
        under_runs=message.under_runs,
        last=message.last,
    )


class Port(ABC):
    """How a stream reaches its server, over a socket or in process."""

    @abstractmethod
    def steer(self, changes: Mapping[str, Any], bar: int | None) -> Pending:
        """Ends with the turn: .bar, .changes, .ignored."""

    @abstractmethod
    def taken(self, bar: int) -> None: ...

    @abstractmethod
    def close(self, tail: bool, bars: int | None) -> None: ...


def ended() -> Pending:
    """A turn of a stream that has ended."""
    pending = Pending(None)
    pending.end(Refusal("closed", "stream", "has ended", "open another one"))
    return pending


class MusicStream:
    """Use it on the thread that opened it. A bar is taken, and credit for one more given, when it is handed out."""

    def __init__(self, game: Game, pending: StreamPending, port: Port) -> None:
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
        from .game import Ticket

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


def replayed(game: Game, recipe: Mapping[str, Any]) -> MusicStream:
    """A stream made again to its end; its audio is not kept."""
    stream = game.open_stream(dict(recipe), ahead=8)
    for _ in stream:
        pass
    return stream
