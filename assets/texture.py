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


def _number(value: float) -> Field:
    """A constant as an array without axes, which numpy takes in half the time of a scalar."""
    return np.array(value, np.float32)


_ZERO, _HALF, _ONE, _TWO, _TOP = map(_number, (0, 0.5, 1, 2, 255))
_SLOPE, _MIDDLE, _ROUNDED = map(_number, (NORMAL_STRENGTH / 8, 127.5, 128))  # 128: the middle, and the half that rounds
_HERE, _AROUND = map(_number, (OCCLUSION_STRENGTH, OCCLUSION_STRENGTH / 25))


def quantise(field: Field) -> Bytes:
    """[0, 1] to 0..255, rounded half up; what lies outside goes to the ends."""
    inside: Field = field.clip(_ZERO, _ONE)
    inside *= _TOP
    inside += _HALF
    return inside.astype(np.uint8)


def derive(decoded: Field, names: Sequence[str]) -> dict[str, Bytes]:
    """All maps from the decoder's (M, H, W) in [0, 1]; normals and occlusion come from the height."""
    at = dict(zip(names, quantise(decoded), strict=False))
    height = decoded[names.index("height")]
    maps = {
        "albedo": _interleaved([at[f"albedo.{c}"] for c in "rgb"]),
        "normal": normals_of(height),
        "height": at["height"],
        "roughness": at["roughness"],
        "metallic": at["metallic"],
        "occlusion": occlusion_of(height),
    }
    for each in maps.values():
        each.flags.writeable = False  # several may hold it
    return maps


# Below, neighbours are reached by shifting whole wrapped fields, flat and with their margins: a pass over one long row is
# three times as quick as one over many short ones. What is computed in the margins is not used.


def normals_of(height: Field) -> Bytes:
    """Tangent-space normals (H, W, 3), OpenGL: x right, y up, by periodic Sobel differences; 0 is the byte 128."""
    high, wide = height.shape
    pitch = wide + 2
    around = _wrapped(height, 1).reshape(-1)
    places = high * pitch - 2
    planes = np.empty((3, high * pitch), np.float32)
    normal = planes[:, :places]
    x, y, z = normal
    across = _smoothed(around[: -2 * pitch], around[pitch:-pitch], around[2 * pitch :])
    np.subtract(across[:-2], across[2:], out=x)
    along = _smoothed(around[:-2], around[1:-1], around[2:])
    np.subtract(along[2 * pitch :], along[: -2 * pitch], out=y)  # rows go down, y goes up
    normal[:2] *= _SLOPE
    np.multiply(x, x, out=z)
    z += np.multiply(y, y, out=across[:places])
    z += _ONE
    np.sqrt(z, out=z)
    np.divide(_MIDDLE, z, out=z)
    normal[:2] *= z
    normal += _ROUNDED
    return _interleaved(list(planes.reshape(3, high, pitch)[:, :, :wide]))


def occlusion_of(height: Field) -> Bytes:
    """Ambient occlusion (H, W): how far a place lies below the mean of its neighbourhoods, one factor a radius.

    A neighbourhood is 5 x 5 places, at -r, -r/2, 0, r/2 and r along each axis.
    """
    (high, wide), margin = height.shape, max(OCCLUSION_RADII)
    pitch = wide + 2 * margin
    around = _wrapped(height, margin).reshape(-1)
    size = high * pitch
    places = size - 2 * margin
    here = around[margin * (pitch + 1) :][:places] * _HERE
    nothing = np.zeros(places, np.float32)  # a maximum with a constant would take three times as long
    rows, below, shut = np.empty(size, np.float32), np.empty(places, np.float32), np.empty(places, np.float32)
    for factor, far in enumerate(OCCLUSION_RADII):
        near = max(1, far // 2)
        starts = [margin + offset for offset in (0, -near, near, -far, far)]
        _sum([around[at * pitch :][:size] for at in starts], rows)
        total = below if factor else shut
        _sum([rows[at:][:places] for at in starts], total)
        total *= _AROUND
        total -= here
        np.maximum(total, nothing, out=total)
        total += _ONE
        if factor:
            shut *= total
    np.divide(_ONE, shut, out=shut)
    shut *= _TOP  # of what lies above 0 and at most at 1: as `quantise`
    shut += _HALF
    light = np.empty(size, np.uint8)
    light[:places] = shut
    return light.reshape(high, pitch)[:, :wide].copy()


def _wrapped(field: Field, by: int) -> Field:
    """The field (H, W) with `by` places of its other end on each side, (H + 2 by, W + 2 by)."""
    high, wide = field.shape
    around = np.empty((high + 2 * by, wide + 2 * by), np.float32)
    inside = around[:, by:-by]
    inside[by:-by], inside[:by], inside[-by:] = field, field[-by:], field[:by]
    around[:, :by], around[:, -by:] = inside[:, -by:], inside[:, :by]
    return around


def _smoothed(before: Field, here: Field, after: Field) -> Field:
    total: Field = here * _TWO
    total += before
    total += after
    return total


def _sum(fields: Sequence[Field], out: Field) -> None:
    np.add(fields[0], fields[1], out=out)
    for field in fields[2:]:
        out += field


def _interleaved(planes: Sequence[Bytes] | Sequence[Field]) -> Bytes:
    """(H, W, n) of n planes (H, W), of reals what is whole of them; numpy's stack takes twice as long."""
    out = np.empty((*planes[0].shape, len(planes)), np.uint8)
    for channel, plane in enumerate(planes):
        out[..., channel] = plane
    return out
