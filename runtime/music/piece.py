"""A piece of music as a game receives it: the sound, the score behind it, and the recipe that makes it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...assets.music.files import facts, save
from ...assets.music.music import Music
from ...assets.music.render import render
from ...assets.music.score import STREAMS, Score
from ...assets.refusal import Refusal, Unknown
from ...assets.sidecar import beside, write
from .conditions import Conditions
from .fonts import path_of
from .recipe import MusicRecipe
from .tokens import Tokens, to_score

PARTS = ("audio", *STREAMS, "score")
"""What a piece can be asked for: the mix, its stems, and the score (JSON)."""


@dataclass(frozen=True)
class Piece:
    """`music` has audio and stems, float32 (samples, 2); where stems were not asked for there are none, and `digest` is of all."""

    music: Music
    recipe: Mapping[str, Any]
    id: str
    digest: str
    ignored: tuple[str, ...] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def audio(self) -> NDArray[np.float32]:
        """What to play, (samples, 2)."""
        return self.music.audio

    @property
    def stems(self) -> Mapping[str, NDArray[np.float32]]:
        return self.music.stems

    @property
    def score(self) -> Score:
        return self.music.score

    @property
    def rate(self) -> int:
        return self.music.rate

    @cached_property
    def sidecar(self) -> dict[str, Any]:
        """What an engine wants to know: tempo, bars, beats and chords in samples, loudness, and the notes. Wants the audio."""
        self._check_audio()
        notes = [msgspec.to_builtins(note) for note in self.score.notes]
        return {**facts(self.music), "notes": notes, "recipe": dict(self.recipe), "id": self.id, "digest": self.digest}

    @property
    def record(self) -> dict[str, Any]:
        """What a replay needs and compares with."""
        return {"id": self.id, "recipe": dict(self.recipe), "digest": self.digest, "made_by": dict(self.made_by)}

    def maps(self, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """The parts named, of PARTS, and the score, or all, as arrays for a store or a wire."""
        there: dict[str, NDArray[Any]] = {
            "audio": self.audio,
            **self.stems,
            "score": np.frombuffer(told(self.music), np.uint8),
        }
        wanted = dict.fromkeys((*names, "score")) if names else there
        return {name: there[name] for name in wanted if name in there}

    def select(self, names: Sequence[str]) -> Piece:
        """With the parts named only; without names itself."""
        if not names:
            return self
        audio = self.audio if "audio" in names else self.audio[:0]
        stems = {name: stem for name, stem in self.stems.items() if name in names}
        return replace(self, music=replace(self.music, audio=audio, stems=stems))

    def timed(self, milliseconds: Mapping[str, float]) -> Piece:
        return replace(self, milliseconds=dict(milliseconds))

    def save(self, path: str | Path, *, stems: bool = False, bits: int | None = None) -> list[Path]:
        """Writes .wav, .flac or .ogg, stems beside it on request, and the sidecar NAME.json. Returns the paths."""
        self._check_audio()
        described = beside(Path(path))
        written = save(self.music, path, bits=bits, stems=stems, sidecar=False)
        names = {name: file.name for name, file in zip(self.stems, written[1:], strict=False)}
        more = {**self.sidecar, **facts(self.music, Path(path).name, names), "made_by": dict(self.made_by)}
        more |= {"recipe": dict(self.recipe), "digest": self.digest}  # of all stems, also of those that are not here
        return [*written, write(described, written, more)]

    def _check_audio(self) -> None:
        if not len(self.audio):
            raise Refusal("missing", "audio", "did not come with this music", 'ask for it: maps=("audio", ...)')


def check_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The names of parts that a request chooses, or a refusal."""
    for name in names:
        if name not in PARTS:
            raise Unknown("maps", name, PARTS)
    return tuple(dict.fromkeys(names))


def finish(
    tokens: Tokens, conditions: Conditions, recipe: MusicRecipe, ignored: tuple[str, ...], made_by: Mapping[str, Any]
) -> Piece:
    """Plays what was said."""
    music = render(
        to_score(tokens, conditions),
        recipe.rate,
        loudness=recipe.loudness,
        only=recipe.only,
        mute=recipe.mute,
        soundfont=path_of(recipe),
    )
    return Piece(music, recipe.to_dict(), recipe.id, music.digest, ignored, dict(made_by))


class Told(msgspec.Struct, frozen=True):
    """What is sent beside samples; the last three are Music's."""

    score: Score
    rate: int
    gain_db: float
    limited_db: float
    stems: list[str]


def told(music: Music) -> bytes:
    return msgspec.json.encode(Told(music.score, music.rate, music.gain_db, music.limited_db, list(music.stems)))


def read(parts: Mapping[str, NDArray[Any]]) -> Music:
    """The music of parts that came over a wire or from a store: `score`, and what there is of `audio` and stems."""
    facts_ = msgspec.json.decode(np.ascontiguousarray(parts["score"]).tobytes(), type=Told)
    nothing = np.zeros((0, 2), np.float32)
    stems = {name: parts[name] for name in facts_.stems if name in parts}
    audio = parts.get("audio", nothing)
    return Music(facts_.score, facts_.rate, audio, stems, facts_.gain_db, facts_.limited_db)


__all__ = ["PARTS", "Piece", "check_parts", "finish", "read", "told"]
