"""Trains the teacher: the flow of latents, with guidance, many steps a sound.

python -m cadenza.exporters.sound.train_teacher --minutes 30
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from ..embedded.train_teacher import UNCONDITIONAL, draw_times, noised
from ..embedded.training import Run
from .dataset import Example, batches
from .held import draw_held
from .latents import SET, latents_of
from .networks import Denoiser

CELLS = 1024
"""Cells of a batch."""


def train(folder: Path, data: list[Example], minutes: float, rate: float = 0.01) -> None:
    torch.manual_seed(0)
    model = Denoiser()
    model.guess.fit(data)
    run = Run(folder, {"denoiser": model}, minutes, rate, batch=CELLS // 64, half_life_images=6000)
    for note, (clean, condition) in zip(run.steps(), batches(data, CELLS, run.images), strict=False):
        time, noise = draw_times(len(clean)), torch.randn_like(clean)
        condition = condition * (torch.rand(len(clean), 1) >= UNCONDITIONAL)
        held, anew = draw_held(clean)
        with torch.autocast("cpu", torch.bfloat16):
            flow = model(noised(clean, time, noise), time, condition, held)
        errors = ((flow - (noise - clean)).square() * anew).mean((1, 2, 3)) / anew.mean((1, 2, 3)).clamp(min=0.1)
        run.update("denoiser", errors.mean())
        shown = errors.detach()
        figures = {"loss": float(shown.mean())}
        for name, low, high in (("early", 0.7, 1.01), ("middle", 0.3, 0.7), ("late", 0.0, 0.3)):
            inside = (time >= low) & (time < high)
            figures[name] = float(shown[inside].mean()) if inside.any() else figures["loss"]
        note(figures)


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 30.0,
    rate: Annotated[float, typer.Option(help="highest learning rate")] = 0.01,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training/sound"),
    sounds: Annotated[int, typer.Option(help="size of the set")] = SET,
) -> None:
    torch.set_num_threads(1)
    train(out / "teacher", latents_of(out, sounds), minutes, rate)


if __name__ == "__main__":
    typer.run(main)
