"""Maps as image files: PNG, and DDS or KTX2 uncompressed with all mips. The same pixels give the same bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from .mips import chain
from .refusal import Unknown

Bytes = NDArray[np.uint8]
Frames = tuple[int, int]


def encode(name: str, image: Bytes, format: str, frames: Frames = (1, 1)) -> bytes:
    """A map (H, W), (H, W, 3) or (H, W, 4) as a file; `name` says whether it is colour (albedo: sRGB), a normal, or data.

    `frames` are the rows and columns of a sheet, whose mips end before they would mix two.
    """
    if format not in FORMATS:
        raise Unknown("format", format, FORMATS)
    return FORMATS[format](name, np.ascontiguousarray(image), frames)


def _png(name: str, image: Bytes, frames: Frames) -> bytes:
    """Colour says sRGB. Data says nothing: a truthful gAMA of 1 makes engines convert it on import.

    [https://github.com/godotengine/godot/issues/114654]
    """
    chunks = PngImagePlugin.PngInfo()
    if name == "albedo":
        chunks.add(b"sRGB", b"\x00")
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", compress_level=6, pnginfo=chunks)
    return out.getvalue()


def _texels(image: Bytes) -> Bytes:
    """One channel as it is, three with an opaque fourth."""
    if image.ndim == 2 or image.shape[-1] == 4:
        return image
    return np.concatenate([image, np.full((*image.shape[:2], 1), 255, np.uint8)], axis=-1)


_VULKAN = {(1, False): 9, (4, False): 37, (4, True): 43}  # R8_UNORM, R8G8B8A8_UNORM, R8G8B8A8_SRGB


def _dds(name: str, image: Bytes, frames: Frames) -> bytes:
    """Microsoft's DDS [https://learn.microsoft.com/windows/win32/direct3ddds/dx-graphics-dds-pguide].

    Four channels have the DX10 header, which says sRGB or linear; one channel is the older luminance, which more readers know.
    """
    levels = chain(name, image, frames)
    height, width = image.shape[:2]
    texel = 1 if image.ndim == 2 else 4
    flags = 0x1 | 0x2 | 0x4 | 0x8 | 0x1000 | 0x20000  # caps, height, width, pitch, pixel format, mip count
    pixel_format = struct.pack("<II4s5I", 32, 0x20000, b"", 8, 255, 0, 0, 0)  # luminance
    dx10 = b""
    if texel == 4:
        pixel_format = struct.pack("<II4s5I", 32, 0x4, b"DX10", 0, 0, 0, 0, 0)
        dx10 = struct.pack("<5I", 29 if name == "albedo" else 28, 3, 0, 1, 0)  # R8G8B8A8_UNORM_SRGB, R8G8B8A8_UNORM
    head = struct.pack("<4s7I44x", b"DDS ", 124, flags, height, width, width * texel, 0, len(levels)) + pixel_format
    caps = struct.pack("<5I", 0x1000 | 0x8 | 0x400000, 0, 0, 0, 0)
    return head + caps + dx10 + b"".join(_texels(level).tobytes() for level in levels)


def _ktx2(name: str, image: Bytes, frames: Frames) -> bytes:
    """Khronos KTX 2.0 [https://registry.khronos.org/KTX/specs/2.0/ktxspec.v2.html], smallest level first in the file."""
    data = [_texels(level).tobytes() for level in chain(name, image, frames)]
    height, width = image.shape[:2]
    texel, srgb = (1 if image.ndim == 2 else 4), name == "albedo" and image.ndim == 3
    descriptor = _data_format(texel, srgb)
    facts = b"".join(_entry(key, value) for key, value in ((b"KTXorientation", b"rd"), (b"KTXwriter", b"cadenza")))
    index_end = 80 + 24 * len(data)
    offsets, at = {}, index_end + len(descriptor) + len(facts)
    for level in reversed(range(len(data))):
        at += -at % 4
        offsets[level] = at
        at += len(data[level])
    head = b"\xabKTX 20\xbb\r\n\x1a\n" + struct.pack(
        "<9I", _VULKAN[texel, srgb], 1, width, height, 0, 0, 1, len(data), 0
    )
    head += struct.pack("<4I2Q", index_end, len(descriptor), index_end + len(descriptor), len(facts), 0, 0)
    index = b"".join(struct.pack("<3Q", offsets[i], len(d), len(d)) for i, d in enumerate(data))
    out = bytearray(head + index + descriptor + facts)
    for level in reversed(range(len(data))):
        out += bytes(offsets[level] - len(out)) + data[level]
    return bytes(out)


def _entry(key: bytes, value: bytes) -> bytes:
    """A key and its value, with its length before and zeros up to the next multiple of 4 behind."""
    text = key + b"\0" + value + b"\0"
    return struct.pack("<I", len(text)) + text + bytes(-len(text) % 4)


def _data_format(texel: int, srgb: bool) -> bytes:
    """A basic data format descriptor: RGB model, BT.709 primaries, sRGB or linear transfer, a sample a channel."""
    channels = (0,) if texel == 1 else (0, 1, 2, 15 | (0x10 if srgb else 0))  # alpha is linear
    samples = b"".join(struct.pack("<HBB4xII", 8 * i, 7, c, 0, 255) for i, c in enumerate(channels))
    size = 24 + len(samples)
    block = struct.pack("<IHH4B4B8B", 0, 2, size, 1, 1, 2 if srgb else 1, 0, 0, 0, 0, 0, texel, *[0] * 7)
    return struct.pack("<I", 4 + size) + block + samples


FORMATS: dict[str, Callable[[str, Bytes, Frames], bytes]] = {"png": _png, "dds": _dds, "ktx2": _ktx2}
