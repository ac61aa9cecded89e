"""What a prompt says of music: "tense exploration, 96 bpm, D minor, 8 bars". Unknown words are told, never dropped.

| said | meant |
|---|---|
| `96 bpm` | tempo, 60 to 200 |
| `D minor`, `F# dorian`, `Am`, `Bb`, `in A` | key; a note alone keeps the scale of the style |
| `8 bars`, `3/4` | length, time signature |
| a style, or a word for one (STYLE_WORDS) | style; several share the weight, the last one names the sound |
| `tense:2 exploration:0.5` | styles by weight (1 where none is said); the heaviest names the sound |
| a section, or a word for one (SECTION_WORDS) | section |
| an adjective of MOODS | moves density, brightness, intensity; several add up and stay within 0 to 1 |
| a word of TEMPOS | tempo, where no bpm is given |
| `intensity 0.8`, `density 0.3`, `brightness 0.9` | the number itself |
| a word of FEATURED | a stream that must be there: "with a melody" |
| `without drums`, `no lead or arpeggio` | streams that are muted |
| `only bass and drums`, `drums only` | the streams that sound |
| `i-VI-III-VII`, `I-V-vi-IV` | a chord progression by degrees; how they are written does not matter, the scale decides |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...assets.music.score import SCALES, STREAMS
from ...assets.refusal import OutOfRange, Refusal, Unknown
from .conditions import SECTIONS, STYLES

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
    **dict.fromkeys(("opening", "introduction", "start"), "intro"),
    **dict.fromkeys(("looping", "endless", "background"), "loop"),
    **dict.fromkeys(("transition", "break"), "fill"),
    **dict.fromkeys(("outro", "end", "final"), "ending"),
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
TEMPOS = {"largo": 60, "slow": 72, "adagio": 72, "andante": 90, "moderate": 104, "moderato": 108, "allegro": 132,
          "upbeat": 128, "fast": 150, "quick": 140, "vivace": 160, "presto": 180}  # fmt: skip
FEATURED: dict[str, str] = {
    **dict.fromkeys(("melody", "melodic", "tune", "lead"), "lead"),
    **dict.fromkeys(("drums", "beat", "percussion"), "drums"),
    **dict.fromkeys(("arpeggio", "arpeggios", "arpeggiated"), "arpeggio"),
}
"""Words for streams that must be there."""
STREAM_WORDS: dict[str, str] = {**FEATURED, **{stream: stream for stream in STREAMS}}
"""Words for streams that are named to be left out, or to be alone."""
FILLERS = frozenset(
    ("a", "an", "and", "the", "of", "with", "in", "at", "for", "very", "music", "song", "track", "theme", "key")
)
NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii")

_NOTE = re.compile(r"^([a-g])(#|b|♯|♭|sharp|flat)?$", re.IGNORECASE)
_SHORT = re.compile(r"^([A-G][#b♯♭]?)m$")
_BASE = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SPLIT = re.compile(r"[,;\s]+")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_EDGES = ".!?:()[]\"'"
"""What is no part of a word where it stands at one of its ends."""
_MINOR, _MAJOR = {"min": "minor", "m": "minor", "aeolian": "minor"}, {"maj": "major", "ionian": "major"}


@dataclass
class Said:
    """What a prompt fixed, by field; moods; and the words that meant nothing. weights: of those styles that have one."""

    fixed: dict[str, Any] = field(default_factory=dict)
    styles: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    mood: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    tempo: float | None = None
    featuring: list[str] = field(default_factory=list)
    mute: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def fix(self, name: str, value: Any) -> None:
        """Sets a field once; a second, different value is a contradiction."""
        if self.fixed.setdefault(name, value) != value:
            sentence = f"says {name} twice, {self.fixed[name]} and {value}"
            raise Refusal("contradiction", "prompt", sentence, "say it once")


def parse(text: str) -> Said:
    """Reads a prompt; `ignored` are the words that it does not know."""
    said = Said()
    words = [word for word in _SPLIT.split(text.replace("–", "-")) if word.strip(_EDGES)]
    at = 0
    while at < len(words):
        at += _take(words, at, said)
    return said


def _take(words: list[str], at: int, said: Said) -> int:
    """Reads the words from `at`; gives how many it took."""
    word = words[at].strip(_EDGES).lower()
    after = words[at + 1].strip(_EDGES).lower() if at + 1 < len(words) else ""
    if joined := re.fullmatch(r"(-?\d+(?:\.\d+)?)(bpm|bars?)", word):
        _count(float(joined[1]), joined[2], said)
        return 1
    if _NUMBER.match(word) and after in ("bpm", "bar", "bars"):
        _count(float(word), after, said)
        return 2
    if signature := re.fullmatch(r"(\d+)/(\d+)", word):
        said.fix("signature", f"{int(signature[1])}/{int(signature[2])}")
        return 1
    if word in ("density", "brightness", "intensity") and _NUMBER.match(after):
        said.fix(word, float(after))
        return 2
    if "-" in word and all(part in NUMERALS for part in word.split("-")):
        said.fix("progression", tuple(NUMERALS.index(part) for part in word.split("-")))
        return 1
    if (weighted := re.fullmatch(r"([a-z]+):(\d+(?:\.\d+)?)", word)) and weighted[1] in STYLE_WORDS:
        style, weight = STYLE_WORDS[weighted[1]], float(weighted[2])
        if said.weights.setdefault(style, weight) != weight:
            raise Refusal("contradiction", "prompt", f"weighs {style} twice", "say it once")
        return _single(words[at], weighted[1], said)
    return _streams(words, at, said) or _key(words, at, said) or _single(words[at], word, said)


def _streams(words: list[str], at: int, said: Said) -> int:
    """`without drums or bass`, `only lead and bass`, `drums only`: how many words that takes, 0 where it is none of them."""
    plain = [word.strip(_EDGES).lower() for word in words[at:]]
    if plain[0] in STREAM_WORDS and plain[1:2] == ["only"]:
        said.fix("only", (STREAM_WORDS[plain[0]],))
        return 2
    if plain[0] not in ("without", "no", "only"):
        return 0
    named: list[str] = []
    taken = 1
    for number, word in enumerate(plain[1:], 1):
        if word in STREAM_WORDS:
            named.append(STREAM_WORDS[word])
            taken = number + 1
        elif word not in ("and", "or", "a", "the"):
            break
    if not named:
        return 0
    if plain[0] == "only":
        said.fix("only", tuple(dict.fromkeys(named)))
    else:
        said.mute += named
    return taken


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
    elif word in SCALES or word in _MINOR or word in _MAJOR:
        said.fix("scale", _MINOR.get(word, _MAJOR.get(word, word)))
    elif word not in FILLERS:
        said.ignored.append(given)
    return 1


def _count(value: float, unit: str, said: Said) -> None:
    if unit == "bpm":
        said.fix("bpm", value)
        return
    if value != int(value):
        raise OutOfRange("bars", value, "a whole number")
    said.fix("bars", int(value))


def _key(words: list[str], at: int, said: Said) -> int:
    """A note with a scale, "D minor", "F# harmonic minor", "Am"; a capital note alone is a tonic, but "A" only after "in" or "of"."""
    word = words[at].strip(_EDGES)
    if short := _SHORT.match(word):
        said.fix("tonic", tonic_of(short[1]))
        said.fix("scale", "minor")
        return 1
    if _NOTE.match(word) is None:
        return 0
    rest = [each.strip(_EDGES).lower() for each in words[at + 1 : at + 3]]
    for taken in (2, 1):
        scale = " ".join(rest[:taken])
        scale = _MINOR.get(scale, _MAJOR.get(scale, scale))
        if len(rest) >= taken and scale in SCALES:
            said.fix("tonic", tonic_of(word))
            said.fix("scale", scale)
            return 1 + taken
    article = word == "A" and (at == 0 or words[at - 1].lower() not in ("in", "of"))
    if word[0].isupper() and not article:
        said.fix("tonic", tonic_of(word))
        return 1
    return 0


def tonic_of(note: str) -> int:
    """0 to 11 of a note's name; ValueError where it is none."""
    found = _NOTE.match(note)
    if found is None:
        raise ValueError(f"{note!r} is no note")
    shift = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}.get((found[2] or "").lower(), 0)
    return (_BASE[found[1].lower()] + shift) % 12


