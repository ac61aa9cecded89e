"""What was asked for, until it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..assets.refusal import Refusal
from . import messages as m


class Pending:
    """One thing asked for: `outcome` is a result or a refusal once `done`."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.payload: list[Any] = []  # frames that go behind the message
        self.row, self.rows = 0, 0
        self.expected_ms: float | None = None
        self.position: int | None = None
        self.doomed = False  # its end was asked for
        self.done = False
        self.outcome: Any = None
        self.on_end: Callable[[], None] | None = None

    def end(self, outcome: Any) -> None:
        if not self.done:
            self.done, self.outcome = True, outcome
            self.payload = []
            tell, self.on_end = self.on_end, None  # who is told may hold this, and no memory would be given back
            if tell is not None:
                tell()

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Calls it when this ends, at once where it has: an answer may be there before who asked has turned to it."""
        if self.done:
            tell()
        else:
            self.on_end = tell

    def again(self) -> list[Any]:
        """The messages that are sent once more after a reconnect."""
        return [self.message, m.Cancel(request=self.message.request)] if self.doomed else [self.message]

    def plays_on(self, failed: m.Failed) -> bool:
        """Whether this refusal under its id is no end of it."""
        return False

    def value(self) -> Any:
        if isinstance(self.outcome, Refusal):
            raise self.outcome.afresh()
        return self.outcome


def ended() -> Pending:
    """A turn of a stream that has ended."""
    pending = Pending(None)
    pending.end(Refusal("closed", "stream", "has ended", "open another one"))
    return pending
