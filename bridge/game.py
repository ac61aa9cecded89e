"""What a game holds: the surface that is the same over a socket and in process."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ..assets.refusal import Refusal, WrongType
from ..runtime.music.terms import KIND
from .bars import StreamPending
from .pending import Pending
from .plain import check_recipe, stems_of, turns_of
from .stream import MusicStream, Port
from .ticket import Ticket

SEEN_LIMIT = 4096
"""Recipes whose digests a connection remembers, for `replay`."""
READ_AFTER_S = 0.002
"""While a result is waited for, the digest of the one before is read this much later: the engine has begun by then."""


class ReplayDiffers(Refusal):
    """A recipe that was made again gave other bytes. `texture` is what came, `expected` the digest recorded."""

    def __init__(self, texture: Any, expected: str) -> None:
        self.texture, self.expected = texture, expected
        sentence = f"made again it has the digest {texture.digest}, recorded is {expected}"
        super().__init__("replay_differs", "digest", sentence, "compare made_by: backend, version, device")


def closed() -> Refusal:
    return Refusal("closed", "game", "the connection is closed", "connect again")


class Game(ABC):
    """A connection. Not thread-safe: use it on one thread, or connect once a thread."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Mapping[str, Any], str]] = {}  # by recipe id: recipe and digest received here
        self._ended_streams: deque[tuple[Mapping[str, Any], str]] = deque(
            maxlen=SEEN_LIMIT
        )  # the same of streams, without ids yet
        self._unread: Any = None  # the last result, whose digest is read when there is time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def texture(self, prompt: str, *, seed: int = 0, size: int = 128, **dials: Any) -> Any:
        """Makes a texture and waits for it. Dials are fields of a recipe: steps, sampler, guidance, ..."""
        return self.submit({"kind": "texture", "prompt": prompt, "seed": seed, "size": size, **dials}).result()

    def music(self, prompt: str, *, seed: int = 0, stems: bool = False, **dials: Any) -> Any:
        """Makes a piece of music and waits for it: .audio float32 (samples, 2), .rate, .score, .sidecar, .save(path).

        Dials are fields of a recipe: bars, bpm, key, style, section, intensity, temperature, ...; `stems` brings .stems. Styles may
        have weights: styles={"tense": 2, "combat": 1}.
        """
        parts = () if stems else ("audio", "score")
        return self.submit({"kind": "music", "prompt": prompt, "seed": seed, **dials}, maps=parts).result()

    def sound(self, prompt: str, *, seed: int = 0, seconds: float | None = None, **dials: Any) -> Any:
        """Makes a sound and waits for it: .audio float32 (samples, channels), .rate, .seconds, .save("x.wav").

        seconds  rounded up to whole latent cells; without it 10, or what the bundle makes at most. `describe` has its limits
        """
        return self.submit({"kind": "sound", "prompt": prompt, "seed": seed, "seconds": seconds, **dials}).result()

    def flipbook(self, prompt: str, *, seed: int = 0, size: int = 128, **dials: Any) -> Any:
        """Makes an animated texture of `size` pixels a frame and waits for it: a texture whose maps are sheets of all frames.

        .sheet says how they lie and how many are shown a second; .frame(i) is one as a texture; .save("x.gif") the colours.
        """
        return self.submit({"kind": "flipbook", "prompt": prompt, "seed": seed, "size": size, **dials}).result()

    def submit(
        self,
        recipe: Mapping[str, Any],
        priority: int = 0,
        deadline_ms: float | None = None,
        late: str = "deliver",
        encoding: str = "raw",
        maps: Sequence[str] = (),
        preview: bool = False,
    ) -> Ticket:
        """Asks without waiting. `encoding` "png", "dds" or "ktx2" brings files (EncodedTexture) instead of pixels.

        `maps` chooses what comes, such as ("albedo", "normal_directx", "orm"); without it all of the texture's own maps.
        """
        terms = dict(
            priority=priority, deadline_ms=deadline_ms, late=late, encoding=encoding, maps=maps, preview=preview
        )
        pending = self._submit(recipe, terms)
        pending.when_ended(lambda: self._remember(pending))
        return Ticket(self, pending)

    def stream(
        self,
        prompt: str,
        *,
        seed: int = 0,
        ahead: int = 2,
        first: int = 0,
        stems: Sequence[str] = (),
        steering: Sequence[Mapping[str, Any]] = (),
        **dials: Any,
    ) -> MusicStream:
        """Opens music without an end, which comes bar by bar and is steered while it plays; see bridge/stream.py.

        ahead   bars, 1 to 8, that are made before those before them are taken: fewer hear steering sooner, more bear pauses
        first   the bar it is delivered from; stems: streams that come as stems too; steering: turns known beforehand
        """
        return self.open_stream(
            {"kind": "music", "prompt": prompt, "seed": seed, **dials},
            ahead=ahead,
            first=first,
            stems=stems_of(stems),
            steering=turns_of(steering),
        )

    def open_stream(self, recipe: Mapping[str, Any], **terms: Any) -> MusicStream:
        """A stream of a request for music, or of the recipe of an earlier stream; terms are those of `stream`."""
        check_recipe(recipe)
        pending, port = self._stream({"recipe": dict(recipe), **terms})
        pending.when_ended(lambda: self._remember_stream(pending))
        return MusicStream(self, pending, port)

    def replay(self, recipe_or_id: Any) -> Any:
        """Makes it again and verifies the digest, or raises ReplayDiffers.

        Takes a recipe, a texture, a stream that has ended, a record {"recipe", "digest"}, or a recipe id that this connection or
        this machine's store knows.
        """
        recipe, expected = self._recorded(recipe_or_id)
        made = replayed(self, recipe) if recipe.get("kind") == KIND else self.submit(recipe).result()
        if made.digest != expected:
            raise ReplayDiffers(made, expected)
        return made

    @abstractmethod
    def _submit(self, recipe: Mapping[str, Any], terms: dict[str, Any]) -> Pending: ...

    @abstractmethod
    def _stream(self, fields: dict[str, Any]) -> tuple[StreamPending, Port]: ...

    @abstractmethod
    def pump(self, timeout: float) -> None:
        """Takes in what has come; waits at most `timeout` seconds for something."""

    @abstractmethod
    def cancel(self, pending: Pending) -> None: ...

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What the server offers: bundles with their dials and limits."""

    @abstractmethod
    def stats(self) -> dict[str, Any]:
        """Counts and times of the server."""

    @abstractmethod
    def close(self) -> None:
        """Leaves: what is open is cancelled. Calling it again does nothing."""

    def poll(self) -> None:
        """Takes in everything that has come, for all tickets. Never waits."""
        self.pump(0)

    def wait(self, pending: Pending, timeout: float | None) -> None:
        if pending.done:
            return  # also after the connection is closed
        end = None if timeout is None else time.monotonic() + timeout
        self.pump(0)
        if not pending.done and self._unread is not None:
            self.pump(READ_AFTER_S if timeout is None else min(READ_AFTER_S, timeout))
            self._read()
        while not pending.done:
            left = 1.0 if end is None else min(1.0, end - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"not done after {timeout} s; it goes on, wait again or cancel it")
            self.pump(left)

    def _remember(self, pending: Pending) -> None:
        """A digest takes as long as a tenth of a small texture, so it is not read before the caller has the texture."""
        self._read()
        if not isinstance(pending.outcome, Refusal):
            self._unread = pending.outcome

    def _remember_stream(self, pending: StreamPending) -> None:
        if not isinstance(pending.outcome, Refusal):
            self._ended_streams.append((pending.outcome.recipe, pending.outcome.digest))

    def _read(self) -> None:
        if self._unread is None:
            return
        result, self._unread = self._unread, None
        self._seen[result.id] = (result.recipe, result.digest)
        if len(self._seen) > SEEN_LIMIT:
            del self._seen[next(iter(self._seen))]

    def _recorded(self, asked: Any) -> tuple[Mapping[str, Any], str]:
        self._read()
        if hasattr(asked, "digest") and hasattr(asked, "recipe"):
            return asked.recipe, asked.digest
        if isinstance(asked, Mapping) and "recipe" in asked and "digest" in asked:
            return asked["recipe"], asked["digest"]
        if not isinstance(asked, str | Mapping):
            raise WrongType("recipe", asked, "a recipe, a texture, a stream, a record or a recipe id")
        from ..runtime.kinds import read_recipe

        while self._ended_streams:  # their ids are wanted here only, and cost the reading of a long log
            recipe, digest = self._ended_streams.popleft()
            self._seen[read_recipe(recipe).id] = (recipe, digest)
        recipe_id = asked if isinstance(asked, str) else read_recipe(asked).id
        if recipe_id in self._seen:
            return self._seen[recipe_id]
        from ..assets.store import Store, default_folder

        try:
            record = Store(default_folder() / "store").record(recipe_id)
        except Refusal as refusal:
            sentence = f"no digest of {recipe_id[:12]} is recorded here"
            raise Refusal("unknown", "recipe", sentence, "make it once, or give a record with its digest") from refusal
        return record["recipe"], record["digest"]


def replayed(game: Game, recipe: Mapping[str, Any]) -> MusicStream:
    """A stream made again to its end; its audio is not kept."""
    stream = game.open_stream(dict(recipe), ahead=8)
    for _ in stream:
        pass
    return stream
