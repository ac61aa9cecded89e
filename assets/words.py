"""Prompts over a closed vocabulary: "wet mossy cobble", "cobble, moss 0.7"; what is not known is told, never dropped."""

from __future__ import annotations

import re
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from .manifest import Words
from .refusal import OutOfRange, Refusal

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\s,;]+")
FILLERS = frozenset(("a", "an", "and", "the", "of", "with", "very"))


def parse(text: str, vocabulary: Words, field: str = "prompt") -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(condition (words,), words not known). A number after a word is its strength, 0 to 1; several materials share 1.

    A vocabulary without words is of a network that hears none: nothing of the text is known to it.
    """
    if not vocabulary.words:
        return np.zeros(0, np.float32), tuple(word for word in _TOKEN.findall(text.lower()) if word not in FILLERS)
    index = {word: i for i, word in enumerate(vocabulary.words)}
    longest = max(len(word.split()) for word in (*index, *vocabulary.synonyms))
    tokens = _TOKEN.findall(text.lower())
    condition = np.zeros(len(index), np.float32)
    ignored: list[str] = []
    at = 0
    last: int | None = None  # the word that a number would belong to
    while at < len(tokens):
        if _is_number(tokens[at]):
            _strength(float(tokens[at]), tokens[at], last, condition, ignored, field)
            at, last = at + 1, None
            continue
        for length in range(longest, 0, -1):
            word = _known(" ".join(tokens[at : at + length]), index, vocabulary.synonyms)
            if word is not None:
                last = index[word]
                condition[last] = 1.0
                break
        else:
            length, last = 1, None
            if tokens[at] not in FILLERS:
                ignored.append(tokens[at])
        at += length
    if not condition.any():
        near = get_close_matches(text.lower(), [*index, *vocabulary.synonyms], n=4, cutoff=0.4)
        hint = f"near: {', '.join(near)}" if near else f"for example: {', '.join(vocabulary.words[:12])}"
        raise Refusal("unknown", field, f"{text!r} has no word that this bundle knows", hint)
    materials = condition[: vocabulary.materials]
    if materials.sum() > 1.0:
        materials /= materials.sum()
    return condition, tuple(ignored)


def _is_number(token: str) -> bool:
    return token[0].isdecimal()  # what \d matches; "²" is a digit and no decimal


def _strength(
    value: float, token: str, last: int | None, condition: NDArray[np.float32], ignored: list[str], field: str
) -> None:
    if last is None:
        ignored.append(token)
    elif not 0.0 < value <= 1.0:
        raise OutOfRange(field, token, "a strength above 0 and at most 1 after a word")
    else:
        condition[last] = value


def _known(text: str, index: dict[str, int], synonyms: dict[str, str]) -> str | None:
    for form in (text, text.removesuffix("s"), text + "s", text.removesuffix("y"), text + "y"):
        word = synonyms.get(form, form)
        if word in index:
            return word
    return None
