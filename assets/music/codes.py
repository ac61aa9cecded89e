"""The manifest of a bundle that says a sound in a codec's words, as MusicGen does: kind "musicgen", format 1."""

from __future__ import annotations

from typing import Any

import msgspec

from ..refusal import Corrupt, OutOfRange
from .manifest import Cache, Recommended

KIND = "musicgen"
GRAPHS = ("step", "encode_text", "decode")


class CodesManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """bundle.json of kind musicgen.

    words, codebooks  of each codebook; how many there are: codebook k comes k frames late (MusicGen's delay pattern)
    frames     of a piece; the graphs were made for as many
    text       tokens of a prompt, at most; `pad` fills up
    condition  numbers of a prompt's condition
    rate_hz, hop  samples a second, and of a frame
    """

    name: str
    kind: str = KIND
    graphs: dict[str, str]
    words: int
    codebooks: int
    frames: int
    text: int
    pad: int
    tokenizer: str
    condition: int
    cache: Cache
    rate_hz: int
    hop: int
    recommended: Recommended
    format: int = 1
    files: dict[str, str] = {}
    licence: str = ""
    provenance: dict[str, Any] = {}

    @property
    def delays(self) -> tuple[int, ...]:
        return tuple(range(self.codebooks))

    @property
    def seconds(self) -> float:
        return self.frames * self.hop / self.rate_hz


def check(manifest: CodesManifest) -> None:
    """What types cannot say."""
    for name, most in (("words", 65536), ("codebooks", 64), ("frames", 65536), ("text", 65536), ("condition", 1 << 24)):
        if not 1 <= getattr(manifest, name) <= most:
            raise OutOfRange(name, getattr(manifest, name), f"a whole number from 1 to {most}")
    if not (1 <= manifest.hop <= 1 << 20 and 1 <= manifest.rate_hz <= 1 << 20):
        raise OutOfRange(
            "rate_hz", [manifest.rate_hz, manifest.hop], "whole numbers from 1, the samples of a frame too"
        )
    shape = (manifest.cache.layers, manifest.cache.heads, manifest.cache.window, manifest.cache.head)
    if min(shape) < 1 or max(shape) > 65536:
        raise OutOfRange("cache", list(shape), "whole numbers from 1 to 65536")
    if set(manifest.graphs) != set(GRAPHS):
        raise Corrupt("graphs", f"are {', '.join(manifest.graphs)}, expected {', '.join(GRAPHS)}", "export it again")
    if manifest.tokenizer not in manifest.files:
        raise Corrupt("tokenizer", f"{manifest.tokenizer!r} is not among the files", "export the bundle again")
