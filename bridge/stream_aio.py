"""A live stream for asyncio; what it gives is what bridge/stream.py says.

async with await game.stream("tense exploration", seed=7) as music:
    async for bar in music:
        speaker.play(bar.audio)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from ..runtime.music.terms import check_close
from . import messages as m
from .bars import StreamBar, StreamPending
from .pending import ended
from .plain import pythons
from .ticket_aio import AsyncConnection, AsyncTicket


class AsyncMusicStream:
    """A bar is taken, and credit for one more given, when it is handed out."""

    def __init__(self, game: AsyncConnection, pending: StreamPending) -> None:
        self._game, self._pending = game, pending
        self._news = asyncio.Event()
        pending.on_news = self._news.set
        pending.when_ended(self._news.set)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamBar:
        pending = self._pending
        while not pending.bars and not pending.done:
            self._news.clear()
            await self._news.wait()
        if not pending.bars:
            pending.value()  # raises the refusal it ended with
            raise StopAsyncIteration
        bar = pending.bars.popleft()
        if not bar.last and not pending.done:
            await self._say(pending.take(bar.number))
        return bar

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The whole stream with its steering, once it has ended."""
        recipe: Mapping[str, Any] = self._pending.value().recipe
        return recipe

    @property
    def digest(self) -> str:
        """sha-256 over all its audio, once it has ended."""
        return str(self._pending.value().digest)

    async def steer(self, prompt: str = "", *, bar: int | None = None, **changes: Any) -> AsyncTicket:
        """As MusicStream.steer; await the ticket for the bar from which on it is heard."""
        if self._pending.done:
            return AsyncTicket(self._game, ended())
        asked = {**({"prompt": prompt} if prompt else {}), **changes}
        ticket = AsyncTicket(self._game, self._game.talk.steer(self._pending, asked, bar))
        await self._game.send()
        return ticket

    async def close(self, tail: bool = False, bars: int | None = None) -> None:
        """As MusicStream.close."""
        tail, bars = pythons((tail, bars))
        check_close(tail, bars)
        if not self._pending.done:
            await self._say(self._pending.close(tail, bars))

    async def _say(self, message: m.Message) -> None:
        self._game.talk.tell(message)
        await self._game.send()
