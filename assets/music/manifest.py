"""The manifest of a music bundle, format 1: how to run a token model, and what its numbers mean."""

from __future__ import annotations

from typing import Any

import msgspec

from ..refusal import Corrupt, OutOfRange
from .score import STREAMS


class Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sequence's keys and values: (layers, heads, window, head) float32 each."""

    layers: int
    heads: int
    window: int
    head: int


class Recommended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dials at which this model is best."""

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 0.0
    guidance: float = 1.0


class MusicManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bundle.json of kind music. `sizes` and `delays` are a stream each; `condition` numbers go with every step."""

    name: str
    graphs: dict[str, str]
    sizes: list[int]
    delays: list[int]
    condition: int
    cache: Cache
    recommended: Recommended
    kind: str = "music"
    format: int = 1
    files: dict[str, str] = {}
    licence: str = ""
    provenance: dict[str, Any] = {}


def check(manifest: MusicManifest) -> None:
    """What types cannot say."""
    for name in ("sizes", "delays"):
        numbers = getattr(manifest, name)
        if len(numbers) != len(STREAMS) or min(numbers) < 0 or max(numbers) > 65536:
            raise OutOfRange(name, numbers, f"{len(STREAMS)} whole numbers from 0, one a stream")
    shape = (manifest.cache.layers, manifest.cache.heads, manifest.cache.window, manifest.cache.head)
    if min(shape) < 1 or max(shape) > 65536:
        raise OutOfRange("cache", list(shape), "whole numbers from 1 to 65536")
    if set(manifest.graphs) != {"step"}:
        raise Corrupt("graphs", f"are {', '.join(manifest.graphs)}, expected step", "export the bundle again")