def read_key(text: str) -> tuple[int, str]:
    """Tonic and scale of a key's name, "D minor", "Dm", "D" (its major); a refusal of the field `key` where it is none."""
    if short := _SHORT.match(text.strip()):
        return tonic_of(short[1]), "minor"
    note, _, scale = text.strip().partition(" ")
    scale = scale.strip().lower() or "major"
    scale = _MINOR.get(scale, _MAJOR.get(scale, scale))
    if _NOTE.match(note) is None or scale not in SCALES:
        scales = ", ".join(SCALES)
        raise Refusal("unknown", "key", f"{text!r} is no key", f'give a note and a scale, such as "D minor": {scales}')
    return tonic_of(note), scale


def name_scale(asked: Mapping[str, Any], said: Said) -> None:
    """Puts the field `scale` of a request beside what its prompt says; refused where that, or its field `key`, is another."""
    value = asked.get("scale")
    if value is None:
        return
    scale = _MINOR.get(value, _MAJOR.get(value, value)) if isinstance(value, str) else ""
    if scale not in SCALES:
        raise Unknown("scale", value, SCALES)
    beside = {"prompt": said.fixed.get("scale", scale)}
    if isinstance(asked.get("key"), str):
        beside["key"] = read_key(asked["key"])[1]
    for name, other in beside.items():
        if other != scale:
            sentence = f"is {value!r}, and {name} says {other}"
            raise Refusal("contradiction", "scale", sentence, "say it in one place")
    said.fixed["scale"] = scale


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
