"""A store of results by recipe id: a record, and the maps where they are to be kept. Safe beside other processes."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from .refusal import Corrupt, Refusal

HEX = frozenset("0123456789abcdef")


def default_folder() -> Path:
    """Where this machine keeps proofs and records: CADENZA_HOME, or the platform's place for caches."""
    named = os.environ.get("CADENZA_HOME")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "cadenza"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "cadenza"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a whole file or none. Each writer has a part of its own: several may write the same file, in threads too."""
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()  # no later writer has this name
        if isinstance(error, OSError):  # a full disk names no file, others the part
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


class Store:
    """Files under a folder: ID.json the record {"id", "recipe", "digest", "made_by"}, ID.npz the maps."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def put(self, record: Mapping[str, Any], maps: Mapping[str, NDArray[np.uint8]] | None) -> None:
        """Writes whole files or none; the same id again replaces what was there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if maps is not None:
            packed = io.BytesIO()
            np.savez_compressed(packed, allow_pickle=False, **dict(maps))
            write_whole(self.folder / f"{record['id']}.npz", packed.getvalue())
        write_whole(self.folder / f"{record['id']}.json", json.dumps(record, indent=1).encode())

    def record(self, id: str) -> dict[str, Any]:
        """The record of an id or of a beginning of one (8 characters at least) that fits only one."""
        if not set(id) <= HEX or not 8 <= len(id) <= 64:
            raise Refusal(
                "type", "recipe", f"{id!r} is no recipe id", "give 8 to 64 hexadecimal digits, a file, or JSON"
            )
        whole = self.folder / f"{id}.json"  # else all that is kept is looked at
        found = [whole] if whole.is_file() else sorted(self.folder.glob(f"{id}*.json"))
        if len(found) != 1:
            what = "fits several records" if found else "is not in the store"
            raise Refusal("unknown", "recipe", f"{id[:12]} {what} of {self.folder}", "give the file that make wrote")
        try:
            record: dict[str, Any] = json.loads(found[0].read_text(encoding="utf-8"))
            record["recipe"], record["digest"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Corrupt(
                "recipe", f"{found[0]} is no record ({error})", "delete it and make the asset again"
            ) from error
        return record

    def maps(self, id: str) -> dict[str, NDArray[np.uint8]]:
        """The maps kept under a full id."""
        path = self.folder / f"{id}.npz"
        if not path.is_file():
            raise Refusal("unknown", "recipe", f"no maps of {id[:12]} are kept", "make it again")
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception as error:  # numpy stumbles over damaged files in many ways
            sentence = f"{path} holds no maps, or is damaged ({error})"
            raise Corrupt("recipe", sentence, "delete it and make the asset again") from error
