"""The embedded sound bundle from trained networks.

python -m cadenza.exporters.sound.bundle
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...assets.bundle import Bundle
from ...assets.inputs import Held
from ...assets.manifest import SOUND, Channel, Flow, Grain, Latent, Manifest, Recommended, Samples, Words
from ...runtime.bundles import EMBEDDED
from ..trained import GRAPHS, export_bundle
from . import autoencoder
from .codec import CELL, PERIOD
from .dataset import LENGTHS
from .networks import LATENT, Decoder, Denoiser, fold
from .signal import RATE
from .train_student import denoiser_of
from .vocabulary import SOUNDS, SYNONYMS, WORDS

STEPS = (8, 4)
"""The last is what a request gets that names no number."""
SIDES, AXES = (1, 24), {0: "batch", 3: "width"}


def manifest() -> Manifest:
    """What the runtime must know of these networks."""
    tables = [Recommended(steps=n, sampler="pingpong", times=[1 - i / n for i in range(n)]) for n in STEPS]
    return Manifest(
        name="sound",
        kind=SOUND,
        process=Flow(),
        prediction="flow",
        latent=Latent(LATENT, CELL, min(LENGTHS) * CELL, max(LENGTHS) * CELL, PERIOD * CELL),
        grain=Grain(channels=CELL, factor=CELL),
        samples=Samples(RATE),
        conditioning=Words(words=list(WORDS), materials=len(SOUNDS), synonyms=SYNONYMS),
        recommended=tables,
        channels=[Channel("mono")],
        inputs={"held": Held()},
        reads={"step": ["held"]},
        graphs=GRAPHS,
        licence="MIT; trained on sounds of our own synthesiser",
        provenance={"made_by": "exporters/sound", "data": "exporters/sound"},
    )


def export(denoiser: Denoiser, decoder: Decoder, folder: Path) -> Bundle:
    """The student and the decoder as a verified bundle."""
    return export_bundle(folder, manifest(), fold(denoiser), decoder, {}, SIDES, AXES)


def main(
    training: Annotated[Path, typer.Option(help="where the trained networks are")] = Path("training/sound"),
    out: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "sound",
) -> None:
    bundle = export(denoiser_of(training, "student"), autoencoder.load(training).decoder(), out)
    print(f"{bundle.folder}: {bundle.digest}")


if __name__ == "__main__":
    typer.run(main)
