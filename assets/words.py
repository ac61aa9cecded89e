"""Prompts over a closed vocabulary: "wet mossy cobble", "cobble, moss 0.7"; what is not known is told, never dropped.

| said | meant |
|---|---|
| a word of the bundle, one that stands for it, its plural and the like | that word; several materials share 1 |
| `cobble 0.7`, `cobble:0.7` | at that strength, above 0 and at most 1 |
| `brick with moss` | `mossy brick`, where there is a modifier of that name; `brick and moss` is half of each |
| `brick wall`, `wooden panel` | brick, wood: a word of SHAPES is a material only where no other is named |
| `no moss`, `without moss or cracks`, `moss-free` | not asked for, and told as not understood: a `negative` leads away from it |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .manifest import Words
from .refusal import OutOfRange, Refusal

_APART = r"\s,;:.!?()\[\]{}<>\"“”„«»|/\\_+*&=~…–—-"
_TOKEN = re.compile(rf"((?:(?<!\S)-)?(?:\d*\.\d+|\d+)|[^{_APART}]+)(\s*(?:[,;:!?]|\.(?!\d)|$))?")
_QUOTES = re.compile(r"^['‘’`]+|['’`]s$|['’`]+$")
_ENDINGS = {"ing": ("", "e"), "ed": ("y", "", "e"), "y": ("e",), "es": ("",)}
"""What may stand in a word's place of each; "rusted" is rusty, before it is rust."""
FILLERS = frozenset(("a", "an", "and", "the", "of", "with", "very"))
NEGATIONS = frozenset(("without", "no", "not", "non", "minus", "never"))
JOINING = frozenset(("and", "or", "nor"))
"""What goes on with what is left out: "without moss or cracks"."""
SHAPES = frozenset(("wall", "ground", "panel"))
"""Words that are a material alone, and beside another say only what is made of it."""


@dataclass
class Said:
    """Tokens of a text in lower case, and whether a comma or the like ends each; what was understood; what was not."""

    tokens: list[str]
    ends: list[bool]
    strengths: dict[str, float] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)
    """Materials that only a word of SHAPES named."""
    ignored: list[str] = field(default_factory=list)


