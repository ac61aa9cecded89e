"""What is said of a stream as a whole: how far it runs ahead of who listens, how long it is, how it ends."""

from __future__ import annotations

from ...assets.refusal import WrongType
from .. import checks

KIND = "music stream"
"""Of the recipe of a whole stream; that of what it plays is "music"."""
TURNS = 'a list of turns such as {"bar": 4, "changes": {"intensity": 0.9}}'
LONGEST = 20_000
"""Bars of one stream: eleven hours at 120 bpm."""
AHEAD_LIMIT = 8


def check_ahead(value: object) -> int:
    """How many bars may lie between what the game has taken and what is made for it."""
    return checks.whole(value, "ahead", range(1, AHEAD_LIMIT + 1))


def check_close(tail: object, bars: object) -> None:
    """How a stream is to end: whether what rings on comes too, and after how many bars in all, None for those begun."""
    if not isinstance(tail, bool):
        raise WrongType("tail", tail, "true or false")
    if bars is not None:
        checks.whole(bars, "bars", range(LONGEST + 1))
