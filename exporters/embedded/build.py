"""Everything from nothing: data, autoencoder, its decoder once more, teacher, student, bundle, quality report.

    python -m cadenza.exporters.embedded.build                     # about four hours on two cores
    python -m cadenza.exporters.embedded.build --minutes 30        # a rough one
    python -m cadenza.exporters.embedded.build --begin 5           # after a stop in the fifth training

Each training goes on from its last checkpoint in `--out`, and from the weights in the repository where there is none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.bundles import EMBEDDED

STAGES: list[tuple[str, float, list[str]]] = [
    ("train_autoencoder", 0.28, []),
    ("train_decoder", 0.05, []),
    ("train_teacher", 0.31, []),
    ("train_student", 0.06, []),
    ("train_matching", 0.0375, ["--go-on", "0.65"]),
    ("train_matching", 0.0375, ["--mix", "0.5"]),
    ("train_matching", 0.0375, ["--mix", "0.5"]),
    ("train_matching", 0.0375, ["--mix", "0.75"]),
    ("train_matching", 0.0375, ["--mix", "0.5"]),
    ("train_matching", 0.0375, ["--mix", "0.8"]),
    ("train_matching", 0.0375, ["--go-on", "0.65", "--mix", "0.5"]),
    ("train_matching", 0.0375, ["--mix", "0.6"]),
]
"""Trainings in order, each with its share of the time budget and its own options."""


def main(
    minutes: Annotated[float, typer.Option(help="time budget of all trainings")] = 240.0,
    out: Annotated[Path, typer.Option(help="where sets and checkpoints are kept")] = Path("training"),
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "texture",
    fresh: Annotated[bool, typer.Option(help="start from random weights, not from the repository's")] = False,
    begin: Annotated[int, typer.Option(min=1, max=len(STAGES), help="number of the training to begin with")] = 1,
) -> None:
    where = ["--out", str(out)]
    if not fresh:
        stage("keep", "--restore", *where)
    for number, (name, share, options) in enumerate(STAGES[begin - 1 :], begin):
        print(f"training {number} of {len(STAGES)}", flush=True)
        stage(name, "--minutes", str(minutes * share), *options, *where)
    stage("sharpness", *where)
    stage("keep", *where)
    stage("bundle", "--training", str(out), "--out", str(bundle))
    stage("quality", "--training", str(out), "--bundle", str(bundle), "--out", str(out), "--write")


def stage(module: str, *arguments: str) -> None:
    """Each in a process of its own, which gives its memory back."""
    subprocess.run([sys.executable, "-m", f"{__package__}.{module}", *arguments], check=True)


if __name__ == "__main__":
    typer.run(main)
