"""A sound as a game receives it: samples, their rate, and the recipe that makes them again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .manifest import Manifest
from .music.files import encode
from .refusal import Corrupt, OutOfRange, Refusal, Unknown
from .sidecar import beside, write
from .store import write_whole

PARTS = ("audio", "facts")
"""What a sound consists of: samples, and the facts (JSON) that say how to play them."""


GAIN_LIMIT = 120
"""Decibels by which a file may be louder or softer than its samples."""


class Facts(msgspec.Struct, frozen=True):
    """What samples cannot say: samples a second of each channel."""

    rate_hz: int


@dataclass(frozen=True)
class Sound:
    """`audio` is float32 (samples, channels), about -1 to 1 and not cut there; `digest` is of all samples."""

    audio: NDArray[np.float32]
    rate: int  # samples a second
    recipe: Mapping[str, Any]
    id: str
    ignored: tuple[str, ...] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.rate

    @cached_property
    def digest(self) -> str:
        """sha-256 (hex) over the samples, little-endian float32, channels side by side."""
        return hashlib.sha256(np.ascontiguousarray(self.audio, "<f4").data).hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What a replay needs and compares with."""
        return {"id": self.id, "recipe": dict(self.recipe), "digest": self.digest, "made_by": dict(self.made_by)}

    def maps(self, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """Both parts, whatever is named, as arrays for a store or a wire."""
        return {"audio": self.audio, "facts": np.frombuffer(msgspec.json.encode(Facts(self.rate)), np.uint8)}

    def select(self, names: Sequence[str]) -> Sound:
        """Itself: there is nothing that could be left out."""
        return self

    def timed(self, milliseconds: Mapping[str, float]) -> Sound:
        return replace(self, milliseconds=dict(milliseconds))

    def save(self, path: str | Path, bits: int | None = None, gain_db: float = 0.0) -> list[Path]:
        """Writes the file that the suffix names (.wav, .flac, .ogg) and the record NAME.json. Returns the paths.

        bits     32 (float, WAV only and its own choice), 24 (FLAC's) or 16; OGG has none
        gain_db  louder or, below 0, softer in the file; nothing is clipped: a peak above 1 fits into float only, others refuse
        """
        path = Path(path)
        if (
            isinstance(gain_db, bool)
            or not isinstance(gain_db, int | float | np.floating | np.integer)
            or not abs(gain_db) <= GAIN_LIMIT
        ):
            raise OutOfRange("gain_db", gain_db, f"a number of decibels from {-GAIN_LIMIT} to {GAIN_LIMIT}")
        wave = self.audio if gain_db == 0.0 else self.audio * np.float32(10 ** (gain_db / 20))
        try:
            data = encode(wave, self.rate, path.suffix[1:].lower(), bits, loop=False)
        except Refusal as refusal:
            if refusal.code != "clipped":
                raise
            fits = gain_db - math.ceil(200 * math.log10(float(np.abs(wave).max()))) / 10 - 0.1
            remedy = f"write a WAV of 32 bits, or set gain_db to {fits:.1f}"
            raise Refusal(refusal.code, "gain_db", refusal.sentence, remedy) from None
        record = beside(path)
        write_whole(path, data)
        told = {**self.record, "rate_hz": self.rate, "seconds": self.seconds, "gain_db": float(gain_db)}
        return [path, write(record, [path], told)]


def check_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The names of parts that a request chooses, or a refusal."""
    for name in names:
        if name not in PARTS:
            raise Unknown("maps", name, PARTS)
    return tuple(dict.fromkeys(names))


def rate_of(manifest: Manifest) -> int:
    """Samples a second that a bundle of sounds makes; its manifest was checked when it was read."""
    assert manifest.samples is not None
    return manifest.samples.rate_hz


def finished(decoded: NDArray[np.float32], manifest: Manifest, **told: Any) -> Sound:
    """The sound of decoded samples (channels, 1, samples)."""
    return Sound(np.ascontiguousarray(decoded[:, 0].T), rate_of(manifest), **told)


def read(parts: Mapping[str, NDArray[Any]], **told: Any) -> Sound:
    """The sound of parts that came over a wire or from a store; `told` are the other fields."""
    try:
        facts = msgspec.json.decode(np.ascontiguousarray(parts["facts"]).tobytes(), type=Facts)
        audio = parts["audio"]
    except (KeyError, msgspec.DecodeError) as error:
        raise Corrupt("payload", f"is no sound ({error})", "submit it again") from error
    return Sound(audio, facts.rate_hz, **told)
