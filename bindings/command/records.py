"""Records of what was made, found by file, by JSON text or by recipe id."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Any

from ...assets.animated import ANIMATIONS
from ...assets.files import FORMATS
from ...assets.music.files import FORMATS as SOUNDS
from ...assets.refusal import Refusal
from ...assets.store import Store, default_folder
from ...runtime.kinds import read_recipe

WRITTEN = {*FORMATS, *ANIMATIONS, *SOUNDS}
WANTED = "give a file that `cadenza make` wrote, or a complete recipe"


def find(text: str) -> dict[str, Any]:
    """A record {"recipe", "digest"?, ...} from a file, from JSON text, or from the store of this machine."""
    if not text.strip():
        raise Refusal("type", "recipe", "is empty", WANTED)
    if text.lstrip().startswith("{"):
        return _record(_parse(text, "recipe"))
    path = Path(text)
    beside = path.with_suffix(".json")
    if path.suffix[1:].lower() in WRITTEN and beside.is_file():  # a picture or sound stands for its record
        return _record(_of(path, _parse(beside.read_bytes(), str(beside))))
    if path.suffix == ".json" or path.is_file():
        return _record(_parse(path.read_bytes(), str(path)))
    return Store(default_folder() / "store").record(text)


def _of(path: Path, loaded: Any) -> Any:
    """What a file's sidecar says, unless it was written for another file that stands beside: a loop as .ogg and as .wav have one."""
    named = loaded.get("file") if isinstance(loaded, dict) else None
    if isinstance(named, str) and named != path.name and path.with_name(named).is_file():
        sentence = f"of {path.name} was written over: {path.stem}.json is that of {named} now"
        raise Refusal("differs", "recipe", sentence, "make it again under a name of its own, or replay its recipe id")
    return loaded


def _parse(text: str | bytes, field: str) -> Any:
    try:
        return json_format.loads(text)
    except ValueError as error:  # no JSON, or no text at all
        raise Refusal("corrupt", field, f"is no JSON ({error})", WANTED) from error


def _record(loaded: Any) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise Refusal("type", "recipe", "is no JSON object", WANTED)
    if isinstance(loaded.get("recipe"), dict):
        return loaded
    try:
        recipe = read_recipe(loaded)
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.field, refusal.sentence, refusal.remedy or WANTED) from refusal
    try:
        return Store(default_folder() / "store").record(recipe.id)
    except Refusal:  # a recipe that was never made here: there is no digest to compare with
        return {"recipe": loaded}
