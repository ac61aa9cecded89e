"""`cadenza replay`: makes a recipe again and compares the digest."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ...bridge import Game
from ...bridge.game import replayed
from ...runtime.music import fonts
from ...runtime.music.terms import KIND
from . import dials
from .make import open_game, watched
from .output import show
from .records import as_written, find


def replay(
    recipe: Annotated[str, typer.Argument(help="A file that `make` wrote, a recipe in JSON, or a recipe id.")],
    soundfont: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: the SoundFont of a recipe, where no server has it.")
    ] = None,
    server: dials.Server = None,
    bundle: dials.Bundles = None,
    backend: dials.Backend = "auto",
    json: dials.Json = False,
) -> None:
    """Make a recipe again and compare the bytes. Exit status 1 where they differ, or where the file is not as it was written."""
    fonts.offer_all(soundfont or ())
    record = find(recipe)
    with open_game(server, bundle, backend) as game:
        again = made(game, record["recipe"])
        expected = record.get("digest") or made(game, record["recipe"]).digest
    same, intact = again.digest == expected, as_written(recipe, record)
    result = {
        "id": again.id,
        "same": same,
        "digest": again.digest,
        "expected": expected,
        "compared_with": "the recorded digest" if "digest" in record else "a second making, nothing was recorded",
        "made_by": again.made_by,
        "recorded_by": record.get("made_by"),
        "file_as_written": intact,
    }
    show(result, json)
    if not same or intact is False:
        raise typer.Exit(1)


def made(game: Game, recipe: dict[str, Any]) -> Any:
    """What a recipe makes, also that of a whole stream."""
    return replayed(game, recipe) if recipe.get("kind") == KIND else watched(game, recipe)
