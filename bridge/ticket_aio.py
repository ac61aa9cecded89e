"""What a game on asyncio holds of a request on its way."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from .conversation import Conversation
from .pending import Pending


class AsyncConnection(Protocol):
    """What is asked of a connection by what came from it."""

    talk: Conversation

    async def send(self) -> None: ...


class AsyncTicket:
    """A request on its way; `await ticket` gives its texture or raises its refusal."""

    def __init__(self, game: AsyncConnection, pending: Pending) -> None:
        self._game, self._pending = game, pending
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending.when_ended(self._ended)

    def __await__(self) -> Any:
        return self.result().__await__()

    @property
    def progress(self) -> tuple[int, int]:
        """(row, rows)."""
        return self._pending.row, self._pending.rows

    async def result(self) -> Any:
        """Give it a deadline with asyncio.timeout; the request goes on until it is cancelled."""
        if not self._pending.done:
            await asyncio.shield(self._future)
        return self._pending.value()

    def _ended(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def cancel(self) -> None:
        self._game.talk.cancel(self._pending)
        await self._game.send()
