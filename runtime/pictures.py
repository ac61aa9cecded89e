"""Arrays that requests bring along: pictures of a game, and numbers that stand for one. A recipe names them by their digest.

The digest is the SHA-256 of a line of ASCII, such as "uint8 128x64x3" with its line feed, and the bytes row by row, numbers
little-endian. So a recipe stays short and says all, and whoever makes it again must bring the array, or have kept it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..assets.refusal import Corrupt, OutOfRange, Refusal, WrongType
from ..assets.store import Store, write_whole
from .masks import sent_as

Array = NDArray[Any]
LIMIT = 256 << 20
"""Bytes of arrays that are kept in memory; who has not been asked for longest goes first."""
ARRAY_LIMIT = 4 << 20
"""Bytes of one array: 1024 x 1024 pixels of three colours in 8 bits, or of one float32."""
DTYPES = ("uint8", "float32")
USUAL_SIDE = 128
"""Pixels of a request that names no size."""
HEX = frozenset("0123456789abcdef")
REPLACE = "delete it and send the array itself in place of its digest"


def is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


def is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= HEX


def digest_of(array: Array) -> str:
    line = f"{array.dtype.name} {'x'.join(map(str, array.shape))}\n"
    return hashlib.sha256(line.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def check_array(array: Array, field: str) -> Array:
    """The array as it is kept: its own copy, row by row, that nobody writes to."""
    if array.dtype.name not in DTYPES or not 1 <= array.ndim <= 3 or array.size == 0:
        told = f"{array.dtype} of shape {array.shape}"
        raise WrongType(field, told, "an array of uint8 (0 to 255) or float32 with one to three axes")
    if array.nbytes > ARRAY_LIMIT:
        raise OutOfRange(field, f"{array.nbytes} bytes", f"at most {ARRAY_LIMIT}")
    copy = np.array(array, array.dtype.newbyteorder("<"), order="C")
    if copy.dtype == np.float32 and not np.isfinite(copy).all():
        raise OutOfRange(field, "an array with numbers that are not finite", "finite numbers")
    copy.flags.writeable = False
    return copy


def read_npy(path: Path) -> Array:
    """The array in a .npy file; ValueError where it holds none, whatever is wrong with it."""
    with path.open("rb") as file:
        try:
            array: Array = npy.read_array(file, allow_pickle=False)
        except Exception as error:  # numpy stumbles over damaged headers in many ways
            raise ValueError(f"no .npy file, or a damaged one: {error}") from error
    return array


class Shelf:
    """Arrays by digest, in memory and, with a folder, on disk. May be used from any thread."""

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self._folder, self._limit, self._bytes = folder, limit, 0
        self._kept: OrderedDict[str, Array] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, array: Array, field: str = "image") -> str:
        """Puts an array here and gives its digest."""
        array = check_array(array, field)
        digest = digest_of(array)
        if not self._hold(digest, array) and self._folder is not None:
            self._write(self._folder, digest, array)
        return digest

    def find(self, digest: str) -> Array | None:
        """The array of a digest, if it is in memory."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)

    def get(self, digest: str, field: str = "image") -> Array:
        """The array of a digest, or a refusal that names the field."""
        found = self.find(digest)
        if found is not None:
            return found
        path = None if self._folder is None else self._folder / f"{digest}.npy"
        if path is None or not path.is_file():
            sentence = f"the array {digest[:12]} is not here any more, or never was"
            raise Refusal("missing", field, sentence, "send the array itself in place of its digest")
        try:
            array = check_array(read_npy(path), field)
        except ValueError as error:  # a Refusal is one, too: what was kept here was checked when it came
            raise Corrupt(field, f"{path} is no array that was kept here ({error})", REPLACE) from error
        if digest_of(array) != digest:
            raise Corrupt(field, f"{path} has another digest than its name", REPLACE)
        self._hold(digest, array)
        return array

    def _hold(self, digest: str, array: Array) -> bool:
        """Whether it was here already."""
        with self._lock:
            known = digest in self._kept
            if not known:
                self._kept[digest] = array
                self._bytes += array.nbytes
            self._kept.move_to_end(digest)
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
            return known

    def _write(self, folder: Path, digest: str, array: Array) -> None:
        if (folder / f"{digest}.npy").is_file():
            return
        packed = io.BytesIO()
        np.save(packed, array, allow_pickle=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / f"{digest}.npy", packed.getvalue())
        except OSError as error:  # it is in memory, and who asks for it after a restart is told that it is missing
            logging.getLogger("cadenza").warning("an array is not stored: %s", error)


def shelf_beside(store: Store | None) -> Shelf:
    """A shelf that keeps arrays on disk where there is a store of results."""
    return Shelf(None if store is None else store.folder / "arrays")


def detached(
    request: Mapping[str, Any], field: str = "", around: tuple[int, int] | None = None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The request with digests in place of its arrays, and the arrays by digest; a mask that is one becomes digits or rows.

    `around` is width and height of the request that this one is the image of, which has that size where it names none.
    """
    arrays: dict[str, Array] = {}

    def named(value: Any, at: str) -> Any:
        if not is_array(value):
            return value
        array = check_array(value, at)
        digest = digest_of(array)
        arrays[digest] = array
        return digest

    told = dict(request)
    inputs, image, mask = told.get("inputs"), told.get("image"), told.get("mask")
    size = _size(told) if "size" in told or "width" in told else around or _size(told)
    if isinstance(mask, np.ndarray):
        told["mask"] = sent_as(mask, size)
    if isinstance(inputs, Mapping):
        told["inputs"] = {name: named(value, f"{field}inputs.{name}") for name, value in inputs.items()}
    if isinstance(image, Mapping):
        told["image"], more = detached(image, f"{field}image.", size)
        arrays |= more
    elif image is not None:
        told["image"] = named(image, f"{field}image")
    return told, arrays


def _size(request: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of a request; None where those that it names are no numbers."""
    width = request.get("width", request.get("height", USUAL_SIDE))
    height = request.get("height", request.get("width", USUAL_SIDE))
    sides = request.get("size", (width, height))
    width, height = sides if isinstance(sides, tuple | list) and len(sides) == 2 else (sides, sides)
    if not all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in (width, height)):
        return None
    return int(width), int(height)


def attached(request: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The request with these arrays in place of their digests."""
    told = dict(request)
    inputs, image = told.get("inputs"), told.get("image")

    def given(value: Any) -> Any:
        return arrays.get(value, value) if isinstance(value, str) else value

    if isinstance(inputs, Mapping):
        told["inputs"] = {name: given(value) for name, value in inputs.items()}
    if image is not None:
        told["image"] = attached(image, arrays) if isinstance(image, Mapping) else given(image)
    return told


def digests_in(request: Mapping[str, Any]) -> Iterator[str]:
    """Digests of the arrays that a request or recipe names."""
    inputs, image = request.get("inputs"), request.get("image")
    values = [*inputs.values()] if isinstance(inputs, Mapping) else []
    yield from (value for value in (*values, image) if is_digest(value))
    if isinstance(image, Mapping):
        yield from digests_in(image)
