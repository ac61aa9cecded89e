"""Pictures from files, for requests that start from one, keep parts of one, or show the network one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...assets.refusal import OutOfRange, Refusal
from ...assets.store import Store, default_folder
from ...runtime.pictures import attached, detached, digests_in, read_npy, shelf_beside
from .records import as_written, find, record_of

MODES = {"L": "L", "RGB": "RGB", "1": "L", "P": "RGB"}
"""Of a file to what it is read as: grey or colours in 8 bits."""
DEEP = {"I;16": 65535, "I;16B": 65535, "I": 65535, "F": 1}
"""Grey in more than 8 bits, read as float32, and the number that is 1 there: numbers with a point are what they say."""


def picture(text: str, field: str) -> NDArray[Any]:
    """The picture in a file, uint8 (H, W) or (H, W, 3), or float32 of more than 8 bits; the array in a .npy file."""
    path = Path(text)
    try:
        if path.suffix == ".npy":
            return read_npy(path)
        with Image.open(path) as opened:
            opened.load()
            return _pixels(opened, path, field)
    except Refusal:
        raise
    except Exception as error:  # Pillow's decoders stumble over damaged files in many ways
        code = "corrupt" if path.is_file() else "missing"
        raise Refusal(code, field, f"{path} cannot be read as a picture ({error})", "give a PNG or .npy") from error


def _pixels(opened: Image.Image, path: Path, field: str) -> NDArray[Any]:
    palette = opened.palette
    transparent = "transparency" in opened.info or (palette is not None and palette.mode.endswith("A"))
    if transparent or opened.mode not in (*MODES, *DEEP):
        clear = " with a transparent colour" if transparent else ""
        sentence = f"{path} is a picture of mode {opened.mode}{clear}"
        raise Refusal("unsupported", field, sentence, "save it as grey or RGB, without transparency")
    if opened.mode in MODES:
        return np.asarray(opened.convert(MODES[opened.mode]))
    grey, most = np.asarray(opened), DEEP[opened.mode]
    if not (grey.min() >= 0 and grey.max() <= most):
        found = f"{path}, mode {opened.mode}, from {grey.min():g} to {grey.max():g}"
        raise OutOfRange(field, found, f"0 to {most}", "save it in 8 or 16 bits, or scale it")
    return grey.astype(np.float32) / np.float32(most)


def start_from(text: str) -> Any:
    """What --image names: a recipe, or where there is none beside a file its picture."""
    path = Path(text)
    if path.is_file() and path.suffix != ".json" and record_of(path) is None:
        return picture(text, "image")
    try:
        record = find(text)
    except Refusal as refusal:
        field = "image" if refusal.field == "recipe" else refusal.field
        raise Refusal(refusal.code, field, refusal.sentence, refusal.remedy) from refusal
    if as_written(text, record) is False:  # whoever painted over it does not mean what its recipe makes
        sentence = f"{path.name} was changed since it was made, and its record makes what it was"
        raise Refusal(
            "differs",
            "image",
            sentence,
            "give a copy of another name for its pixels, or the record for those of before",
        )
    return record["recipe"]


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
    for array in arrays.values():
        shelf.keep(array)
    for digest in named:
        with contextlib.suppress(Refusal):  # then the server may have it
            arrays.setdefault(digest, shelf.get(digest))
    return attached(told, arrays)
