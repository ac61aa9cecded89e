"""A recipe is everything that determines the bits of a result; its canonical bytes hash to the recipe id.

Canonical bytes are JSON in UTF-8 with sorted keys, no spaces, and numbers as Python's `repr` writes them (the shortest
decimal that reads back as the same float64), so that any language can compute the id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from ..assets.refusal import Unknown, misread

Spacing = str | tuple[float, ...] | dict[str, float | int | bool | str | tuple[float, ...]]
"""A name, {"name": ..., option: value}, noise ratios sigma/alpha, or {"times": [...]}: what the model is told."""


class Canonical(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """What recipes of every kind share: canonical bytes and the id that they hash to."""

    @cached_property
    def id(self) -> str:
        return hashlib.sha256(self.canonical).hexdigest()

    @cached_property
    def canonical(self) -> bytes:
        """What tells two recipes apart, without the time that hashing takes."""
        text = json.dumps(self.fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()

    @cached_property
    def fields(self) -> dict[str, Any]:
        """As `to_dict`, made once; not to be changed."""
        return self.to_dict()

    def told(self) -> tuple[str, dict[str, Any]]:
        """What a result says of it: its id and its fields. Who has time asks before they are wanted."""
        return self.id, self.fields

    def to_dict(self) -> dict[str, Any]:
        built: dict[str, Any] = _listed(msgspec.to_builtins(self))
        return built


def _listed(value: Any) -> Any:
    """Tuples as lists, as a recipe comes over a wire or from a file: it is equal to what is told in process."""
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, tuple | list) else value


class Recipe(Canonical, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One result, completely determined together with the backend that makes it."""

    kind: str
    bundle: str  # digest of the bundle, hex
    prompt: str
    negative: str = ""
    seed: int
    variation_seed: int = 0
    variation_strength: float = 0.0  # 0 the seed's own noise, 1 the variation seed's
    x: int = 0  # pixels: where on the seed's endless plane of noise the window's top left corner lies
    y: int = 0
    width: int  # pixels
    height: int
    sampler: str
    spacing: Spacing
    steps: int
    guidance: float | tuple[float, ...]  # one number, or one a step
    embedded_guidance: float | None = None  # what a distilled network is told; None for networks that are told none
    guidance_interval: tuple[float, float | None] | None = None  # noise ratios; outside guidance is 1
    corrector: str | None = None
    eta: float | None = None
    options: dict[str, float | int | bool | str | tuple[float, ...]] = {}
    image: Recipe | str | None = (
        None  # whose result the run starts from, or keeps outside the mask; or a picture by its digest
    )
    denoise: float = 1.0  # above 0 to 1: how much of the noise range is run; below 1 it starts from the image
    mask: tuple[int, int, int, int] | str | None = (
        None  # pixels x, y, width, height of what is made anew; or bits of cells
    )
    noise: str = "independent"  # or "brownian": step noise refines with the step count
    inputs: dict[
        str, str | float
    ] = {}  # what else the network reads: arrays by digest, and numbers; left out when empty

    def to_dict(self) -> dict[str, Any]:
        built = super().to_dict()
        at: Any = built
        while isinstance(at, dict):
            if not at["inputs"]:
                del at["inputs"]
            at = at["image"]
        return built

    def reseeded(self, seed: int) -> Recipe:
        """The same of another seed. Of one without an image the canonical bytes are known without spelling it all out again."""
        made = msgspec.structs.replace(self, seed=seed)
        if self.image is None and not self.inputs:
            before, after = self._around_seed
            made.__dict__["canonical"] = b"%b%d%b" % (before, seed, after)
        return made

    @cached_property
    def _around_seed(self) -> tuple[bytes, bytes]:
        """The canonical bytes before and behind the seed: inside of a text the name's quotes would be escaped."""
        name = b'"seed":'
        before, _, after = self.canonical.partition(b"%b%d" % (name, self.seed))
        return before + name, after


FIELDS = Recipe.__struct_fields__
Of = TypeVar("Of", bound=Canonical)


def from_dict(fields: Mapping[str, Any]) -> Recipe:
    """A complete recipe from a mapping of its fields; whole numbers are read as floats where a float is due."""
    return read(fields, Recipe)


def read(fields: Mapping[str, Any], of: type[Of]) -> Of:
    """As `from_dict`, a recipe of any kind."""
    valid = of.__struct_fields__
    for name in fields:
        if name not in valid:
            raise Unknown(name, name, valid)
    try:
        return msgspec.convert(dict(fields), of)
    except msgspec.ValidationError as error:
        raise misread(error, "recipe") from error
