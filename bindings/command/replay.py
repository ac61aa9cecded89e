"""`cadenza replay`: makes a recipe again and compares the digest."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from ...assets.files import FORMATS
from ...assets.refusal import Refusal
from ...assets.store import Store, default_folder
from ...runtime.recipe import from_dict
from . import dials
from .make import open_game, watched
from .output import show


def replay(
    recipe: Annotated[str, typer.Argument(help="A file that `make` wrote, a recipe in JSON, or a recipe id.")],
    server: dials.Server = None,
    bundle: dials.Bundles = None,
    backend: dials.Backend = "auto",
    json: dials.Json = False,
) -> None:
    """Make a recipe again and check that the bytes are the same; exit status 1 where they differ."""
    record = find(recipe)
    with open_game(server, bundle, backend) as game:
        again = watched(game, record["recipe"])
        expected = record.get("digest") or watched(game, record["recipe"]).digest
    same = again.digest == expected
    result = {
        "id": again.id,
        "same": same,
        "digest": again.digest,
        "expected": expected,
        "compared_with": "the recorded digest" if "digest" in record else "a second making, nothing was recorded",
        "made_by": again.made_by,
        "recorded_by": record.get("made_by"),
    }
    show(result, json)
    if not same:
        raise typer.Exit(1)


WANTED = "give a file that `cadenza make` wrote, or a complete recipe"


def find(text: str) -> dict[str, Any]:
    """A record {"recipe", "digest"?, ...} from a file, from JSON text, or from the store of this machine."""
    if text.lstrip().startswith("{"):
        return _record(_parse(text, "recipe"))
    path = Path(text)
    beside = path.with_suffix(".json")
    if path.suffix.lstrip(".").lower() in FORMATS and beside.is_file():  # a picture stands for its record
        path = beside
    if path.suffix == ".json" or path.is_file():
        return _record(_parse(path.read_bytes(), str(path)))
    return Store(default_folder() / "store").record(text)


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
        recipe = from_dict(loaded)
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.field, refusal.sentence, refusal.remedy or WANTED) from refusal
    try:
        return Store(default_folder() / "store").record(recipe.id)
    except Refusal:  # a recipe that was never made here: there is no digest to compare with
        return {"recipe": loaded}