def parse(text: str, vocabulary: Words, field: str = "prompt") -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(condition (words,), what was not understood). A number after a word is its strength, 0 to 1.

    A vocabulary without words is of a network that hears none: nothing of the text is known to it.
    """
    said = _read(text)
    if not vocabulary.words:
        return np.zeros(0, np.float32), tuple(word for word in said.tokens if word not in FILLERS)
    known = _known(tuple(vocabulary.words), vocabulary.materials, tuple(vocabulary.synonyms.items()))
    at, last, added = 0, None, False  # the word that a number would belong to; whether "with" was said
    while at < len(said.tokens):
        token = said.tokens[at]
        word, taken = known.at(said, at)
        if token in NEGATIONS and (left_out := _left_out(said, at, known)):
            said.ignored.append(" ".join(said.tokens[at : at + left_out]))
            word, taken = None, left_out
        elif word is not None and said.tokens[at + taken : at + taken + 1] == ["free"]:
            said.ignored.append(" ".join(said.tokens[at : at + taken + 1]))
            word, taken = None, taken + 1
        elif word is not None:
            word = f"{word}y" if added and f"{word}y" in known.modifiers else word
            _take(said, word, is_shape=token.removesuffix("s") in SHAPES and taken == 1)
        elif _is_number(token):
            _strength(token, last, said, field)
        elif token not in FILLERS:
            said.ignored.append(token)
        added = not said.ends[at + taken - 1] and (added or token == "with")
        at, last = at + taken, word
    if not said.strengths:
        raise _nothing(text, vocabulary, field)
    condition = np.zeros(len(vocabulary.words), np.float32)
    for word, strength in said.strengths.items():
        condition[known.index[word]] = strength
    materials = condition[: vocabulary.materials]
    others = [known.index[word] for word in said.shapes]
    if np.delete(materials, others).any():
        materials[others] = 0
    if materials.sum() > 1.0:
        materials /= materials.sum()
    return condition, tuple(said.ignored)


class Known:
    """A vocabulary by how its words are written together: "cobble stones", "cobble-stones" and "cobblestones" are one."""

    def __init__(self, words: Sequence[str], materials: int, synonyms: Sequence[tuple[str, str]]) -> None:
        self.index = {word: i for i, word in enumerate(words)}
        self.modifiers = frozenset(words[materials:])
        self.words = {_joined(said): meant for said, meant in synonyms} | {_joined(word): word for word in words}
        self.longest = max(2, *(len(re.split(r"[\s-]", said)) for said in (*words, *(said for said, _ in synonyms))))

    def at(self, said: Said, at: int) -> tuple[str | None, int]:
        """The word that begins at a token, the longest first, and how many tokens it takes; one that is none takes one."""
        for length in range(min(self.longest, len(said.tokens) - at), 0, -1):
            for form in _forms("".join(said.tokens[at : at + length]), alone=length == 1):
                if form in self.words and not any(said.ends[at : at + length - 1]):
                    return self.words[form], length
        return None, 1


_known = lru_cache(maxsize=8)(Known)


def _read(text: str) -> Said:
    found = [(_QUOTES.sub("", match[1]), match[2] is not None) for match in _TOKEN.finditer(text.lower())]
    kept = [(token, ends) for token, ends in found if token]
    return Said([token for token, _ in kept], [ends for _, ends in kept])


def _joined(words: str) -> str:
    return re.sub(r"[\s-]", "", words)


def _forms(text: str, alone: bool) -> Iterator[str]:
    """A word and what it may be a form of: a plural or the like; one that is `alone` of others too: "cracks", "muddy", "dripping".
    Two together are not: "leather red" would be leathered."""
    yield from (text, text.removesuffix("s"), text + "s", text.removesuffix("y"), text + "y")
    if len(text) < 3 or not alone:
        return
    for ending, others in _ENDINGS.items():
        stem = text.removesuffix(ending)
        if stem not in ("", text):
            yield from (stem + other for other in others)
            if stem[-1] == stem[-2:-1]:
                yield stem[:-1]
    if len(text) > 3:
        yield text.removesuffix("s") + "ed"


def _is_number(token: str) -> bool:
    """What \\d matches; "²" is a digit and no decimal."""
    return token.lstrip("-.")[:1].isdecimal()


def _left_out(said: Said, at: int, known: Known) -> int:
    """How many tokens a negation and what it is about take, where it is about words that are known; else 0.

    It goes on to the first such word, not across a comma, and over "or" to others.
    """
    end, place, wanted = 0, at + 1, True  # whether the next word is left out too
    while place < len(said.tokens) and not said.ends[place - 1] and said.tokens[place] != "with":
        word, taken = known.at(said, place)
        if word is not None and not wanted:
            break
        if word is not None:
            end, wanted = place + taken - at, False
        elif end and said.tokens[place] not in JOINING:
            break
        elif end:
            wanted = True
        place += taken
    return end


def _take(said: Said, word: str, is_shape: bool) -> None:
    if not is_shape:
        said.shapes.discard(word)
    elif word not in said.strengths:
        said.shapes.add(word)
    said.strengths[word] = 1.0


def _strength(token: str, last: str | None, said: Said, field: str) -> None:
    if last is None:
        said.ignored.append(token)
    elif not 0.0 < float(token) <= 1.0:
        raise OutOfRange(field, token, "a strength above 0 and at most 1 after a word")
    else:
        said.strengths[last] = float(token)
        said.shapes.discard(last)  # who weighs it means it


def _nothing(text: str, vocabulary: Words, field: str) -> Refusal:
    near = get_close_matches(text.lower(), [*vocabulary.words, *vocabulary.synonyms], n=4, cutoff=0.4)
    hint = f"near: {', '.join(near)}" if near else f"for example: {', '.join(vocabulary.words[:12])}"
    return Refusal("unknown", field, f"{text!r} has no word that this bundle knows", hint)
