"""`cadenza make`: one asset into files, and its recipe beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from ...assets.store import Store, default_folder
from ...assets.texture import Texture
from ...bridge import Game, connect
from . import dials
from .output import show, write_texture

Out = Annotated[Path | None, typer.Option(help="File of the colour map; the other maps are named after it.")]
Format = Annotated[str | None, typer.Option(help="png, dds or ktx2; without it --out's ending says.")]


def make(
    kind: Annotated[str, typer.Argument(help="texture")],
    prompt: dials.Prompt,
    seed: dials.Seed = 0,
    size: dials.Size = "128",
    steps: dials.Steps = None,
    sampler: dials.Sampler = None,
    spacing: dials.Spacing = None,
    guidance: dials.Guidance = None,
    negative: dials.Negative = None,
    eta: dials.Eta = None,
    variation_seed: dials.VariationSeed = None,
    variation_strength: dials.VariationStrength = None,
    noise: dials.Noise = None,
    option: dials.Options = None,
    out: Out = None,
    format: Format = None,
    server: dials.Server = None,
    bundle: dials.Bundles = None,
    backend: dials.Backend = "auto",
    json: dials.Json = False,
) -> None:
    """Make an asset and write it to files."""
    asked = dials.request(
        kind,
        prompt,
        size,
        seed=seed,
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        guidance=guidance,
        negative=negative,
        eta=eta,
        variation_seed=variation_seed,
        variation_strength=variation_strength,
        noise=noise,
        options=option,
    )
    with open_game(server, bundle, backend) as game:
        texture = watched(game, asked)
    files = write_texture(texture, out or Path(f"{prompt.replace(' ', '-')}-{seed}.png"), format)
    Store(default_folder() / "store").put(texture.record, None)
    show(summary(texture, files), json)


def open_game(server: str | None, bundles: list[Path] | None, backend: str = "auto") -> Game:
    """A running server, or an engine in this process."""
    return connect(server) if server else connect("inproc", bundles=bundles, backend=backend)


def watched(game: Any, asked: dict[str, Any]) -> Texture:
    """The result of a request, with a progress bar once it has taken a second."""
    ticket = game.submit(asked)
    with tqdm(total=None, unit="row", delay=1.0, leave=False) as bar:
        while True:
            try:
                texture: Texture = ticket.result(timeout=0.05)
                return texture
            except TimeoutError:
                row, rows = ticket.progress
                bar.total = rows
                bar.update(row - bar.n)


def summary(texture: Texture, files: list[Path]) -> dict[str, Any]:
    return {
        "id": texture.id,
        "recipe": texture.recipe,
        "digest": texture.digest,
        "ignored": list(texture.ignored),
        "made_by": texture.made_by,
        "files": [str(path) for path in files],
        "milliseconds": {stage: round(ms, 3) for stage, ms in texture.milliseconds.items()},
    }
