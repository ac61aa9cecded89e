"""A PBR texture as a game receives it: its maps, what can be asked for beside them, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .refusal import Unknown

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Texture:
    """Maps uint8 by name: albedo (H, W, 3) sRGB, normal (H, W, 3) OpenGL, the others (H, W) linear; row 0 is the top."""

    _maps: Mapping[str, Bytes]
    recipe: Mapping[str, Any]
    id: str
    ignored: tuple[str, ...] = ()
    made_by: Mapping[str, Any] = None  # type: ignore[assignment]
    milliseconds: Mapping[str, float] = None  # type: ignore[assignment]

    def __init__(
        self,
        maps: Mapping[str, Bytes],
        recipe: Mapping[str, Any],
        id: str,
        ignored: Sequence[str] = (),
        made_by: Mapping[str, Any] | None = None,
        milliseconds: Mapping[str, float] | None = None,
        digest: str | None = None,
    ) -> None:
        """`digest` only where the maps are a selection, and the digest is of all."""
        given = {"_maps": dict(maps), "recipe": dict(recipe), "id": id, "ignored": tuple(ignored)}
        given |= {"made_by": dict(made_by or {}), "milliseconds": dict(milliseconds or {})}
        if digest is not None:
            given["digest"] = digest
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def maps(self, names: Sequence[str] = ()) -> dict[str, Bytes]:
        """All maps in the order that the digest reads them; or those named, of MAPS and DERIVED."""
        return {name: self.map(name) for name in names} if names else dict(self._maps)

    def map(self, name: str) -> Bytes:
        """A map, or what follows from the maps: normal_directx, orm, unity_mask, unity_metallic."""
        return DERIVED[name](self) if name in DERIVED and name not in self._maps else self.__getattr__(name)

    def __getattr__(self, name: str) -> Bytes:
        if not name.startswith("_") and name in self._maps:
            return self._maps[name]
        raise AttributeError(f"{name!r}; the maps are {', '.join(self.__dict__.get('_maps', {}))}")

    @property
    def normal_directx(self) -> Bytes:
        """The normal map with Y down, for Unreal and other DirectX conventions."""
        if "normal_directx" in self._maps:
            return self._maps["normal_directx"]
        flipped = self.normal.copy()
        flipped[..., 1] = 255 - flipped[..., 1]
        return flipped

    @cached_property
    def digest(self) -> str:
        """sha-256 (hex) over the bytes of all maps in order."""
        total = hashlib.sha256()
        for array in self._maps.values():
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What a replay needs and compares with."""
        return {"id": self.id, "recipe": dict(self.recipe), "digest": self.digest, "made_by": dict(self.made_by)}

    def packed(self, layout: str) -> Bytes:
        """Data maps in the channels of one image; `layout` is one of PACKINGS."""
        if layout not in PACKINGS:
            raise Unknown("layout", layout, PACKINGS)
        if layout in self._maps:  # it was asked for, and came packed
            return self._maps[layout]
        return np.stack([_channel(self, name) for name in PACKINGS[layout]], axis=-1)

    def select(self, names: Sequence[str]) -> Texture:
        """With the maps named only, and the digest of all; without names itself."""
        return self._with(self.maps(names), self.milliseconds, self.digest) if names else self

    def timed(self, milliseconds: Mapping[str, float]) -> Texture:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, milliseconds=dict(milliseconds))
        return made

    def _with(self, maps: Mapping[str, Bytes], milliseconds: Mapping[str, float], digest: str | None) -> Texture:
        return Texture(maps, self.recipe, self.id, self.ignored, self.made_by, milliseconds, digest)


PACKINGS: dict[str, tuple[str, ...]] = {
    "orm": ("occlusion", "roughness", "metallic"),  # glTF, Unreal, Godot
    "unity_mask": ("metallic", "occlusion", "zero", "smoothness"),  # HDRP
    "unity_metallic": ("metallic", "metallic", "metallic", "smoothness"),  # URP
}


MAPS = ("albedo", "normal", "height", "roughness", "metallic", "occlusion")
"""What every texture has."""
DERIVED: dict[str, Callable[[Texture], Bytes]] = {
    "normal_directx": lambda texture: texture.normal_directx,
    **{layout: partial(Texture.packed, layout=layout) for layout in PACKINGS},
}
"""What a texture can be asked for beside its maps; it follows from them, so no digest counts it."""


def check_maps(names: Sequence[str]) -> tuple[str, ...]:
    """The names of maps that a request chooses, or a refusal."""
    for name in names:
        if name not in MAPS and name not in DERIVED:
            raise Unknown("maps", name, (*MAPS, *DERIVED))
    return tuple(dict.fromkeys(names))


def _channel(texture: Texture, name: str) -> Bytes:
    if name == "smoothness":
        return 255 - texture.roughness
    return np.zeros_like(texture.roughness) if name == "zero" else texture.map(name)
