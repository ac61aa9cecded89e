"""The client for asyncio.

async with await connect("tcp://127.0.0.1:5557") as game:
    texture = await game.texture("mossy stone", seed=7)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import zmq
import zmq.asyncio

from ..assets.refusal import Refusal
from . import messages as m
from .client import Keys, check_timeout, nobody, open_socket
from .conversation import PING_S, Conversation
from .game import closed
from .plain import stems_of, turns_of
from .stream_aio import AsyncMusicStream
from .ticket_aio import AsyncTicket

BYE_S = 0.1
"""How long closing waits until the bye is with the socket."""


async def connect(address: str, timeout: float = 3.0, keys: Keys | None = None) -> AsyncGame:
    """A connection, or a Refusal where nobody answers within `timeout` seconds."""
    check_timeout(timeout)
    if address == "inproc":
        raise Refusal("unsupported", "address", "'inproc' has no asyncio client", "serve, or use cadenza.connect")
    game = AsyncGame(address, keys)
    try:
        await asyncio.wait_for(game.greet(), timeout)
    except BaseException as error:
        await game.close()
        if isinstance(error, TimeoutError):
            raise nobody(address, timeout) from None
        raise
    return game


class AsyncGame:
    """Use `connect`. All methods on the event loop that made it."""

    def __init__(self, address: str, keys: Keys | None = None) -> None:
        self._context = zmq.asyncio.Context()
        try:
            self._dealer = open_socket(self._context, address, keys)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.talk = Conversation()
        self._welcomed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def greet(self) -> None:
        await self.send()
        await self._welcomed.wait()
        if self.talk.refused is not None:
            raise self.talk.refused.afresh()

    async def submit(self, recipe: Mapping[str, Any], encoding: str = "raw", **terms: Any) -> AsyncTicket:
        """As Game.submit: priority, deadline_ms, late, encoding."""
        ticket = AsyncTicket(self, self.talk.submit(recipe, encoding, **terms))
        await self.send()
        return ticket

    async def texture(self, prompt: str, *, seed: int = 0, size: int = 128, **dials: Any) -> Any:
        return await self._made({"kind": "texture", "prompt": prompt, "seed": seed, "size": size, **dials})

    async def music(self, prompt: str, *, seed: int = 0, stems: bool = False, **dials: Any) -> Any:
        """As Game.music."""
        parts = () if stems else ("audio", "score")
        return await self._made({"kind": "music", "prompt": prompt, "seed": seed, **dials}, parts)

    async def sound(self, prompt: str, *, seed: int = 0, seconds: float | None = None, **dials: Any) -> Any:
        """As Game.sound."""
        return await self._made({"kind": "sound", "prompt": prompt, "seed": seed, "seconds": seconds, **dials})

    async def flipbook(self, prompt: str, *, seed: int = 0, size: int = 128, **dials: Any) -> Any:
        """As Game.flipbook."""
        return await self._made({"kind": "flipbook", "prompt": prompt, "seed": seed, "size": size, **dials})

    async def _made(self, recipe: Mapping[str, Any], maps: Sequence[str] = ()) -> Any:
        """Its result; whoever gives up waiting has no ticket to cancel it by, so it is cancelled."""
        ticket = await self.submit(recipe, maps=maps)
        try:
            return await ticket
        except asyncio.CancelledError:
            with contextlib.suppress(Refusal):  # closed meanwhile, which cancels too
                await ticket.cancel()
            raise

    async def stream(
        self,
        prompt: str,
        *,
        seed: int = 0,
        ahead: int = 2,
        first: int = 0,
        stems: Sequence[str] = (),
        steering: Sequence[Mapping[str, Any]] = (),
        **dials: Any,
    ) -> AsyncMusicStream:
        """As Game.stream."""
        recipe = {"kind": "music", "prompt": prompt, "seed": seed, **dials}
        terms = dict(ahead=ahead, first=first, stems=stems_of(stems), steering=turns_of(steering))
        pending = self.talk.stream(recipe=recipe, **terms)
        music = AsyncMusicStream(self, pending)
        await self.send()
        return music

    async def describe(self) -> dict[str, Any]:
        return await self._ask(m.Describe)

    async def stats(self) -> dict[str, Any]:
        return await self._ask(m.Stats)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.talk.bye()
        try:
            with contextlib.suppress(TimeoutError):  # a socket that is full has nobody at its other end
                await asyncio.wait_for(self._empty(), BYE_S)
        finally:
            self.talk.give_up(closed())  # whoever waits hears of it
            self._dealer.close(linger=100)
            self._context.term()

    async def send(self) -> None:
        if self._closed:
            raise closed()
        await self._empty()

    async def _empty(self) -> None:
        while self.talk.outgoing:
            await self._dealer.send_multipart(self.talk.outgoing.pop(0))

    async def _ask(self, kind: type[m.Describe] | type[m.Stats]) -> dict[str, Any]:
        ticket = AsyncTicket(self, self.talk.ask(kind))
        await self.send()
        answer: dict[str, Any] = await ticket
        return answer

    async def _read(self) -> None:
        while True:
            frames = await self._dealer.recv_multipart(copy=False)
            self.talk.receive([frames[0].buffer, *frames[1:]])
            if self.talk.welcome is not None or self.talk.refused is not None:
                self._welcomed.set()
            await self.send()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            self.talk.tick()
            self.talk.check_alive()
            await self.send()
