"""Results to payload frames and back. Pixels are sent as they lie in memory and received without a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from msgspec import UNSET, to_builtins
from numpy.typing import NDArray

from ..assets.refusal import Corrupt, Unknown
from ..assets.texture import Texture
from ..runtime.pictures import DTYPES, digest_of
from .messages import Part, Result

if TYPE_CHECKING:
    from ..assets.flipbook import Flipbook
    from ..assets.sound import Sound
    from ..runtime.music.piece import Piece

COLOUR = ("albedo",)
"""Maps in sRGB; all others are linear data."""


@dataclass(frozen=True)
class EncodedTexture:
    """A texture that was asked for as files: `files` maps each map's name to the bytes of its file."""

    encoding: str
    files: Mapping[str, bytes]
    recipe: Mapping[str, Any]
    id: str
    digest: str  # of the raw pixels, the same in every encoding
    ignored: tuple[str, ...]
    made_by: Mapping[str, Any]
    milliseconds: Mapping[str, float]


def encodings() -> tuple[str, ...]:
    """raw: rows from the top left, channels interleaved; the others are files, DDS and KTX2 with all mips."""
    try:
        from ..assets.files import FORMATS
    except ModuleNotFoundError:  # an installation without the image library serves pixels only
        return ("raw",)
    return tuple(dict.fromkeys(("raw", *FORMATS)))


def check_encoding(encoding: object, valid: Sequence[str]) -> str:
    if encoding not in valid:
        raise Unknown("encoding", encoding, valid)
    return str(encoding)


def known_encoding(encoding: object) -> str:
    """The encoding, or a refusal; pixels are asked for without loading the library of image files."""
    return "raw" if encoding == "raw" else check_encoding(encoding, encodings())


def as_files(texture: Texture, encoding: str, names: Sequence[str] = ()) -> EncodedTexture:
    from ..assets.files import encode

    return EncodedTexture(
        encoding=encoding,
        files={name: encode(name, array, encoding) for name, array in texture.maps(names).items()},
        recipe=texture.recipe,
        id=texture.id,
        digest=texture.digest,
        ignored=tuple(texture.ignored),
        made_by=texture.made_by,
        milliseconds=texture.milliseconds,
    )


def pack(
    request: str, texture: Texture | Piece | Sound, encoding: str = "raw", names: Sequence[str] = ()
) -> tuple[Result, list[Any]]:
    """The header of a result and its payload frames (buffers): all maps, or those named; of sounds all parts."""
    maps = texture.maps(names)
    frames: list[Any]
    if encoding == "raw":
        frames = [_buffer(array) for array in maps.values()]
    else:
        frames = list(as_files(cast("Texture", texture), encoding, names).files.values())
    parts = [
        Part(
            name=name,
            encoding=encoding,
            dtype=_spelled(array.dtype),
            shape=array.shape,
            colour_space="srgb" if name in COLOUR else "linear",
            origin="top-left" if array.dtype == np.uint8 and array.ndim > 1 else "first",
            bytes=len(frame),
        )
        for (name, array), frame in zip(maps.items(), frames, strict=True)
    ]
    header = Result(
        request=request,
        id=texture.id,
        digest=texture.digest,
        recipe=dict(texture.recipe),
        ignored=list(texture.ignored),
        made_by=dict(texture.made_by),
        milliseconds=dict(texture.milliseconds),
        payload=parts,
        sample_rate_hz=getattr(texture, "rate", UNSET),
        sheet=to_builtins(texture.sheet) if hasattr(texture, "sheet") else UNSET,
    )
    return header, frames


def _buffer(array: NDArray[Any]) -> memoryview:
    """Its bytes, as they lie in memory."""
    return np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")


@cache
def _spelled(dtype: np.dtype[Any]) -> str:
    """numpy takes longer to spell a type than a frame takes to be sent."""
    return str(dtype)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[list[Part], list[Any]]:
    """Descriptions and frames of arrays by digest, which go behind a submit."""
    parts = [
        Part(
            name=digest,
            encoding="raw",
            dtype=array.dtype.name,
            shape=array.shape,
            colour_space="linear",
            origin="top-left",
            bytes=array.nbytes,
        )
        for digest, array in arrays.items()
    ]
    return parts, [array.reshape(-1).view(np.uint8).data for array in arrays.values()]


