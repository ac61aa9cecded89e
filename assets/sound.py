"""A sound as a game receives it: samples, their rate, and the recipe that makes them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .manifest import Manifest
from .music.wav import wav
from .refusal import Corrupt, Unknown

SOUND = "sound"
"""The kind of bundles and requests."""
PARTS = ("audio", "facts")
"""What a sound consists of: samples, and the facts (JSON) that say how to play them."""


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

    def save(self, path: str | Path, bits: int = 32) -> list[Path]:
        """Writes a WAV (32 bits are float, 24 and 16 whole numbers) and the record NAME.json. Returns the paths."""
        path = Path(path)
        path.write_bytes(wav(self.audio, self.rate, bits, loop=False))
        record = path.with_suffix(".json")
        told = {**self.record, "rate_hz": self.rate, "seconds": self.seconds}
        record.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        return [path, record]


def check_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The names of parts that a request chooses, or a refusal."""
    for name in names:
        if name not in PARTS:
            raise Unknown("maps", name, PARTS)
    return tuple(dict.fromkeys(names))


def rate_of(manifest: Manifest) -> int:
    """Samples a second that a bundle makes, or a refusal of the bundle."""
    rate = manifest.provenance.get("sample_rate_hz")
    if not isinstance(rate, int | float) or not 1 <= rate <= 768_000 or rate != int(rate):
        raise Corrupt("provenance.sample_rate_hz", f"is {rate!r}, a whole number is due", "export the bundle again")
    return int(rate)


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
