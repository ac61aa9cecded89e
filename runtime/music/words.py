"""What a prompt says of music: "tense exploration, 96 bpm, D minor, 8 bars". Unknown words are told, never dropped.

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

from ...assets.music.score import SCALES, STREAMS
from ...assets.refusal import OutOfRange, Refusal, Unknown
from .conditions import BPM, SECTIONS, STYLES, TONICS
from .keys import key_at, read_key, scale_of

STYLE_WORDS: dict[str, str] = {
    **{style: style for style in STYLES},
    **dict.fromkeys(("atmosphere", "atmospheric", "drone", "space", "underwater", "dream"), "ambient"),
    **dict.fromkeys(
        ("explore", "exploring", "adventure", "overworld", "travel", "journey", "wilderness"), "exploration"
    ),
    **dict.fromkeys(("suspense", "suspenseful", "danger", "stealth", "chase", "horror", "fear", "alert"), "tense"),
    **dict.fromkeys(("battle", "fight", "fighting", "action", "war", "skirmish"), "combat"),
    **dict.fromkeys(("bossfight", "finale", "villain", "epic"), "boss"),
    **dict.fromkeys(("triumph", "triumphant", "win", "fanfare", "heroic", "celebration"), "victory"),
    **dict.fromkeys(("village", "city", "market", "tavern", "inn", "home", "shop"), "town"),
    **dict.fromkeys(("cave", "crypt", "catacomb", "ruins", "temple", "cellar", "sewer"), "dungeon"),
    **dict.fromkeys(("title", "lobby", "options", "pause", "inventory"), "menu"),
}
SECTION_WORDS: dict[str, str] = {
    **{section: section for section in SECTIONS},
    **dict.fromkeys(("opening", "introduction"), "intro"),
    **dict.fromkeys(("looping", "endless", "background"), "loop"),
    **dict.fromkeys(("transition", "break"), "fill"),
    **dict.fromkeys(("outro", "end"), "ending"),
    **dict.fromkeys(("jingle", "sting", "hit", "accent"), "stinger"),
}

USUAL: dict[str, tuple[float, float, float, float, str]] = {
    "ambient": (75, 0.25, 0.5, 0.15, "lydian"),
    "exploration": (98, 0.45, 0.55, 0.35, "dorian"),
    "tense": (104, 0.4, 0.3, 0.55, "phrygian"),
    "combat": (142, 0.65, 0.45, 0.78, "minor"),
    "boss": (156, 0.75, 0.35, 0.9, "harmonic minor"),
    "victory": (128, 0.65, 0.8, 0.65, "major"),
    "town": (104, 0.55, 0.65, 0.3, "major"),
    "dungeon": (84, 0.35, 0.25, 0.3, "minor"),
    "menu": (96, 0.45, 0.6, 0.3, "dorian"),
}
"""bpm, density, brightness, intensity and scale that a style has where the prompt says nothing."""
USUAL_BARS = {"loop": 8, "intro": 4, "fill": 1, "ending": 4, "stinger": 1}

MOODS: dict[str, tuple[float, float, float]] = {
    "calm": (-0.15, 0.0, -0.25), "quiet": (-0.2, 0.0, -0.3), "peaceful": (-0.15, 0.1, -0.25), "gentle": (-0.1, 0.1, -0.2),
    "relaxed": (-0.1, 0.05, -0.2), "soft": (-0.1, 0.0, -0.2), "intense": (0.1, 0.0, 0.3), "aggressive": (0.15, -0.1, 0.35),
    "energetic": (0.15, 0.1, 0.25), "driving": (0.1, 0.0, 0.25), "heavy": (0.0, -0.2, 0.25), "frantic": (0.25, 0.0, 0.35),
    "loud": (0.0, 0.0, 0.25), "urgent": (0.1, 0.0, 0.25), "powerful": (0.05, 0.0, 0.25), "mild": (0.0, 0.0, -0.15),
    "sparse": (-0.3, 0.0, -0.05), "minimal": (-0.3, 0.0, -0.1), "simple": (-0.15, 0.0, 0.0), "empty": (-0.3, 0.0, -0.15),
    "dense": (0.3, 0.0, 0.05), "busy": (0.3, 0.0, 0.1), "rich": (0.2, 0.05, 0.0), "complex": (0.2, 0.0, 0.05),
    "dark": (0.0, -0.3, 0.0), "gloomy": (-0.05, -0.3, 0.0), "sad": (-0.1, -0.2, -0.1), "melancholic": (-0.1, -0.15, -0.1),
    "low": (0.0, -0.25, 0.0), "ominous": (-0.05, -0.3, 0.05), "mysterious": (-0.1, -0.15, -0.05), "eerie": (-0.15, -0.1, -0.05),
    "bright": (0.0, 0.3, 0.0), "happy": (0.1, 0.3, 0.05), "cheerful": (0.15, 0.3, 0.05), "playful": (0.15, 0.25, 0.0),
    "joyful": (0.1, 0.3, 0.1), "light": (-0.05, 0.25, -0.1), "high": (0.0, 0.25, 0.0), "hopeful": (0.0, 0.2, 0.0),
}  # fmt: skip
"""What an adjective adds to density, brightness and intensity."""
MOODS |= {
    more: MOODS[mood]
    for more, mood in (
        ("calmer", "calm"), ("quieter", "quiet"), ("gentler", "gentle"), ("softer", "soft"), ("heavier", "heavy"),
        ("louder", "loud"), ("milder", "mild"), ("sparser", "sparse"), ("simpler", "simple"), ("emptier", "empty"),
        ("denser", "dense"), ("busier", "busy"), ("richer", "rich"), ("darker", "dark"), ("gloomier", "gloomy"),
        ("sadder", "sad"), ("lower", "low"), ("brighter", "bright"), ("happier", "happy"), ("lighter", "light"),
        ("higher", "high"),
    )
}  # fmt: skip
AMOUNTS = {"no": 0.0, "low": 0.2, "medium": 0.5, "high": 0.8, "full": 1.0}
"""Before a level, or after it: how much of it. "High" and "low" by themselves are moods."""
LEVELS = {"density": "density", "brightness": "brightness", "intensity": "intensity", "energy": "intensity"}
"""Words for the numbers."""
TEMPOS = {"largo": 60, "slow": 72, "adagio": 72, "andante": 90, "moderate": 104, "moderato": 108, "allegro": 132,
          "upbeat": 128, "fast": 150, "quick": 140, "vivace": 160, "presto": 180}  # fmt: skip
PACES = {"faster": 1.2, "quicker": 1.2, "slower": 1 / 1.2}
"""Factors of a tempo."""
ADJECTIVES = {**MOODS, **TEMPOS, **PACES}
PAIRS = {
    **dict.fromkeys((("boss", "fight"), ("boss", "battle")), "bossfight"),
    ("speed", "up"): "faster",
    ("slow", "down"): "slower",
}
"""Two words that mean one: a fight with a boss is no mixture of combat and boss that sounds like combat."""
FEATURED: dict[str, str] = {
    **dict.fromkeys(("melody", "melodic", "tune", "lead"), "lead"),
    **dict.fromkeys(("drums", "beat", "percussion"), "drums"),
    **dict.fromkeys(("arpeggio", "arpeggios", "arpeggiated"), "arpeggio"),
}
"""Words for streams that must be there."""
STREAM_WORDS: dict[str, str] = {**FEATURED, **{stream: stream for stream in STREAMS}}
"""Words for streams that are named to be left out, or to be alone."""
FILLERS = frozenset(
    (
        "a",
        "an",
        "and",
        "the",
        "of",
        "with",
        "in",
        "at",
        "for",
        "very",
        "more",
        "now",
        "music",
        "song",
        "track",
        "theme",
        "key",
    )
)
NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii")
NEGATIONS = frozenset(("without", "no", "not", "minus", "don't", "dont", "mute", "stop", "drop", "remove"))
_JOINING = frozenset(
    ("and", "or", "nor", "&", "a", "the", "any", "all", "too", "so", "very", "use", "want", "play", "have")
)
"""What may stand before or between the streams that are left out or alone."""

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
    before = next((k for k, word in enumerate(plain[1:], 1) if word not in _JOINING and word not in ADJECTIVES), 1)
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
        elif word not in _JOINING:
            break
    return tuple(named), taken


def _known(plain: Sequence[str]) -> int:
    """Where the word stands that a negation is about, if it means something alone; else 0."""
    place = next((k for k, word in enumerate(plain[1:], 1) if word not in _JOINING), 0)
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


def usual(styles: tuple[str, ...], weights: tuple[float, ...] = ()) -> Mapping[str, Any]:
    """What the styles have where nothing is said: means of their numbers, and the scale of the first; where they have weights, means
    by those, and the scale of the last, which is the heaviest."""
    rows = [USUAL[style] for style in styles]
    parts = weights or (1.0,) * len(rows)
    columns = list(zip(*(row[:4] for row in rows), strict=True))
    bpm, density, brightness, intensity = (
        sum(part * value for part, value in zip(parts, column, strict=True)) / sum(parts) for column in columns
    )
    numbers = {"density": density, "brightness": brightness, "intensity": intensity}
    return {
        "bpm": float(round(bpm)),
        **{k: round(v, 3) for k, v in numbers.items()},
        "scale": rows[-1 if weights else 0][4],
    }
