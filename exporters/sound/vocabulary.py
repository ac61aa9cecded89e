"""The closed vocabulary of the embedded sound model: sounds, modifiers, and other words for them."""

from __future__ import annotations

LOOPS: tuple[str, ...] = ("wind", "rain", "fire", "ocean", "stream", "crickets", "engine", "drone", "pad")
"""Ambiences: without a beginning or an end."""
SHOTS: tuple[str, ...] = (
    "wood hit", "metal hit", "stone hit", "glass", "bell", "drum", "drip", "whoosh", "explosion", "thunder", "zap",
    "pickup", "splash",
)  # fmt: skip
"""Sounds that begin, and end in silence."""
SOUNDS = LOOPS + SHOTS

MODIFIERS: tuple[str, ...] = (
    "bright", "dark", "high", "low", "long", "short", "hard", "soft", "dense", "sparse", "distant",
)  # fmt: skip
EXCLUSIVE = (("bright", "dark"), ("high", "low"), ("long", "short"), ("hard", "soft"), ("dense", "sparse"))

WORDS = SOUNDS + MODIFIERS
"""The order of the condition vector."""

SYNONYMS: dict[str, str] = {
    "breeze": "wind", "gale": "wind", "storm": "wind", "rainfall": "rain", "drizzle": "rain", "downpour": "rain",
    "campfire": "fire", "flames": "fire", "fireplace": "fire", "torch": "fire", "sea": "ocean", "waves": "ocean",
    "surf": "ocean", "shore": "ocean", "brook": "stream", "river": "stream", "creek": "stream", "waterfall": "stream",
    "insects": "crickets", "night": "crickets", "cicadas": "crickets", "motor": "engine", "machine": "engine",
    "generator": "engine", "hum": "engine", "ambience": "drone", "ambient": "drone", "dungeon": "drone",
    "cave": "drone", "strings": "pad", "chord": "pad", "synth": "pad",
    "wood": "wood hit", "wooden": "wood hit", "knock": "wood hit", "plank": "wood hit", "metal": "metal hit",
    "clang": "metal hit", "anvil": "metal hit", "sword": "metal hit", "stone": "stone hit", "rock": "stone hit",
    "footstep": "stone hit", "impact": "stone hit", "hit": "stone hit", "shatter": "glass", "chime": "bell",
    "gong": "bell", "tom": "drum", "kick": "drum", "boom": "explosion", "blast": "explosion", "drop": "drip",
    "droplet": "drip", "swoosh": "whoosh", "swish": "whoosh", "swing": "whoosh", "rumble": "thunder",
    "lightning": "thunder", "laser": "zap", "blaster": "zap", "coin": "pickup", "collect": "pickup",
    "powerup": "pickup", "water splash": "splash", "plop": "splash",
    "brilliant": "bright", "crisp": "bright", "muffled": "dark", "dull": "dark", "warm": "dark", "small": "high",
    "tiny": "high", "big": "low", "large": "low", "deep": "low", "huge": "low", "slow": "long", "sustained": "long",
    "quick": "short", "fast": "short", "brief": "short", "strong": "hard", "heavy": "hard", "loud": "hard",
    "gentle": "soft", "light": "soft", "quiet": "soft", "thick": "dense", "busy": "dense", "thin": "sparse",
    "calm": "sparse", "far": "distant", "faraway": "distant", "reverberant": "distant", "echoing": "distant",
}  # fmt: skip
