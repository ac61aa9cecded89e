"""Frees the decoder from the grid of its cells, with the encoder left as it is.

    python -m cadenza.exporters.embedded.train_decoder --minutes 25

Errors of values alone leave each cell of 8 x 8 pixels with larger steps at its borders than inside, which shows as a grid and
at the wrap. Two ways to sharpen the decoder at the same time were tried and left out: a patch discriminator lost to the
decoder within ten minutes, and a loss on the local power of each octave drew a weave into every material, so that edges of
colour and of height no longer agreed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from .dataset import Dataset, generate, with_freedoom
from .networks import FACTOR, Autoencoder, AutoencoderShape
from .train_autoencoder import LATENT_NOISE, REAL, batches, loss_of
from .training import Run

GRID = 4.0
"""Weight of the grid beside the errors."""


def grid(maps: Tensor) -> Tensor:
    """How unevenly the steps between neighbouring pixels fall on the eight lines of a cell; 0 where no grid shows.

    maps  (B, 6, H, W)
    """
    total = maps.new_zeros(())
    for axis in (2, 3):
        steps = (torch.roll(maps, -1, axis) - maps).abs().mean((0, 5 - axis))
        lines = steps.unflatten(1, (-1, FACTOR)).mean(1)
        total = total + (lines + 1e-3).log().var(1).mean()
    return total


def train(folder: Path, data: Dataset, minutes: float, rate: float = 0.005, batch: int = 16) -> None:
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderShape()).to(memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=batch)

    @torch.compile
    def losses(maps: Tensor, complete: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = model.encoder(maps, complete)
            made = model.decoder(latent + LATENT_NOISE * noise)
        return loss_of(made, maps, complete), grid(made)

    for note, (maps, complete) in zip(run.steps(), batches(data, batch, run.images), strict=False):
        maps = maps.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(batch, model.shape.latent, *(n // FACTOR for n in maps.shape[2:]))
        error, uneven = losses(maps, complete, noise)
        run.update("autoencoder", error + GRID * uneven)
        note({"loss": float(error.detach()), "grid": float(uneven.detach())})


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 25.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "autoencoder", with_freedoom(generate(out / "procedural", textures), REAL), minutes)


if __name__ == "__main__":
    typer.run(main)
