"""`cadenza travel`: frames that walk from one seed's texture to the next one's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...assets.files import encode
from ...assets.manifest import SOUND
from ...assets.preview import png, sheet
from ...assets.refusal import Refusal
from ...assets.store import write_whole
from ...runtime.kinds import MUSIC
from ...runtime.travel import travel as requests_of
from . import dials
from .make import open_game, watched
from .output import show, waited, writable


def travel(
    kind: Annotated[str, typer.Argument(help="texture")],
    prompt: dials.Prompt,
    seeds: Annotated[str, typer.Option(help="Where it goes: 7,9,7 comes back.")] = "7,8",
    frames: Annotated[int, typer.Option(help="How many pictures, both ends included.")] = 8,
    size: dials.Size = "128",
    steps: dials.Steps = None,
    sampler: dials.Sampler = None,
    spacing: dials.Spacing = None,
    guidance: dials.Guidance = None,
    negative: dials.Negative = None,
    out: Annotated[Path, typer.Option(help="Folder of the frames and of a sheet of all.")] = Path("travel"),
    server: dials.Server = None,
    bundle: dials.Bundles = None,
    backend: dials.Backend = "auto",
    json: dials.Json = False,
) -> None:
    """Walk between seeds: frame-000.png, ... and sheet.png; the first and last are the seeds' own textures."""
    if kind in (MUSIC, SOUND):
        raise Refusal("unsupported", "kind", f"{kind!r} has no pictures to walk through", "say texture")
    given = {"steps": steps, "sampler": sampler, "spacing": spacing, "guidance": guidance, "negative": negative}
    asked = dials.request(kind, prompt, size, **given)
    stops = dials.parse_wholes(seeds, "seeds", "seeds such as 7,9,7")
    requests = requests_of(asked, stops, frames)
    writable(out, "out")
    files, pictures = [], []
    with open_game(server, bundle, backend) as game:
        for number, request in enumerate(waited(requests, "frame")):
            texture = watched(game, request)
            files.append(out / f"frame-{number:03}.png")
            write_whole(files[-1], encode("albedo", texture.albedo, "png"))
            at = f"{request['seed']}" + (
                f" + {request['variation_strength']:.2f}" if "variation_seed" in request else ""
            )
            pictures.append((at, texture.albedo))
    files.append(out / "sheet.png")
    write_whole(files[-1], png(sheet(pictures, min(8, frames), 128)))
    show({"files": [str(path) for path in files]}, json)
