"""Draws sheets of the embedded bundle: lit spheres and floors, modifiers, seeds, step counts.

    python -m cadenza.exporters.embedded.gallery

With the trainings at hand (`--training`), the teacher stands beside the student's steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from tqdm import tqdm

from ...assets import preview
from ...assets.preview import Picture
from ...runtime.bundles import EMBEDDED
from ...runtime.runtime import Runtime
from .dataset import condition
from .quality import MODIFIER_HOSTS
from .sampling import load_networks, sample, teacher_plan
from .vocabulary import MATERIALS, MODIFIERS

SEED = 11
SIDE_BY_SIDE = ("brick", "cobble", "planks", "metal plate", "lava", "fabric", "gravel", "tech panel")
WALL = "mossy brick"
QUALITY = 88
"""Of the JPEG files."""

Named = list[tuple[str, Picture]]


def shots(
    runtime: Runtime, prompts: Iterable[str], draw: str, steps: int = 4, size: int = 256, seed: int = SEED
) -> Named:
    """A picture (a key of `preview.PREVIEWS`, or "albedo") of each prompt."""
    works = [
        (prompt, runtime.submit({"prompt": prompt, "seed": seed, "steps": steps, "size": size})) for prompt in prompts
    ]
    found = []
    for prompt, work in tqdm(works, draw, unit="shot"):
        texture = work.wait()
        found.append((prompt, texture.albedo if draw == "albedo" else preview.PREVIEWS[draw](texture)))
    return found


def side_by_side(runtime: Runtime, training: Path) -> Named:
    """Rows of 1, 2 and 4 steps, and of the teacher where it is at hand."""
    found: Named = []
    for steps in (1, 2, 4):
        made = shots(runtime, SIDE_BY_SIDE, "albedo", steps, 128)
        found += [(f"{name}, {steps} step{'s' * (steps > 1)}", picture) for name, picture in made]
    if (training / "teacher" / "state.pt").is_file():
        denoiser, autoencoder = load_networks(training, "teacher")
        given = np.stack([condition(name, {}) for name in SIDE_BY_SIDE])
        maps = sample(denoiser, autoencoder.decoder, teacher_plan(), given, [SEED] * len(given))
        found += [
            (f"{name}, teacher", one[:3].transpose(1, 2, 0)) for name, one in zip(SIDE_BY_SIDE, maps, strict=True)
        ]
    return found


def draw_all(bundle: Path, training: Path, out: Path) -> list[Path]:
    with Runtime([bundle]) as runtime:
        grid = [f"{modifier} {host}".strip() for modifier in ("", *MODIFIERS) for host in MODIFIER_HOSTS]
        walls = [(f"seed {seed}", shots(runtime, [WALL], "albedo", seed=seed)[0][1]) for seed in range(16)]
        pages = {
            "spheres": preview.sheet(shots(runtime, MATERIALS, "sphere"), 7, 200),
            "floors": preview.sheet(shots(runtime, MATERIALS, "plane"), 4, 320),
            "modifiers": preview.sheet(shots(runtime, grid, "albedo", size=128), 10, 128),
            "seeds": preview.sheet(walls, 8, 160),
            "steps": preview.sheet(side_by_side(runtime, training), 8, 160),
        }
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.jpg" for name in pages]
    for path, page in zip(paths, pages.values(), strict=True):
        Image.fromarray(page).save(path, quality=QUALITY, optimize=True)
    return paths


def main(
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "texture",
    training: Annotated[Path, typer.Option(help="where the teacher is")] = Path("training"),
    out: Annotated[Path, typer.Option(help="where the pictures go")] = Path(__file__).parent / "gallery",
) -> None:
    for path in draw_all(bundle, training, out):
        print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    typer.run(main)
