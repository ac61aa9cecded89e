"""A bundle's folder is written beside its place and takes it when all is well: an export that stops leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..assets.bundle import MANIFEST
from ..assets.refusal import Refusal


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder (not there yet) that takes the place of `out` at the end. What is there and is no bundle is never replaced."""
    if out.exists() and not (out / MANIFEST).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise Refusal("exists", "out", f"{out} is there and is no bundle", "give a new folder")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield part
        shutil.rmtree(out, ignore_errors=True)
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
