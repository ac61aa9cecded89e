"""`cadenza replay`: makes a recipe again and compares the digest."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

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


def find(text: str) -> dict[str, Any]:
    """A record {"recipe", "digest"?, ...} from a file, from JSON text, or from the store of this machine."""
    if text.lstrip().startswith("{"):
        return _record(_parse(text, "recipe"))
    path = Path(text)
    if path.suffix == ".json" or path.is_file():
        return _record(_parse(path.read_text(), text))
    return Store(default_folder() / "store").record(text)


def _parse(text: str, field: str) -> Any:
    try:
        return json_format.loads(text)
    except ValueError as error:
        raise Refusal("corrupt", field, f"is no JSON ({error})", "give a file that `cadenza make` wrote") from error


def _record(loaded: Any) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise Refusal("type", "recipe", "is no JSON object", "give a file that `cadenza make` wrote")
    if "recipe" in loaded:
        return loaded
    recipe = from_dict(loaded)
    try:
        return Store(default_folder() / "store").record(recipe.id)
    except Refusal:  # a recipe that was never made here: there is no digest to compare with
        return {"recipe": loaded}
