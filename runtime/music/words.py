"""What a prompt says of music: "tense exploration, 96 bpm, D minor, 8 bars". Unknown words are told, never dropped. The words in
capitals are tables of `vocabulary`.

| said | meant |
|---|---|
| `96 bpm` | tempo, 60 to 200 |
| `D minor`, `F sharp dorian`, `Am`, `Bb`, `in A` | key; a note alone keeps the scale of the style |
| `8 bars`, `3/4` | length, time signature |
| a style, or a word for one (STYLE_WORDS) | style; several share the weight, the last one names the sound |
| `tense:2 exploration:0.5` | styles by weight (1 where none is said); the heaviest names the sound |
| a section, or a word for one (SECTION_WORDS) | section |
| an adjective of MOODS, `calmer` and the like too | moves density, brightness, intensity; several add up and stay within 0 to 1; `less intense` moves back |
| a word of TEMPOS | tempo, where no bpm is given |
| `faster`, `slower`, `speed up`, `slow down` | the tempo that there would be, or that a stream has, by PACES |
| `intensity 0.8`, `density 0.3`, `high intensity`, `low density` | the number itself, a word of AMOUNTS |
| a word of FEATURED | a stream that must be there: "with a melody" |
| `without drums`, `no lead or arpeggio`, `mute the bass`, `drums off` | streams that are muted |
| `only bass and drums`, `bass and drums only` | the streams that sound |
| `i-VI-III-VII`, `I-V-vi-IV` | a chord progression by degrees; how they are written does not matter, the scale decides |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...assets.music.score import SCALES
from ...assets.refusal import OutOfRange, Refusal, Unknown
from .conditions import BPM, TONICS
from .keys import key_at, read_key, scale_of
from .vocabulary import (
    ADJECTIVES,
    AMOUNTS,
    FEATURED,
    FILLERS,
    JOINING,
    LEVELS,
    MOODS,
    NEGATIONS,
    NUMERALS,
    PACES,
    PAIRS,
    SECTION_WORDS,
    STREAM_WORDS,
    STYLE_WORDS,
    TEMPOS,
)

_WORD = re.compile(r"([^,;\s]+)(\s*(?:[,;]|$))?")
_REAL = r"(?:\d+(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"^-?{_REAL}$")
_COUNT = re.compile(rf"(-?{_REAL})(bpm|bars?)")
_WEIGHTED = re.compile(rf"([a-z]+):({_REAL})")
_MELODIC = re.compile(r"\bmelodic\s+(?=min(?:or)?\b)", re.IGNORECASE)
"""Of a scale that there is not; it asks for no melody."""
_EDGES = ".!?:()[]\"'"
"""What is no part of a word where it stands at one of its ends; but a point before a digit is."""


@dataclass
class Said:
    """What a prompt fixed, by field; moods; and the words that meant nothing. weights: of those styles that have one;
    pace: a factor of the tempo."""

    fixed: dict[str, Any] = field(default_factory=dict)
    styles: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    mood: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    tempo: float | None = None
    pace: float = 1.0
    featuring: list[str] = field(default_factory=list)
    mute: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def fix(self, name: str, value: Any) -> None:
        """Sets a field once; a second, different value is a contradiction."""
        if self.fixed.setdefault(name, value) != value:
            both = [TONICS[each] if name == "tonic" else each for each in (self.fixed[name], value)]
            raise Refusal("contradiction", "prompt", f"says {name} twice, {both[0]} and {both[1]}", "say it once")


class Words:
    """The words of a prompt: as they were `given`, `bare` of what stands around them, and whether a comma or the like `ends` each."""

    def __init__(self, text: str) -> None:
        found = [word for word in _WORD.finditer(text.replace("–", "-")) if word[1].strip(_EDGES)]
        self.given = [word[1] for word in found]
        self.bare = [_bare(word) for word in self.given]
        self.ends = [word[2] is not None or word[1][-1] in ".!?" for word in found]
        self.plain = [word.lower() for word in self.bare]

    def __len__(self) -> int:
        return len(self.given)


def _bare(word: str) -> str:
    bare = word.strip(_EDGES)
    return f".{bare}" if bare[0].isdigit() and word[: word.index(bare)].endswith(".") else bare


def parse(text: str) -> Said:
    """Reads a prompt; `ignored` are the words that it does not know."""
    said = Said()
    text, times = _MELODIC.subn("", text)
    said.ignored += ["melodic"] * times
    words, at = Words(text), 0
    while at < len(words):
        at += _take(words, at, said)
    return said


def _take(words: Words, at: int, said: Said) -> int:
    """Reads the words from `at`; gives how many it took."""
    word, after = words.plain[at], words.plain[at + 1] if at + 1 < len(words) else ""
    if joined := _COUNT.fullmatch(word):
        _count(float(joined[1]), joined[2], said)
        return 1
    if _NUMBER.match(word) and after in ("bpm", "bar", "bars"):
        _count(float(word), after, said)
        return 2
    if signature := re.fullmatch(r"(\d+)/(\d+)", word):
        said.fix("signature", f"{int(signature[1])}/{int(signature[2])}")
        return 1
    if (word, after) in PAIRS and not words.ends[at]:
        return 1 + _single(words.given[at], PAIRS[word, after], said)
    if taken := _level(word, after, said):
        return taken
    if word == "less" and after in (*ADJECTIVES, *STREAM_WORDS):
        return _less(words.given[at : at + 2], after, said)
    if "-" in word and all(part in NUMERALS for part in word.split("-")):
        said.fix("progression", tuple(NUMERALS.index(part) for part in word.split("-")))
        return 1
    if (weighted := _WEIGHTED.fullmatch(word)) and weighted[1] in STYLE_WORDS:
        style, weight = STYLE_WORDS[weighted[1]], float(weighted[2])
        if said.weights.setdefault(style, weight) != weight:
            raise Refusal("contradiction", "prompt", f"weighs {style} twice", "say it once")
        return _single(words.given[at], weighted[1], said)
    return _streams(words, at, said) or _key(words, at, said) or _single(words.given[at], word, said)


def _streams(words: Words, at: int, said: Said) -> int:
    """`without drums or bass`, `only lead and bass`, `bass and drums only`: how many words that takes, 0 where it is none of them.

    Where something else is left out ("without combat") it is told as not understood, and not taken for what is wanted.
    """
    plain = words.plain[at:]
    if plain[0] in STREAM_WORDS:
        named, taken = _named(plain)
        behind = plain[taken : taken + 1]
        if behind == ["only"]:
            said.fix("only", named)
        elif behind == ["off"]:
            said.mute += named
        else:
            return 0
        return taken + 1
    if plain[0] != "only" and plain[0] not in NEGATIONS:
        return 0
    before = next((k for k, word in enumerate(plain[1:], 1) if word not in JOINING and word not in ADJECTIVES), 1)
    named, taken = _named(plain[before:])
    if named:
        said.ignored += [words.given[at + k] for k in range(1, before) if plain[k] in ADJECTIVES]
    if named and plain[0] == "only":
        said.fix("only", named)
    elif named:
        said.mute += named
    elif plain[0] != "only" and (other := _known(plain)):
        said.ignored += [words.given[at], words.given[at + other]]
        return other + 1
    return before + taken if named else 0


def _named(plain: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The streams that the first words name, one after the other, and how many words that takes."""
    named: dict[str, None] = {}
    taken = 0
    for number, word in enumerate(plain, 1):
        if word in STREAM_WORDS:
            named[STREAM_WORDS[word]] = None
            taken = number
        elif word not in JOINING:
            break
    return tuple(named), taken


