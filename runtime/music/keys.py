"""Keys by their names, in a field and among the words of a prompt: "D minor", "F sharp harmonic minor", "Am", "in A"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...assets.music.score import SCALES
from ...assets.refusal import Refusal

_NOTE = re.compile(r"^([a-g])(#|b|♯|♭|sharp|flat)?$", re.IGNORECASE)
_SHORT = re.compile(r"^([A-G][#b♯♭]?)m$")
_NO_NOUN = re.compile(r"^(\.?\d.*|.+-.+|with|without|no|only|at|in|and|for|from|on)$", re.IGNORECASE)
"""What goes on after a key, and not with a thing that an article could stand before: a number, a progression, such words."""
_BASE = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFT = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
_SYNONYMS = {
    **dict.fromkeys(("min", "m", "aeolian", "natural minor"), "minor"),
    **dict.fromkeys(("maj", "ionian"), "major"),
}


def tonic_of(note: str) -> int:
    """0 to 11 of a note's name; ValueError where it is none."""
    found = _NOTE.match(note)
    if found is None:
        raise ValueError(f"{note!r} is no note")
    return (_BASE[found[1].lower()] + _SHIFT.get((found[2] or "").lower(), 0)) % 12


def scale_of(name: str) -> str:
    """The scale of a name or its synonym, whatever its case; "" where it is none."""
    scale = _SYNONYMS.get(name.lower(), name.lower())
    return scale if scale in SCALES else ""


def read_key(text: str) -> tuple[int, str]:
    """Tonic and scale of a key's name, "D minor", "Dm", "D" (its major); a refusal of the field `key` where it is none."""
    words = text.split()
    if len(words) == 1 and (short := _SHORT.match(words[0])):
        return tonic_of(short[1]), "minor"
    note, taken = _note_at(words, 0)
    scale = scale_of(" ".join(words[taken:]) or "major")
    if not note or not scale:
        scales = ", ".join(SCALES)
        raise Refusal("unknown", "key", f"{text!r} is no key", f'give a note and a scale, such as "D minor": {scales}')
    return tonic_of(note), scale


def key_at(words: Sequence[str], ends: Sequence[bool], at: int) -> tuple[int, int | None, str | None]:
    """How many words from `at` on name a key or a scale, 0 where none do; its tonic and its scale, as far as they are named.

    `ends` says behind which words a comma or the like stands. A capital note alone is a tonic. "a" is an article, unless a
    scale follows with which the phrase ends, or "in" or "of" stands before it and no "key" behind; alone even "A" is one.
    """
    if short := _SHORT.match(words[at]):
        return 1, tonic_of(short[1]), "minor"
    note, taken = _note_at(words, at)
    if note:
        scale, more = _scale_at(words, at + taken)
        taken += more
        if scale and not (words[at] == "a" and _is_article(words, ends, at, at + taken)):
            return taken, tonic_of(note), scale
        named = _before(words, at) in ("in", "of")
        if not scale and words[at] != "a" and (named or words[at] != "A") and (words[at][0].isupper() or taken == 2):
            return taken, tonic_of(note), None
        return 0, None, None
    scale, taken = _scale_at(words, at)
    return taken, None, scale or None


def _is_article(words: Sequence[str], ends: Sequence[bool], at: int, stop: int) -> bool:
    """Whether the "a" before a scale, whose words end before `stop`, is none of its note."""
    if _before(words, at) in ("in", "of"):
        return words[stop : stop + 1] == ["key"]
    return not ends[stop - 1] and not _NO_NOUN.match(words[stop])


def _before(words: Sequence[str], at: int) -> str:
    return words[at - 1].lower() if at else ""


def _note_at(words: Sequence[str], at: int) -> tuple[str, int]:
    """A note's name, "F#", "F sharp", and how many words it takes; "" and 0 where it is none."""
    if not words or _NOTE.match(words[at]) is None:
        return "", 0
    sign = words[at + 1].lower() if at + 1 < len(words) else ""
    if len(words[at]) == 1 and sign in ("sharp", "flat"):
        return words[at] + sign, 2
    return words[at], 1


def _scale_at(words: Sequence[str], at: int) -> tuple[str, int]:
    """A scale and how many words it takes, the longer name first."""
    for taken in (2, 1):
        if at + taken <= len(words) and (scale := scale_of(" ".join(words[at : at + taken]))):
            return scale, taken
    return "", 0
