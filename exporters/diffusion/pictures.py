"""What a bundle paints beside what diffusers paints: as numbers for the report, as a picture for people."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ...assets.refusal import Refusal
from .parts import Parts
from .video import sheet

Array = NDArray[np.float32]
LOUDER = 20.0
"""What a difference is multiplied by, to be seen."""
SHOWN, TITLE = 256, 20
"""Pixels a picture is high at least, and those of the words above it."""
DARKEST = 1 / 255


def as_maps(parts: Parts, result: NDArray[np.float32]) -> Array:
    """A pipeline's result of output "np" laid out as a decode graph's first maps (1, M, H, W)."""
    if parts.kind == "sound":
        return result[:, :, None]
    if parts.frames == 1:
        return result.transpose(0, 3, 1, 2)
    rows, columns = sheet(parts.frames)
    _, _, height, width, colours = result.shape
    laid = result.reshape(rows, columns, height, width, colours).transpose(4, 0, 2, 1, 3)
    return laid.reshape(1, colours, rows * height, columns * width)


def check_painted(maps: Array, parts: Parts) -> None:
    """Refuses what an overflow leaves: numbers that are not finite, or a picture that is black all over."""
    what = "sound" if parts.kind == "sound" else "picture"
    if not np.isfinite(maps).all():
        raise Refusal("diverged", "decoded", f"the {what} has numbers that are not finite", "export with fp32 or bf16")
    if parts.kind != "sound" and maps[:, :3].max() <= DARKEST:
        raise Refusal("diverged", "decoded", "the picture is black", "export with fp32 or bf16, or another --vae")


def side_by_side(ours: Array, theirs: Array) -> bytes:
    """A PNG with a line of words above each: ours, diffusers', and the difference of both, 20 times; (1, 3, H, W) in [0, 1]."""
    apart = np.clip(LOUDER * np.abs(ours - theirs), 0.0, 1.0)
    titles = ("this bundle", "diffusers", f"difference x {LOUDER:g}")
    larger = max(1, -(-SHOWN // ours.shape[2]))
    width, height = larger * ours.shape[3], larger * ours.shape[2]
    sheet = Image.new("RGB", (3 * width, height + TITLE), "white")
    for number, (title, picture) in enumerate(zip(titles, (ours, theirs, apart), strict=True)):
        pixels = np.rint(255 * np.clip(picture[0].transpose(1, 2, 0), 0.0, 1.0)).astype(np.uint8)
        sheet.paste(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (number * width, TITLE))
        ImageDraw.Draw(sheet).text((number * width + 4, 3), title, "black", ImageFont.load_default(13))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()
