"""What a game holds of a request on its way."""

from __future__ import annotations

from typing import Any, Protocol

from .pending import Pending


class Connection(Protocol):
    """What is asked of a connection by what came from it."""

    def poll(self) -> None: ...

    def pump(self, timeout: float) -> None: ...

    def wait(self, pending: Pending, timeout: float | None) -> None: ...

    def cancel(self, pending: Pending) -> None: ...


class Ticket:
    """A request on its way. Use it on the thread that made it."""

    def __init__(self, game: Connection, pending: Pending) -> None:
        self._game, self._pending = game, pending

    def poll(self) -> bool:
        """Whether it has ended. Never waits; one call a frame."""
        if not self._pending.done:
            self._game.poll()
        return self._pending.done

    @property
    def progress(self) -> tuple[int, int]:
        """(row, rows): model evaluations done, and in all; (0, 0) before the server has accepted."""
        return self._pending.row, self._pending.rows

    @property
    def expected_ms(self) -> float | None:
        """Milliseconds until done, as the server expected when it accepted; None before."""
        return self._pending.expected_ms

    def result(self, timeout: float | None = None) -> Any:
        """The texture, or the refusal it ended with; TimeoutError after `timeout` seconds (the request goes on)."""
        self._game.wait(self._pending, timeout)
        return self._pending.value()

    def cancel(self) -> None:
        """Asks for its end; it ends as a refusal with the code "cancelled", unless it was done first."""
        if not self._pending.done:
            self._game.cancel(self._pending)
