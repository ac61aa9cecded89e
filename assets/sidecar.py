"""The record beside a file: NAME.json, which says what made it, and of which file it speaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .refusal import Refusal
from .store import write_whole


def beside(file: Path) -> Path:
    """Where the record of a file goes; its folder is made. Refused where a file of that name is there which is no record."""
    record = file.with_suffix(".json")
    if record.is_file() and not _is_record(record):
        sentence = f"{record.name}, where the record would go, is there and is no record of Cadenza's"
        raise Refusal("unwritable", "out", sentence, "choose another name, or move it away")
    file.parent.mkdir(parents=True, exist_ok=True)
    return record


def write(record: Path, files: Sequence[Path], told: Mapping[str, Any]) -> Path:
    """The record, with the name of the first file, which it belongs to: one of the same name with another suffix has it written
    over; and with the sha-256 of all files of the making, by name."""
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    write_whole(record, (json.dumps({"file": files[0].name, **told, "sha256": sums}, indent=1) + "\n").encode())
    return record


def _is_record(path: Path) -> bool:
    try:
        loaded = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(loaded, dict) and "recipe" in loaded
