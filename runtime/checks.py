"""What every kind of request checks in the same way: text, numbers, names. Each refusal names the field."""

from __future__ import annotations

from typing import Any

from ..assets.refusal import OutOfRange, Refusal, Unknown, WrongType

PROMPT_LIMIT = 1000


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise WrongType(name, value, "text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Refusal("type", name, f"{value[:40]!r} is no Unicode text: it has half of a character", "encode it whole")
    if len(value) > PROMPT_LIMIT:
        raise OutOfRange(name, f"{value[:20]}... ({len(value)} characters)", f"at most {PROMPT_LIMIT} characters")
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(name, value, "a number")
    if not low <= value <= high:  # NaN fails here too
        raise OutOfRange(name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def whole(value: Any, name: str, valid: range) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(name, value, "a whole number")
    if value not in valid:
        raise OutOfRange(name, value, f"a whole number from {valid[0]} to {valid[-1]}")
    return value


def one_of(value: Any, name: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise Unknown(name, value, valid)
    return str(value)
