"""Records of what was made, found by file, by JSON text or by recipe id."""

from __future__ import annotations

import hashlib
import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...assets.animated import ANIMATIONS
from ...assets.files import FORMATS
from ...assets.music.files import FORMATS as SOUNDS
from ...assets.music.score import STREAMS
from ...assets.preview import PREVIEWS
from ...assets.refusal import Refusal
from ...assets.store import Store, default_folder
from ...assets.texture import DERIVED, MAPS
from ...runtime.kinds import read_recipe

WRITTEN = {*FORMATS, *ANIMATIONS, *SOUNDS}
PARTS = (*(f"_{name}" for name in (*MAPS, *DERIVED)), *(f".{name}" for name in STREAMS))
PICTURES = tuple(f"-{name}" for name in (*PREVIEWS, "playing", "roll", "spectrogram", "seam"))
"""What the names of the other files of one making have behind that of the first: its maps or stems, and pictures of it."""
WANTED = "give a file that `cadenza make` wrote, or a complete recipe"


def find(text: str) -> dict[str, Any]:
    """A record {"recipe", "digest"?, ...} from a file, from JSON text, or from the store of this machine."""
    if not text.strip():
        raise Refusal("type", "recipe", "is empty", WANTED)
    if text.lstrip().startswith("{"):
        return _record(_parse(text, "recipe"))
    path = Path(text)
    beside = record_of(path)
    if beside is not None:  # a picture or sound stands for its record
        return _record(_of(path, beside, _parse(beside.read_bytes(), str(beside))))
    if path.suffix[1:].lower() in WRITTEN:
        what = f"{path.name} has no record {path.stem}.json beside it" if path.is_file() else f"there is no file {text}"
        raise Refusal("missing", "recipe", what, "give a file that `cadenza make` wrote, its record or its recipe id")
    if path.suffix == ".json" or path.is_file():
        return _record(_parse(path.read_bytes(), str(path)))
    return Store(default_folder() / "store").record(text)


def as_written(text: str, record: Mapping[str, Any]) -> bool | None:
    """Whether the file that a record was found by has the bytes it was written with; None where that is no file, or not recorded."""
    path = Path(text)
    beside, named, sums = record_of(path), record.get("file"), record.get("sha256")
    if beside is None or not path.is_file() or not isinstance(named, str) or not isinstance(sums, dict):
        return None
    expected = sums.get(Path(named).stem + path.name.removeprefix(beside.stem))  # whoever renames one renames both
    return None if expected is None else hashlib.sha256(path.read_bytes()).hexdigest() == expected


def record_of(path: Path) -> Path | None:
    """The record that a file has, or has as one of several: NAME.json of NAME.png, NAME_normal.png, NAME-sphere.png."""
    if path.suffix[1:].lower() not in WRITTEN:
        return None
    whole = [path.stem.removesuffix(end) for end in (*PARTS, *PICTURES) if path.stem.endswith(end)]
    records = [path.with_name(f"{name}.json") for name in (path.stem, *whole)]
    return next((record for record in records if record.is_file()), None)


def _of(path: Path, beside: Path, loaded: Any) -> Any:
    """What a file's sidecar says, unless it was written for another file that stands beside: a loop as .ogg and as .wav have one."""
    named = loaded.get("file") if isinstance(loaded, dict) else None
    picture = path.stem.endswith(PICTURES) and path.stem != beside.stem  # a PNG of whatever was made
    own = picture or named == f"{beside.stem}{path.suffix}"
    if isinstance(named, str) and not own and path.with_name(named).is_file():
        sentence = f"of {path.name} was written over: {beside.name} is that of {named} now"
        raise Refusal("differs", "recipe", sentence, "make it again under a name of its own, or replay its recipe id")
    return loaded


def _parse(text: str | bytes, field: str) -> Any:
    try:
        return json_format.loads(text)
    except (ValueError, RecursionError) as error:  # no JSON, no text at all, or thousands of brackets
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
