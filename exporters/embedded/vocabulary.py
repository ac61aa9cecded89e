"""The closed vocabulary of the embedded texture model: materials, modifiers, and other words for them."""

from __future__ import annotations

MATERIALS: tuple[str, ...] = (
    "stone", "brick", "cobble", "planks", "bark", "metal plate", "rust", "concrete", "marble", "sand", "dirt", "grass",
    "moss", "ice", "snow", "lava", "water", "leather", "fabric", "tiles", "roof", "gravel", "crystal", "tech panel",
    "mud", "plaster", "gold", "slime",
)  # fmt: skip

MODIFIERS: tuple[str, ...] = (
    "wet", "mossy", "cracked", "worn", "polished", "dark", "pale", "red", "blue", "green", "yellow", "dirty", "rusty",
    "snowy", "fine", "coarse",
)  # fmt: skip

WORDS: tuple[str, ...] = MATERIALS + MODIFIERS
"""The order of the condition vector."""

SYNONYMS: dict[str, str] = {
    "rock": "stone", "granite": "stone", "cliff": "stone", "boulder": "stone", "bricks": "brick", "brickwork": "brick",
    "cobblestone": "cobble", "cobblestones": "cobble", "cobbles": "cobble", "pavement": "cobble", "flagstone": "cobble",
    "wood planks": "planks", "wooden planks": "planks", "wood": "planks", "plank": "planks", "boards": "planks",
    "floorboards": "planks", "wooden": "planks", "tree bark": "bark", "trunk": "bark", "metal": "metal plate",
    "steel": "metal plate", "iron": "metal plate", "plates": "metal plate", "metal plates": "metal plate",
    "corroded metal": "rust", "cement": "concrete", "asphalt": "concrete", "dune": "sand", "desert": "sand",
    "beach": "sand", "earth": "dirt", "soil": "dirt", "ground": "dirt", "lawn": "grass", "meadow": "grass",
    "turf": "grass", "lichen": "moss", "frozen": "ice", "glacier": "ice", "magma": "lava", "molten rock": "lava",
    "sea": "water", "ocean": "water", "pool": "water", "hide": "leather", "cloth": "fabric", "textile": "fabric",
    "canvas": "fabric", "wool": "fabric", "woven": "fabric", "tile": "tiles", "ceramic": "tiles", "floor tiles": "tiles",
    "roof tiles": "roof", "shingles": "roof", "roofing": "roof", "thatch": "roof", "pebbles": "gravel",
    "stones": "gravel", "rubble": "gravel", "gem": "crystal", "crystals": "crystal", "amethyst": "crystal",
    "sci-fi panel": "tech panel", "tech": "tech panel", "panel": "tech panel", "hull": "tech panel",
    "spaceship": "tech panel", "swamp": "mud", "clay": "mud", "stucco": "plaster", "wall": "plaster", "golden": "gold",
    "treasure": "gold", "goo": "slime", "toxic": "slime", "acid": "slime",
    "damp": "wet", "rainy": "wet", "soaked": "wet", "moss covered": "mossy", "overgrown": "mossy", "broken": "cracked",
    "fractured": "cracked", "old": "worn", "weathered": "worn", "aged": "worn", "ancient": "worn", "shiny": "polished",
    "smooth": "polished", "glossy": "polished", "black": "dark", "darker": "dark", "light": "pale", "white": "pale",
    "bleached": "pale", "bright": "pale", "crimson": "red", "reddish": "red", "bluish": "blue", "azure": "blue",
    "greenish": "green", "golden brown": "yellow", "yellowish": "yellow", "stained": "dirty", "grimy": "dirty",
    "dusty": "dirty", "corroded": "rusty", "oxidised": "rusty", "oxidized": "rusty", "snow covered": "snowy",
    "frosty": "snowy", "small": "fine", "detailed": "fine", "large": "coarse", "big": "coarse", "rough": "coarse",
}  # fmt: skip
