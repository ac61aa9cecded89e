"""The recipe of a piece of music: everything that determines its bits, the sound included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from ...assets.refusal import Refusal, Unknown


class MusicRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One piece, completely determined together with the backend that makes it. Ids as those of `runtime.recipe.Recipe`."""

    kind: str = "music"
    bundle: str  # digest of the bundle, hex
    prompt: str
    seed: int
    reseeded: dict[str, int] = {}  # streams that draw from another seed
    styles: tuple[str, ...]
    section: str
    bpm: float
    key: str  # "D minor"
    density: float
    brightness: float
    intensity: float  # which chords and lead are deaf to
    bars: int
    signature: str  # "4/4"
    progression: tuple[int, ...] | None = None  # degrees 0 to 6
    temperature: float
    top_k: int
    top_p: float
    guidance: float
    guidance_beta: float | None = None  # double guidance: strength within the one of style, section, scale and metre
    rate: int = 48000
    loudness: float = -23.0  # LUFS
    only: tuple[str, ...] = ()  # streams that sound; none named: all
    mute: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()

    def to_dict(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


FIELDS = tuple(field.name for field in msgspec.structs.fields(MusicRecipe))


def from_dict(fields: Mapping[str, Any]) -> MusicRecipe:
    """A complete recipe from a mapping of its fields; whole numbers are read as floats where a float is due."""
    for name in fields:
        if name not in FIELDS:
            raise Unknown(name, name, FIELDS)
    try:
        return msgspec.convert(dict(fields), MusicRecipe)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$.")
        raise Refusal("type", path.rstrip("`") or "recipe", sentence) from error
