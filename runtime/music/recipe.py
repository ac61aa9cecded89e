"""The recipe of a piece of music: everything that determines its bits, the sound included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..recipe import Canonical, read


class MusicRecipe(Canonical, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One piece, completely determined together with the backend that makes it."""

    kind: str = "music"
    bundle: str  # digest of the bundle, hex
    prompt: str
    seed: int
    reseeded: dict[str, int] = msgspec.field(default_factory=dict)  # streams that draw from another seed
    styles: tuple[str, ...]
    weights: tuple[float, ...] = ()  # of the styles, the heaviest last; none: they weigh the same. Left out when empty
    section: str
    bpm: float
    key: str  # "D minor"
    density: float
    brightness: float
    intensity: float  # which chords and lead are deaf to
    bars: int
    signature: str  # "4/4"
    progression: tuple[int, ...] | None = None  # degrees 0 to 6
    featuring: tuple[str, ...] = ()  # streams that play from the first beat on; of the others the model decides whether
    temperature: float
    top_k: int
    top_p: float
    guidance: float
    guidance_beta: float | None = None  # double guidance: strength within the one of style, section, scale and metre
    rate: int = 48000
    loudness: float = -23.0  # LUFS
    only: tuple[str, ...] = ()  # streams that sound; none named: all
    mute: tuple[str, ...] = ()
    soundfont: str | None = None  # a name that the server offers; none: the built-in instruments
    soundfont_sha256: str | None = None  # of its file, hex

    def to_dict(self) -> dict[str, Any]:
        built = super().to_dict()
        if not self.weights:
            del built["weights"]
        return built


FIELDS = MusicRecipe.__struct_fields__


def from_dict(fields: Mapping[str, Any]) -> MusicRecipe:
    """A complete recipe from a mapping of its fields; whole numbers are read as floats where a float is due."""
    return read(fields, MusicRecipe)
