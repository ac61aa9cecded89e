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
OCCLUSION_STRENGTH = 2.2
"""A place lower than the mean of its neighbourhood by d gets the factor 1 / (1 + this times d)."""


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
    inside = np.clip(field, np.float32(0), np.float32(1))
    inside *= np.float32(255)
    inside += np.float32(0.5)
    return inside.astype(np.uint8)


def derive(decoded: Field, names: Sequence[str]) -> dict[str, Bytes]:
    """All maps from the decoder's (M, H, W) in [0, 1]; normals and occlusion come from the height."""
    at = {name: decoded[i] for i, name in enumerate(names)}
    height = at["height"]
    return {
        "albedo": _interleaved([quantise(at[f"albedo.{c}"]) for c in "rgb"]),
        "normal": normals_of(height),
        "height": quantise(height),
        "roughness": quantise(at["roughness"]),
        "metallic": quantise(at["metallic"]),
        "occlusion": occlusion_of(height),
    }


def normals_of(height: Field) -> Bytes:
    """Tangent-space normals (H, W, 3), OpenGL: x right, y up, by periodic Sobel differences; 0 is the byte 128."""
    around = _wrapped(height, 1)
    normal = np.empty((3, *height.shape), np.float32)
    x, y, z = normal
    across = _smoothed(around[:-2], around[1:-1], around[2:])
    np.subtract(across[:, :-2], across[:, 2:], out=x)
    along = _smoothed(around[:, :-2], around[:, 1:-1], around[:, 2:])
    np.subtract(along[2:], along[:-2], out=y)  # rows go down, y goes up
    normal[:2] *= np.float32(NORMAL_STRENGTH / 8)
    np.multiply(x, x, out=z)
    z += y * y
    z += np.float32(1)
    np.sqrt(z, out=z)
    np.divide(np.float32(127.5), z, out=z)
    normal[:2] *= z
    normal += np.float32(128)  # 127.5, and the half that rounds
    return _interleaved(list(normal.astype(np.uint8)))


def occlusion_of(height: Field) -> Bytes:
    """Ambient occlusion (H, W): how far a place lies below the mean of its neighbourhoods, one factor a radius.

    A neighbourhood is 5 x 5 places, at -r, -r/2, 0, r/2 and r along each axis.
    """
    (high, wide), margin = height.shape, max(OCCLUSION_RADII)
    around = _wrapped(height, margin)
    here = height * np.float32(OCCLUSION_STRENGTH)
    shut = np.ones_like(height)
    for far in OCCLUSION_RADII:
        near = max(1, far // 2)
        starts = [margin + offset for offset in (0, -near, near, -far, far)]
        rows = _sum([around[at : at + high] for at in starts])
        below = _sum([rows[:, at : at + wide] for at in starts])
        below *= np.float32(OCCLUSION_STRENGTH / 25)
        below -= here
        np.maximum(below, np.float32(0), out=below)
        below += np.float32(1)
        shut *= below
    return quantise(np.float32(1) / shut)


def _wrapped(field: Field, by: int) -> Field:
    """The field (H, W) with `by` places of its other end on each side, (H + 2 by, W + 2 by)."""
    high, wide = field.shape
    around = np.empty((high + 2 * by, wide + 2 * by), np.float32)
    inside = around[:, by:-by]
    inside[by:-by], inside[:by], inside[-by:] = field, field[-by:], field[:by]
    around[:, :by], around[:, -by:] = inside[:, -by:], inside[:, :by]
    return around


def _smoothed(before: Field, here: Field, after: Field) -> Field:
    total: Field = here * np.float32(2)
    total += before
    total += after
    return total


def _sum(fields: Sequence[Field]) -> Field:
    total: Field = fields[0] + fields[1]
    for field in fields[2:]:
        total += field
    return total


def _interleaved(planes: Sequence[Bytes]) -> Bytes:
    """(H, W, n) of n planes (H, W); three strided copies, where numpy's stack takes twice as long."""
    out = np.empty((*planes[0].shape, len(planes)), np.uint8)
    for channel, plane in enumerate(planes):
        out[..., channel] = plane
    return out
