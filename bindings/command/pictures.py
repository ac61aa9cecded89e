"""Pictures from files, for requests that start from one, keep parts of one, or show the network one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...assets.refusal import Refusal
from ...assets.store import Store, default_folder
from ...runtime.pictures import attached, detached, digests_in, shelf_beside
from .records import find

MODES = {"L": "L", "RGB": "RGB", "1": "L", "P": "RGB"}
"""Of a file to what it is read as: grey or colours in 8 bits."""
DEEP = ("I;16", "I", "F")
"""Grey in more than 8 bits: as float32, where 65535 is 1."""


def picture(text: str, field: str) -> NDArray[Any]:
    """The picture in a file, uint8 (H, W) or (H, W, 3), or float32 of more than 8 bits; the array in a .npy file."""
    path = Path(text)
    try:
        if path.suffix == ".npy":
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        with Image.open(path) as opened:
            if opened.mode in DEEP:
                return (np.asarray(opened, np.float32) / np.float32(65535)).clip(0.0, 1.0)
            if opened.mode not in MODES:
                sentence = f"{path} is a picture of mode {opened.mode}"
                raise Refusal("unsupported", field, sentence, "save it as grey or RGB, without transparency")
            return np.asarray(opened.convert(MODES[opened.mode]))
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise Refusal(
            "missing", field, f"{path} cannot be read as a picture ({error})", "give a PNG or .npy"
        ) from error


def start_from(text: str) -> Any:
    """What --image names: a recipe, or where there is none beside a file its picture."""
    path = Path(text)
    if path.is_file() and path.suffix != ".json" and not path.with_suffix(".json").is_file():
        return picture(text, "image")
    return find(text)["recipe"]


def mask(text: str | None) -> Any:
    """What --mask names: numbers as they are, or where it is a file the rows of its picture, 1 where that is bright."""
    if text is None or not Path(text).is_file():
        return text
    shown = picture(text, "mask")
    bright = shown >= (128 if shown.dtype == np.uint8 else 0.5)
    return bright if bright.ndim == 2 else bright.any(2)


def inputs(named: Sequence[str] | None) -> dict[str, Any] | None:
    """What --input names: NAME=NUMBER, or NAME=FILE of a picture."""
    if not named:
        return None
    given: dict[str, Any] = {}
    for text in named:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Refusal("type", "input", f"{text!r} is no NAME=VALUE", "write --input depth=depth.png")
        try:
            given[name] = float(value)
        except ValueError:
            given[name] = picture(value, f"inputs.{name}")
    return given


def with_arrays(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with the arrays that it names, as far as this machine has kept them; those it brings are kept."""
    told, arrays = detached(asked)
    named = list(digests_in(told))
    if not named:
        return asked
    shelf = shelf_beside(Store(default_folder() / "store"))
    with contextlib.suppress(OSError):
        for array in arrays.values():
            shelf.keep(array)
    for digest in named:
        with contextlib.suppress(Refusal):  # then the server may have it
            arrays.setdefault(digest, shelf.get(digest))
    return attached(told, arrays)
