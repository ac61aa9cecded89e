"""The words that prompts for music may use, as tables: what each means, and what a style has where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...assets.music.score import STREAMS
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
    [
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
    ]
)
NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii")
NEGATIONS = frozenset(["without", "no", "not", "minus", "don't", "dont", "mute", "stop", "drop", "remove"])
JOINING = frozenset(
    ["and", "or", "nor", "&", "a", "the", "any", "all", "too", "so", "very", "use", "want", "play", "have"]
)
"""What may stand before or between the streams that are left out or alone."""


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
