"""A PBR texture as a game receives it, and the maps that follow from the height.

Everything here is + - * / sqrt and comparisons in float32 on a torus, in a fixed order: the same bytes on every machine.
"""

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
Field = NDArray[np.float32]

NORMAL_STRENGTH = 6.0
"""Slope of the normal map: height 0 to 1 is this many pixels, the same at every size because the grain is."""
OCCLUSION_RADII = (1, 3, 7)
"""Pixels of the neighbourhoods that shade a place that lies below them."""


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
        return self._with(self._maps, milliseconds, self.__dict__.get("digest"))

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


def quantise(field: Field) -> Bytes:
    """[0, 1] to 0..255, rounded half up; what lies outside goes to the ends."""
    return _bytes(np.clip(field, np.float32(0), np.float32(1)))


def _bytes(inside: Field) -> Bytes:
    """A field within [0, 1], which is used up, to 0..255."""
    inside *= np.float32(255)
    inside += np.float32(0.5)
    return inside.astype(np.uint8)


def derive(decoded: Field, names: Sequence[str]) -> dict[str, Bytes]:
    """All maps from the decoder's (M, H, W) in [0, 1]; normals and occlusion come from the height."""
    at = {name: decoded[i] for i, name in enumerate(names)}
    height = at["height"]
    return {
        "albedo": np.stack([quantise(at[f"albedo.{c}"]) for c in "rgb"], axis=-1),
        "normal": normals_of(height),
        "height": quantise(height),
        "roughness": quantise(at["roughness"]),
        "metallic": quantise(at["metallic"]),
        "occlusion": occlusion_of(height),
    }


def normals_of(height: Field) -> Bytes:
    """Tangent-space normals (H, W, 3), OpenGL: x right, y up, by periodic Sobel differences."""
    around = _wrapped(_wrapped(height, 1, 0), 1, 1)
    across = around[:-2] + np.float32(2) * around[1:-1] + around[2:]
    along = around[:, :-2] + np.float32(2) * around[:, 1:-1] + around[:, 2:]
    slope = np.float32(NORMAL_STRENGTH / 8)
    x = (across[:, :-2] - across[:, 2:]) * slope
    y = (along[2:] - along[:-2]) * slope  # rows go down, y goes up
    length = np.sqrt(x * x + y * y + np.float32(1))
    half = np.float32(0.5)
    unit: Field = np.stack([x / length, y / length, np.float32(1) / length])
    unit *= half
    unit += half
    return np.stack(list(_bytes(unit)), axis=-1)


def occlusion_of(height: Field) -> Bytes:
    """Ambient occlusion (H, W): how far a place lies below the mean of its neighbourhoods, summed over their radii."""
    open_ = np.ones_like(height)
    for radius in OCCLUSION_RADII:
        below = _box(_box(height, radius, 0), radius, 1)
        below -= height
        np.maximum(below, np.float32(0), out=below)
        below *= np.float32(2.2)
        below += np.float32(1)
        open_ /= below
    return quantise(open_)


def _wrapped(field: Field, by: int, axis: int) -> Field:
    """The field with `by` rows or columns of its other end before and after it."""
    first, last = (slice(by), slice(-by, None)) if axis == 0 else (np.s_[:, :by], np.s_[:, -by:])
    return np.concatenate([field[last], field, field[first]], axis)


def _box(field: Field, radius: int, axis: int) -> Field:
    """Mean of the neighbours at -r, -r/2, 0, r/2, r along an axis."""
    around, size = _wrapped(field, radius, axis), field.shape[axis]
    near, far = max(1, radius // 2), radius
    total = field.copy()
    for offset in (-near, near, -far, far):
        part = slice(radius + offset, radius + offset + size)
        total += around[part] if axis == 0 else around[:, part]
    total *= np.float32(0.2)
    return total
