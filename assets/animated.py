"""Frames as one file that plays: GIF for anywhere, APNG for every colour. The same frames give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .refusal import OutOfRange, Unknown

GIF_RATE = 50.0
"""Frames a second, at most: a delay below two hundredths of a second is shown as ten by most viewers."""


def animate(frames: NDArray[np.uint8], rate: float, format: str) -> bytes:
    """sRGB frames (N, H, W, 3) at `rate` frames a second, again and again, as a file of ANIMATIONS."""
    if format not in ANIMATIONS:
        raise Unknown("format", format, ANIMATIONS)
    return ANIMATIONS[format]([Image.fromarray(np.ascontiguousarray(frame)) for frame in frames], rate)


def _delays(count: int, rate: float, unit: int) -> list[int]:
    """Whole units (`unit` a second) that each frame stays; rounded so that no error adds up."""
    ends = [round(unit * number / rate) for number in range(count + 1)]
    return [end - begin for begin, end in zip(ends, ends[1:], strict=False)]


def _gif(frames: list[Image.Image], rate: float) -> bytes:
    """256 colours a frame, without a dither that would flicker."""
    if rate > GIF_RATE:
        raise OutOfRange("format", "gif", f"for at most {GIF_RATE:g} frames a second", f"write apng for {rate:g}")
    paletted = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    out = io.BytesIO()
    delays = [10 * hundredths for hundredths in _delays(len(frames), rate, 100)]
    paletted[0].save(out, "GIF", save_all=True, append_images=paletted[1:], duration=delays, loop=0, disposal=1)
    return out.getvalue()


def _apng(frames: list[Image.Image], rate: float) -> bytes:
    out = io.BytesIO()
    frames[0].save(
        out, "PNG", save_all=True, append_images=frames[1:], duration=_delays(len(frames), rate, 1000), loop=0
    )
    return out.getvalue()


ANIMATIONS: dict[str, Callable[[list[Image.Image], float], bytes]] = {"gif": _gif, "apng": _apng}