def unpack_arrays(parts: Sequence[Part], frames: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Arrays by digest, each checked against its own."""
    arrays = {}
    for part, frame in zip(parts, frames, strict=True):
        if (
            part.dtype not in DTYPES
            or not 1 <= len(part.shape) <= 3
            or prod(part.shape) * np.dtype(part.dtype).itemsize != len(frame)
        ):
            told = f"{part.dtype} {part.shape} in {len(frame)} bytes"
            raise Corrupt("payload", f"{told} is no array of uint8 or float32", "describe the frame as it is")
        array = np.frombuffer(frame, np.dtype(part.dtype).newbyteorder("<")).reshape(part.shape)
        if digest_of(array) != part.name:
            sentence = f"an array has the digest {digest_of(array)}, announced was {part.name[:64]}"
            raise Corrupt("payload", sentence, "name it by the SHA-256 that PROTOCOL.md describes")
        arrays[part.name] = array
    return arrays


def unpack(header: Result, frames: Sequence[Any], selected: bool = False) -> Texture | EncodedTexture | Piece | Sound:
    """The result of a header and its payload; raw pixels are checked against the digest, unless only some were asked for."""
    if len(frames) != len(header.payload):
        raise Corrupt("payload", f"{len(header.payload)} frames were announced, {len(frames)} came", "submit it again")
    for part, frame in zip(header.payload, frames, strict=True):
        if len(frame) != part.bytes:
            sentence = f"{part.bytes} bytes were announced, {len(frame)} came"
            raise Corrupt(f"payload.{part.name}", sentence, "submit it again")
    if any(part.encoding != "raw" for part in header.payload):
        return EncodedTexture(
            encoding=header.payload[0].encoding,
            files={part.name: bytes(frame) for part, frame in zip(header.payload, frames, strict=True)},
            recipe=header.recipe,
            id=header.id,
            digest=header.digest,
            ignored=tuple(header.ignored),
            made_by=header.made_by,
            milliseconds=header.milliseconds,
        )
    if header.recipe.get("kind") == "music":
        return _piece(header, frames, selected)
    if header.recipe.get("kind") in ("sound", "flipbook", "musicgen"):
        return _with_facts(header, frames, selected)
    return _texture(header, {p.name: _array(p, f) for p, f in zip(header.payload, frames, strict=True)}, selected)


def _texture(header: Result, maps: Mapping[str, NDArray[np.uint8]], selected: bool) -> Texture:
    texture = Texture(
        maps=maps,
        recipe=header.recipe,
        id=header.id,
        ignored=tuple(header.ignored),
        made_by=header.made_by,
        milliseconds=header.milliseconds,
        digest=header.digest if selected else None,
    )
    if texture.digest != header.digest:
        raise Corrupt("payload", f"has the digest {texture.digest}, announced was {header.digest}", "submit it again")
    return texture


def _arrays(header: Result, frames: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Parts of samples and of bytes."""
    arrays = {}
    for part, frame in zip(header.payload, frames, strict=True):
        if part.dtype not in ("float32", "uint8") or prod(part.shape) * np.dtype(part.dtype).itemsize != part.bytes:
            sentence = f"{part.dtype} {part.shape} in {part.bytes} bytes cannot be read"
            raise Corrupt(f"payload.{part.name}", sentence, "install a newer client")
        arrays[part.name] = np.frombuffer(frame, part.dtype).reshape(part.shape)
        arrays[part.name].flags.writeable = False
    return arrays


def _with_facts(header: Result, frames: Sequence[Any], selected: bool) -> Sound | Flipbook:
    """A sound or a flipbook, whose part `facts` says how to use the others; checked against the digest as all are."""
    from ..assets import flipbook, sound

    arrays = _arrays(header, frames)
    if header.recipe["kind"] == "flipbook":
        return flipbook.read(arrays, lambda maps: _texture(header, maps, selected))
    told = dict(recipe=header.recipe, id=header.id, made_by=header.made_by, milliseconds=header.milliseconds)
    made = sound.read(arrays, ignored=tuple(header.ignored), **told)
    if made.digest != header.digest:
        raise Corrupt("payload", f"has the digest {made.digest}, announced was {header.digest}", "submit it again")
    return made


def _piece(header: Result, frames: Sequence[Any], selected: bool) -> Piece:
    """Samples are checked against the digest, unless only some parts were asked for."""
    from ..runtime.music.piece import Piece, read

    arrays = _arrays(header, frames)
    if "score" not in arrays:
        raise Corrupt("payload", "has no score", "install a newer server")
    music = read(arrays)
    if not selected and music.digest != header.digest:
        raise Corrupt("payload", f"has the digest {music.digest}, announced was {header.digest}", "submit it again")
    return Piece(
        music=music,
        recipe=header.recipe,
        id=header.id,
        digest=header.digest,
        ignored=tuple(header.ignored),
        made_by=header.made_by,
        milliseconds=header.milliseconds,
    )


def _array(part: Part, frame: Any) -> NDArray[np.uint8]:
    if part.dtype != "uint8" or part.origin != "top-left" or prod(part.shape) != part.bytes:
        sentence = f"{part.dtype} {part.shape} from {part.origin} in {part.bytes} bytes cannot be read"
        raise Corrupt(f"payload.{part.name}", sentence, "install a newer client")
    array = np.frombuffer(frame, np.uint8).reshape(part.shape)
    array.flags.writeable = False
    return array
