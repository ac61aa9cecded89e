"""The embedded texture bundle from trained networks.

python -m cadenza.exporters.embedded.bundle
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from ...assets.bundle import Bundle
from ...assets.manifest import Channel, Flow, Grain, Latent, Recommended, Words
from ...runtime.bundles import EMBEDDED
from ..texture import export_texture_bundle
from .materials import CHANNELS
from .networks import FACTOR, GRAIN, GRAIN_FACTOR, AutoencoderShape, fold
from .sampling import even_times, load_networks, student_times
from .train_matching import GUIDANCE
from .vocabulary import MATERIALS, SYNONYMS, WORDS

STEPS = (1, 2, 4)
GUIDANCE_SHARE = 0.25
"""Guidance 4 acts as 1.75: more than 2 burns the student's colours."""
GUIDANCE_SHARES = {1: 0.1}
"""By steps, where it is another: at one, with no later step to put it right, 1.5 burns them."""
LICENCE = "MIT; trained in part on Freedoom's textures, BSD-3-Clause, see NOTICE"


def export(training: Path, folder: Path) -> Bundle:
    """The student and the decoder of a training folder as a verified bundle."""
    student, autoencoder = load_networks(training, "student")
    notice = (files(__package__) / "NOTICE").read_text(encoding="utf-8")
    return export_texture_bundle(folder, fold(student), fold(autoencoder.decoder), {"NOTICE": notice}, **fields())


def fields() -> dict[str, Any]:
    """Of the manifest: what the runtime must know of these networks."""
    tables = [
        Recommended(n, "lcm", student_times(n), image_times=even_times(n), guidance_share=GUIDANCE_SHARES.get(n))
        for n in STEPS
    ]
    return {
        "name": "texture",
        "process": Flow(),
        "prediction": "flow",
        "guidance_share": GUIDANCE_SHARE,
        "latent": Latent(
            channels=AutoencoderShape().latent, factor=FACTOR, minimum=64, maximum=512, multiple=2 * FACTOR
        ),
        "grain": Grain(channels=GRAIN, factor=GRAIN_FACTOR),
        "conditioning": Words(words=list(WORDS), materials=len(MATERIALS), synonyms=SYNONYMS),
        "recommended": tables,
        "channels": [Channel(name=n, encoding="srgb" if n.startswith("albedo") else "linear") for n in CHANNELS],
        "licence": LICENCE,
        "provenance": {
            "made_by": "exporters/embedded",
            "data": "procedural materials; Freedoom 0.13 textures",
            "guidance_distilled": GUIDANCE,
        },
    }


def main(
    training: Annotated[Path, typer.Option(help="where the trained networks are")] = Path("training"),
    out: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "texture",
) -> None:
    bundle = export(training, out)
    print(f"{bundle.folder}: {bundle.digest}")


if __name__ == "__main__":
    typer.run(main)
