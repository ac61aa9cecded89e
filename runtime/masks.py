"""Masks of what is made anew in an image: a rectangle, or any shape, cell by cell of the latent.

A shape is written into a recipe as hexadecimal digits: one bit a cell, row by row from the top left corner, the first bit the
highest of its digit, the last digit filled up with zeros. 512 x 512 pixels of 8 a cell are 1,024 digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..assets.refusal import OutOfRange, Refusal, WrongType

Mask = tuple[int, int, int, int] | str
FORMS = "x, y, width, height in pixels; rows of 0 and 1, one a pixel or latent cell; or such rows as hexadecimal digits"


def check_mask(value: Any, size: tuple[int, int], factor: int) -> Mask | None:
    """As a recipe has it, from any of the FORMS; `size` is width and height in pixels. Where a pixel is made anew its cell is."""
    if value is None:
        return None
    if isinstance(value, str):
        return _of_digits(value, size, factor)
    shape = np.shape(value) if isinstance(value, np.ndarray | list | tuple) and _is_regular(value) else ()
    if len(shape) == 2:
        return _of_rows(np.asarray(value), size, factor)
    whole = isinstance(value, list | tuple) and all(type(each) is int for each in value)
    if not whole or len(value) != 4:
        raise WrongType("mask", value, FORMS)
    fits = 0 <= value[0] < size[0] and 0 <= value[1] < size[1] and 0 < value[2] <= size[0] and 0 < value[3] <= size[1]
    if not fits or any(each % factor for each in value):
        raise OutOfRange("mask", list(value), f"multiples of {factor}, a corner inside and a size up to the image's")
    return tuple(value)


def digits_of(rows: ArrayLike) -> str:
    """Rows (height, width), 1 where something is made anew, as hexadecimal digits."""
    bits = (_truths(np.asarray(rows)) != 0).reshape(-1)
    return np.packbits(bits).tobytes().hex()[: -(-bits.size // 4)]


CELLS = 1 << 14
"""More than a latent of any picture here has, and few enough to be sent row by row."""


def sent_as(mask: NDArray[Any], size: tuple[int, int] | None) -> str | list[list[int]]:
    """A mask that is an array as a message has it: digits where it has a row for each line of pixels of `size`, width and
    height. Else its rows: digits say nothing of a shape, so whoever knows the latent's cells could not tell what is wrong."""
    if mask.ndim != 2:
        raise WrongType("mask", mask, FORMS)
    if size is not None and mask.shape == size[::-1]:
        return digits_of(mask)
    if mask.size > CELLS:
        told = f"{mask.shape[0]} rows of {mask.shape[1]}"
        valid = "a row for each line of pixels" if size is None else f"{size[1]} rows of {size[0]} pixels"
        raise OutOfRange("mask", told, f"{valid}, or fewer of latent cells", "name the size, or cut the mask to it")
    rows: list[list[int]] = (_truths(mask) != 0).astype(int).tolist()
    return rows


def cells_of(mask: Mask, height: int, width: int, factor: int) -> NDArray[np.float32]:
    """(1, height, width) cells of the latent: 1 is made anew, 0 stays the image's. A rectangle wraps across the edges."""
    cells = np.zeros((1, height, width), np.float32)
    if isinstance(mask, str):
        cells[0] = _bits(mask, height * width).reshape(height, width)
        return cells
    x, y, wide, high = (value // factor for value in mask)
    cells[:, (y + np.arange(high))[:, None] % height, (x + np.arange(wide)) % width] = 1.0
    return cells


def _bits(digits: str, count: int) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits + "0" * (len(digits) % 2)), np.uint8))[:count]


def _of_digits(digits: str, size: tuple[int, int], factor: int) -> str:
    width, height = size
    cells = (height // factor, width // factor)
    by_length = {-(-h * w // 4): (h, w) for h, w in ((height, width), cells)}
    if len(digits) not in by_length:
        lengths = " or ".join(map(str, sorted(by_length)))
        raise OutOfRange(
            "mask", f"a text of {len(digits)}", f"{lengths} hexadecimal digits for {width} x {height} pixels"
        )
    if any(each not in "0123456789abcdef" for each in digits):
        raise WrongType("mask", digits[:20], "hexadecimal digits, 0 to 9 and a to f")
    h, w = by_length[len(digits)]
    return _of_rows(_bits(digits, h * w).reshape(h, w), size, factor)


def _of_rows(rows: NDArray[Any], size: tuple[int, int], factor: int) -> str:
    rows = _truths(rows)
    pixels, cells = (size[1], size[0]), (size[1] // factor, size[0] // factor)
    if rows.shape == pixels:
        rows = np.asarray(rows.reshape(cells[0], factor, cells[1], factor).any(axis=(1, 3)))
    if rows.shape != cells:
        expected = f"{pixels[0]} rows of {pixels[1]} pixels, or {cells[0]} rows of {cells[1]} latent cells"
        raise OutOfRange("mask", f"{rows.shape[0]} rows of {rows.shape[1]}", expected)
    if not rows.any():
        raise Refusal(
            "contradiction", "mask", "makes nothing anew", "set what is to change to 1, or leave the mask out"
        )
    return digits_of(rows)


def _truths(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows, if all of them are 0 or 1."""
    if rows.dtype.kind not in "buif" or not np.all((rows == 0) | (rows == 1)):
        expected = "zeros and ones, or truth values: a cell is made anew or is not"
        raise WrongType("mask", f"rows of {rows.dtype}", expected)
    return rows


def _is_regular(value: Any) -> bool:
    """Whether numpy makes an array of numbers of it."""
    if isinstance(value, np.ndarray):
        return True
    rows = [each for each in value if isinstance(each, Sequence) and not isinstance(each, str)]
    return len(rows) == len(value) > 0 and len({len(row) for row in rows}) == 1
