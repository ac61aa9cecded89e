"""A request on its way: what a caller sees of it, and whether it can be on time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..assets.refusal import OutOfRange, Refusal, Unknown, WrongType, noted
from ..assets.sound import Sound
from ..assets.texture import Texture
from .music.piece import Piece
from .music.recipe import MusicRecipe
from .recipe import Recipe

State = Literal["waiting", "running", "done", "failed", "cancelled"]
LATE = ("deliver", "degrade", "fail")
"""What to do about a deadline that cannot be met: deliver late, take fewer steps (written into the recipe), or fail."""
PRIORITIES = range(-100, 101)


def ignore(work: Work) -> None:
    """The default `on_event`."""


def _shut() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class Work:
    """One request. Fields are written by the engine's thread before it calls `on_event`; `on_event` must return at once."""

    id: str
    recipe: Recipe | MusicRecipe
    ignored: tuple[str, ...]
    rows: int  # model evaluations in sequence
    position: int  # how many works went before it when it was accepted
    expected_ms: float  # until it is done, as far as was known when it was accepted; 0.0 before anything was measured
    on_event: Callable[[Work], None]
    priority: int = 0
    late: str = "deliver"
    deadline: float = float("inf")  # seconds on the engine's clock
    accepted: float = 0.0
    state: State = "waiting"
    row: int = 0
    result: Texture | Piece | Sound | None = None
    error: Refusal | None = None
    _going: threading.Lock = field(default_factory=_shut)  # opened by its end; made in less time than an Event

    def wait(self, timeout: float | None = None) -> Any:
        """The result, or the refusal it ended with; TimeoutError after `timeout` seconds (the work goes on)."""
        if not self._going.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            raise TimeoutError(f"request {self.id} is not done after {timeout} s; it goes on, wait again or cancel it")
        self._going.release()
        if self.error is not None:
            raise self.error.afresh()
        assert self.result is not None
        return self.result

    def end(self, state: State, result: Texture | Piece | Sound | None = None, error: Refusal | None = None) -> None:
        self.state, self.result, self.error = state, result, error
        self.tell()
        self.on_event = ignore  # who is told may know this work: while they hold each other, no memory is given back
        self._going.release()

    def tell(self) -> None:
        """Calls `on_event`; what it raises is logged and ends nothing, as others share its thread."""
        try:
            self.on_event(self)
        except BaseException:  # sys.exit too, which would end the engine's thread without a word
            logging.getLogger("cadenza").exception("on_event of request %s raised", self.id)


def check_terms(priority: object, deadline_ms: object, late: object) -> tuple[int, float | None, str]:
    """The terms of a request, or a refusal that names the field."""
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise WrongType("priority", priority, "a whole number")
    if priority not in PRIORITIES:
        raise OutOfRange(
            "priority", priority, f"a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}, higher goes first"
        )
    if deadline_ms is not None:
        if isinstance(deadline_ms, bool) or not isinstance(deadline_ms, int | float):
            raise WrongType("deadline_ms", deadline_ms, "a number of milliseconds")
        if not 0 < deadline_ms <= 86_400_000:  # NaN fails here too
            raise OutOfRange(
                "deadline_ms", deadline_ms, "a number of milliseconds above 0 and at most 86400000 (a day)"
            )
        deadline_ms = float(deadline_ms)
    if late not in LATE:
        raise Unknown("late", late, LATE)
    return priority, deadline_ms, str(late)


def cancelled(work: Work) -> Refusal:
    return Refusal("cancelled", "request", f"{work.id} was cancelled", "submit it again")


def too_late(expected_ms: float, deadline_ms: float) -> Refusal:
    return Refusal(
        "deadline",
        "deadline_ms",
        f"{deadline_ms:g} ms cannot be met, {expected_ms:.0f} ms are expected",
        'raise it, lower steps or size, or say late="degrade" or "deliver"',
    )


def unexpected(error: Exception) -> Refusal:
    """What nobody refused on purpose, as a refusal."""
    noted(error)
    return Refusal(
        "internal", "request", f"{type(error).__name__}: {error}", "report it with the recipe; others are served on"
    )
