"""What `cadenza bench` says about where it ran: the machine, and how much disk the runtime takes."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

OWN = "cadenza"


def installed_mb(package: str) -> dict[str, float]:
    """MB on disk of a package and of all that it requires, by package; of this one only what the runtime is made of."""
    found: dict[str, float] = {}
    wanted = [package]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # required on other platforms only
            continue
        found[name] = sum(_size(Path(str(distribution.locate_file(file)))) for file in distribution.files or ()) / 1e6
        for requirement in distribution.requires or ():
            if "extra ==" not in requirement:
                end = next((i for i, letter in enumerate(requirement) if letter in " ;<>=!~[("), len(requirement))
                wanted.append(requirement[:end].lower())
    if package != OWN:
        return found
    root = Path(__file__).resolve().parents[1]
    folders = [root / folder for folder in ("assets", "runtime", "bridge", "bindings")]
    own = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {**found, OWN: sum(map(_size, own)) / 1e6}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
