"""Everything from nothing: sounds, autoencoder, teacher, student, bundle, quality report.

    python -m cadenza.exporters.sound.build                     # about an hour and a half on two cores
    python -m cadenza.exporters.sound.build --minutes 20        # a rough one

Each training goes on from its last checkpoint in `--out`. The autoencoder is fitted when the teacher first needs it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.bundles import EMBEDDED

SHARES = {"teacher": 0.7, "student": 0.3}
"""Of the time budget."""


def main(
    minutes: Annotated[float, typer.Option(help="time budget of both trainings")] = 90.0,
    out: Annotated[Path, typer.Option(help="where sets and checkpoints are kept")] = Path("training/sound"),
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "sound",
) -> None:
    for name, share in SHARES.items():
        stage(f"train_{name}", "--minutes", str(minutes * share), "--out", str(out))
    stage("bundle", "--training", str(out), "--out", str(bundle))
    stage("quality", "--bundle", str(bundle), "--out", str(out))


def stage(module: str, *arguments: str) -> None:
    """Each in a process of its own, which gives its memory back."""
    subprocess.run([sys.executable, "-m", f"{__package__}.{module}", *arguments], check=True)


if __name__ == "__main__":
    typer.run(main)
