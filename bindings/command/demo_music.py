"""The demo's music: eight bars with their stems, and a live stream that is pushed into combat; both made again by a second server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...assets.music.wav import wav
from ...bridge import Game
from ...bridge.stream import MusicStream
from ...runtime.music.piece import Piece
from .make import watched

PROMPT, SEED = "tense exploration, 96 bpm, D minor", 7
ASKED = {"kind": "music", "prompt": PROMPT, "seed": SEED, "bars": 8}
COMBAT_AT, BARS = 3, 6
"""The bar at which the stream is steered, and how many it has."""


def served(game: Game) -> bool:
    return any(bundle["kind"] == "music" for bundle in game.describe()["bundles"])


def loop(game: Game, folder: Path) -> tuple[Piece, list[Path]]:
    """Eight bars with stems, and their files."""
    piece: Piece = watched(game, ASKED)
    return piece, piece.save(folder / "tense-exploration-7.wav", stems=True)


def into_combat(game: Game, folder: Path) -> tuple[MusicStream, list[Path]]:
    """A stream that is steered while it plays, written as it was heard."""
    with game.stream(PROMPT, seed=SEED) as music:
        music.steer("combat", bar=COMBAT_AT).result(10)
        music.close(tail=True, bars=BARS)
        sounds = [bar.audio for bar in music]
    path = folder / "into-combat-7.wav"
    path.write_bytes(wav(np.concatenate(sounds), music.rate, loop=False))
    return music, [path]


def told(piece: Piece, again: Piece, stream: MusicStream, replayed: MusicStream) -> dict[str, Any]:
    return {
        "recipe": dict(piece.recipe),
        "digest": piece.digest,
        "replayed": again.digest,
        "seconds": round(piece.music.seconds, 3),
        "milliseconds": {stage: round(ms, 1) for stage, ms in piece.milliseconds.items()},
        "stream": {"recipe": dict(stream.recipe), "digest": stream.digest, "replayed": replayed.digest},
    }


def same(found: Mapping[str, Any]) -> bool:
    stream = found["stream"]
    return bool(found["digest"] == found["replayed"] and stream["digest"] == stream["replayed"])


def lines(found: Mapping[str, Any]) -> dict[str, str]:
    """For people."""
    recipe, ms, stream = found["recipe"], found["milliseconds"], found["stream"]
    steering = stream["recipe"]["steering"][0]
    words = "the same bytes" if same(found) else "OTHER BYTES"
    return {
        "music": f"{recipe['prompt']!r}, seed {recipe['seed']}, {recipe['bars']} bars, {found['seconds']:.0f} s of sound "
        f"in {ms['total']:.0f} ms (model {ms['model']:.0f}, render {ms['render']:.0f})",
        "live": f"the same steered at bar {steering['bar']} into {steering['changes']['styles'][0]}, "
        f"{stream['recipe']['bars']} bars and a tail",
        "digests": f"{found['digest'][:16]}, {stream['digest'][:16]}, by a second server: {words}",
    }
