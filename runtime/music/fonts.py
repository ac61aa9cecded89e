"""SoundFonts that this process offers by name. A request names one of them, never a path; a recipe holds its name and digest too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...assets.music.bank import BANK, Bank
from ...assets.music.render import font_bank
from ...assets.refusal import Refusal, Unknown
from .recipe import MusicRecipe

NAME = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class Font:
    """`digest`: sha-256 (hex) of the file when it was offered."""

    path: str
    digest: str


FONTS: dict[str, Font] = {}


def offer(name: str, path: str | Path) -> None:
    """Offers a file under a name from now on; refused where it is no SoundFont or nothing can play it."""
    if NAME.fullmatch(name) is None:
        sentence = f"{name!r} is no name: 1 to 64 letters, digits, dots, dashes and underscores"
        raise Refusal("out_of_range", "soundfont", sentence, "give NAME=FILE")
    FONTS[name] = Font(str(path), font_bank(str(path)).digest)


def offer_all(options: Iterable[str]) -> None:
    """Offers what options say, NAME=FILE, or FILE under its own name without ending."""
    for option in options:
        name, equals, path = option.partition("=")
        offer(*((name, path) if equals else (Path(option).stem, option)))


def find(name: str, digest: str | None = None) -> Font:
    """The SoundFont of a name; refused where none is offered or where it is another file than the digest says."""
    if name not in FONTS:
        if not FONTS:
            remedy = "start it with `cadenza serve --soundfont NAME=FILE`, or leave soundfont out"
            raise Refusal("unknown", "soundfont", f"{name!r} is not offered, no SoundFont is", remedy)
        raise Unknown("soundfont", name, FONTS)
    font = FONTS[name]
    if digest is not None and digest != font.digest:
        sentence = f"{name!r} is another file here, {font.digest[:12]}..., the recipe was made with {digest[:12]}..."
        raise Refusal("differs", "soundfont", sentence, "offer that file under the name")
    return font


def path_of(recipe: MusicRecipe) -> str | None:
    """The file that plays a recipe; none: the built-in instruments do. Refused where it changed since it was offered."""
    if recipe.soundfont is None:
        return None
    font = find(recipe.soundfont, recipe.soundfont_sha256)
    if font_bank(font.path).digest != font.digest:
        raise Refusal("differs", "soundfont", f"the file of {recipe.soundfont!r} has changed", "offer it again")
    return font.path


def bank_of(recipe: MusicRecipe) -> Bank:
    """What plays a recipe's notes."""
    path = path_of(recipe)
    return BANK if path is None else font_bank(path)
