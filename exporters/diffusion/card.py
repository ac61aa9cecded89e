"""What a model's surroundings say of it: names of LoRAs, its own, and the metadata of its model card."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

README = "README.md"
TOLD = ("model_name", "base_model", "tags", "library_name")
"""Fields of a card's metadata that may name a family; prose is not read, as it compares a model with others."""


def said_of(source: str, loras: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """(where, text) pairs, the most telling first: a LoRA changes what a model is, its card may be its base model's.

    source  folder, file or hub id; empty of a pipeline that was made in Python
    """
    added = tuple((f"the name of the LoRA {Path(file).name}", Path(file).stem) for file in loras)
    if not source:
        return added
    card = metadata(source)
    return (
        *added,
        ("its name", name_of(source)),
        ("its model card", " ".join(str(card[field]) for field in TOLD if card.get(field))),
    )


def name_of(source: str) -> str:
    """A hub id, the name of a folder or file, or the hub id behind a folder of the hub's cache."""
    path = Path(source)
    cached = next((part for part in path.parts if part.startswith("models--")), None)
    if cached is not None:
        return cached.removeprefix("models--").replace("--", "/")
    return path.stem if path.is_file() else path.name if path.exists() else source


def metadata(source: str) -> dict[str, Any]:
    """The metadata at the head of a model card, beside the model or on the hub; empty where there is none."""
    from huggingface_hub import hf_hub_download, metadata_load
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from yaml import YAMLError  # type: ignore[import-untyped]

    path = Path(source)
    card = (path.parent if path.is_file() else path) / README
    if not path.exists():
        try:
            offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
            card = Path(hf_hub_download(source, README, local_files_only=offline))
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
            return {}
    if not card.is_file():
        return {}
    try:
        return dict(metadata_load(card) or {})
    except (ValueError, YAMLError):
        return {}
