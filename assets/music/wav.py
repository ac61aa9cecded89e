"""WAV files that say where they loop and where their bars begin: float32, 24 or 16 bit, two channels.

RIFF by Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991; the `smpl` chunk is in its addition
New Multimedia Data Types and Data Techniques, 1994. Engines and samplers read the loop from `smpl`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..refusal import OutOfRange, Refusal
from .signal import Wave, white

BITS = (32, 24, 16)
"""32 is float32, the samples as they are; 24 and 16 are integers."""


def wav(sound: Wave, rate: int, bits: int = 32, loop: bool = True, cues: Sequence[int] = ()) -> bytes:
    """A file of float32 (frames, channels); what loops says so, and its loop is the whole. `cues` are samples with a cue point."""
    frames, channels = sound.shape
    payload = samples(sound, bits).tobytes()
    form = 3 if bits == 32 else 1
    width = bits // 8
    head = struct.pack("<HHIIHH", form, channels, rate, rate * channels * width, channels * width, bits)
    if form == 3:
        head += struct.pack("<H", 0)
    whole = struct.pack("<6I", 0, 0, 0, frames - 1, 0, 0)  # forward, the last sample included, for ever
    sampler = struct.pack("<9I", 0, 0, round(1e9 / rate), 60, 0, 0, 0, 1, 0) + whole
    chunks = _chunk(b"fmt ", head)
    if form == 3:
        chunks += _chunk(b"fact", struct.pack("<I", frames))
    if loop:
        chunks += _chunk(b"smpl", sampler)
    if cues:
        points = [struct.pack("<II4sIII", k + 1, at, b"data", 0, 0, at) for k, at in enumerate(cues)]
        chunks += _chunk(b"cue ", struct.pack("<I", len(cues)) + b"".join(points))
    chunks += _chunk(b"data", payload)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def samples(sound: Wave, bits: int) -> NDArray[Any]:
    """Little-endian samples (frames, 2), of 24 bits (frames, 2, 3) bytes. 16 bits are dithered by a triangle of two steps, always
    the same, so that the quiet end of a room does not turn into grit. Nothing is clipped: what would be is refused."""
    if bits not in BITS:
        raise OutOfRange("bits", bits, "32 (float), 24 or 16")
    if bits == 32:
        return np.ascontiguousarray(sound, "<f4")
    top = 2 ** (bits - 1)
    scaled = sound.astype(np.float64) * top
    if bits == 16:
        noise = [white(0xD17E + k, sound.size).reshape(sound.shape) for k in (0, 1)]
        scaled += 0.5 * (noise[0].astype(np.float64) + noise[1])
    whole = np.rint(scaled)
    if whole.min() < -top or whole.max() > top - 1:
        peak = float(np.abs(sound).max())
        raise Refusal(
            "clipped",
            "bits",
            f"a peak of {peak:.3f} does not fit into {bits} bits",
            "write 32 (float), or render at a lower loudness",
        )
    if bits == 16:
        return np.asarray(whole, "<i2")
    octets = np.ascontiguousarray(whole.astype("<i4")).view(np.uint8).reshape(*whole.shape, 4)
    return np.ascontiguousarray(octets[..., :3])


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
