"""Goes on with the decoder alone: more detail, less of a grid; the encoder is left as it is, so all latents stay valid.

    python -m cadenza.exporters.embedded.train_decoder --minutes 10

May be run at any time after the autoencoder, also when teacher and student are done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from . import losses
from .dataset import Dataset, generate, with_freedoom
from .networks import FACTOR, Autoencoder, AutoencoderShape, draw_grain
from .train_autoencoder import LATENT_NOISE, REAL, batches
from .training import Run

DETAIL, GRID = 2.0, 10.0
"""Weights beside the loss of structure: higher than while the latents were still in the making."""


def train(folder: Path, data: Dataset, minutes: float, rate: float = 0.003, batch: int = 16) -> None:
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderShape()).to(memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=batch)
    encoder = run.averages["autoencoder"].encoder  # latents come from this one
    model.encoder.load_state_dict(encoder.state_dict())

    @torch.compile
    def forward(maps: Tensor, complete: Tensor, noise: Tensor, grain: Tensor, filters: Tensor) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = model.encoder(maps, complete)
            made = model.decoder(latent + LATENT_NOISE * noise, grain)
        weight = losses.weights(complete)
        return {
            "structure": losses.structure(made, maps, weight),
            "detail": DETAIL * losses.detail(made, maps, weight, filters),
            "grid": GRID * losses.grid(made.clamp(0.0, 1.0)),
        }

    for note, (maps, complete) in zip(run.steps(), batches(data, batch, run.images), strict=False):
        maps = maps.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(batch, model.shape.latent, *(n // FACTOR for n in maps.shape[2:]))
        parts = forward(maps, complete, noise, draw_grain(batch, *maps.shape[2:]), losses.draw_filters())
        run.update("autoencoder", torch.stack(list(parts.values())).sum())
        note({name: float(part.detach()) for name, part in parts.items()})


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 10.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "autoencoder", with_freedoom(generate(out / "procedural", textures), REAL), minutes)


if __name__ == "__main__":
    typer.run(main)
