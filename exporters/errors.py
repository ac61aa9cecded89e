"""What another library's error says, in as many words as fit a refusal."""

from __future__ import annotations

LONGEST = 300


def first_line(error: Exception) -> str:
    """The first line of an error, with the next where that ends in a colon, cut to LONGEST characters."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    said = " ".join(lines[: 2 if lines[0].endswith(":") else 1]).rstrip(".")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} ..."