def _known(plain: Sequence[str]) -> int:
    """Where the word stands that a negation is about, if it means something alone; else 0."""
    place = next((k for k, word in enumerate(plain[1:], 1) if word not in JOINING), 0)
    word = plain[place]
    return place if any(word in known for known in (STYLE_WORDS, SECTION_WORDS, ADJECTIVES)) else 0


def _level(word: str, after: str, said: Said) -> int:
    """`intensity 0.8`, `high intensity`, `intensity high`: how many words that takes, 0 where it is none of them."""
    if word in LEVELS and (_NUMBER.match(after) or after in AMOUNTS):
        said.fix(LEVELS[word], AMOUNTS.get(after) if after in AMOUNTS else float(after))
    elif word in AMOUNTS and after in LEVELS:
        said.fix(LEVELS[after], AMOUNTS[word])
    else:
        return 0
    return 2


def _less(given: Sequence[str], word: str, said: Said) -> int:
    """`less intense`; of a tempo or a stream nobody knows how much less, so both words are told."""
    if word in MOODS:
        said.mood = [total - part for total, part in zip(said.mood, MOODS[word], strict=True)]
    else:
        said.ignored += given
    return 2


def _single(given: str, word: str, said: Said) -> int:
    if word in STYLE_WORDS:
        if STYLE_WORDS[word] not in said.styles:
            said.styles.append(STYLE_WORDS[word])
    elif word in SECTION_WORDS:
        said.fix("section", SECTION_WORDS[word])
    elif word in MOODS:
        said.mood = [total + part for total, part in zip(said.mood, MOODS[word], strict=True)]
    elif word in FEATURED:
        if FEATURED[word] not in said.featuring:
            said.featuring.append(FEATURED[word])
    elif word in TEMPOS:
        tempo = float(TEMPOS[word])
        if said.tempo not in (None, tempo):
            sentence = f"says tempo twice, {said.tempo:g} and {tempo:g} bpm"
            raise Refusal("contradiction", "prompt", sentence, "say it once")
        said.tempo = tempo
    elif word in PACES:
        said.pace *= PACES[word]
    elif word not in FILLERS:
        said.ignored.append(given)
    return 1


def _count(value: float, unit: str, said: Said) -> None:
    if unit == "bpm":
        said.fix("bpm", value)
        return
    if not value.is_integer():
        raise OutOfRange("bars", value, "a whole number")
    said.fix("bars", int(value))


def _key(words: Words, at: int, said: Said) -> int:
    taken, tonic, scale = key_at(words.bare, words.ends, at)
    if tonic is not None:
        said.fix("tonic", tonic)
    if scale is not None:
        said.fix("scale", scale)
    return taken


def name_scale(asked: Mapping[str, Any], said: Said) -> None:
    """Puts the field `scale` of a request beside what its prompt says; refused where that, or its field `key`, is another."""
    value = asked.get("scale")
    if value is None:
        return
    scale = scale_of(value) if isinstance(value, str) else ""
    if not scale:
        raise Unknown("scale", value, SCALES)
    beside = {"prompt": said.fixed.get("scale", scale)}
    if isinstance(asked.get("key"), str):
        beside["key"] = read_key(asked["key"])[1]
    for name, other in beside.items():
        if other != scale:
            sentence = f"is {value!r}, and {name} says {other}"
            raise Refusal("contradiction", "scale", sentence, "say it in one place")
    said.fixed["scale"] = scale


def paced(bpm: float, pace: float) -> float:
    """A tempo made faster or slower, in whole bpm, as far as there are tempos."""
    return bpm if pace == 1.0 else float(min(BPM[1], max(BPM[0], round(bpm * pace))))
