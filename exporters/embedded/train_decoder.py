"""Sharpens the decoder with the encoder left as it is: as much detail in each place as there was, and no grid of cells.

    python -m cadenza.exporters.embedded.train_decoder --minutes 25

Errors of values alone make a decoder blur what the latents do not say, and leave each cell of 8 x 8 pixels with steps at its
borders. Here detail is held to its local amount, band by band, where it cannot be held to its place; the statistics of
Heeger, Bergen, "Pyramid-based texture analysis/synthesis", 1995, https://doi.org/10.1145/218380.218446, as a loss. A
patch discriminator was tried in its stead: within ten minutes it lost to the decoder and left the spectrum as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from .dataset import Dataset, generate, with_freedoom
from .networks import FACTOR, Autoencoder, AutoencoderShape
from .train_autoencoder import LATENT_NOISE, REAL, WEIGHTS, batches
from .training import Run

BANDS = 3
WINDOWS = (4, 16)
"""Sides of the places, in pixels, whose detail is compared."""
FAINT = 1e-5
"""Mean square of a band below which detail does not count: a little more than a step of 8 bits."""
DETAIL, GRID = 0.02, 4.0


def soften(x: Tensor, by: int) -> Tensor:
    """A binomial blur of three taps, `by` pixels apart, on the torus."""
    for axis in (2, 3):
        x = (torch.roll(x, by, axis) + torch.roll(x, -by, axis)) * 0.25 + x * 0.5
    return x


def bands(maps: Tensor) -> list[Tensor]:
    """Detail of (B, 6, H, W) an octave each, finest first."""
    found = []
    for band in range(BANDS):
        blurred = soften(maps, 2**band)
        found.append(maps - blurred)
        maps = blurred
    return found


def detail(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """How far the logarithms of the local power of each band are apart, weighted (B, 6, 1, 1)."""
    total = made.new_zeros(())
    for a, b in zip(bands(made), bands(true), strict=True):
        for window in WINDOWS:
            power_a, power_b = (F.avg_pool2d(x.square(), window) for x in (a, b))
            total = total + (weight * ((power_a + FAINT).log() - (power_b + FAINT).log()).abs()).mean()
    return total


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


def errors(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Of values, of what is left of them after a blur, and of the steps of that: places, where the latents know them."""
    a, b = soften(made, 1), soften(true, 1)
    total = (weight * (made - true).abs()).mean() + 4.0 * (weight * (a - b).square()).mean()
    for axis in (2, 3):
        total = total + 2.0 * (weight * ((torch.roll(a, 1, axis) - a) - (torch.roll(b, 1, axis) - b)).abs()).mean()
    return total + (weight * (a - b).abs()).mean()


def train(folder: Path, data: Dataset, minutes: float, rate: float = 0.005, batch: int = 16) -> None:
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderShape()).to(memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=batch)

    @torch.compile
    def losses(maps: Tensor, complete: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = model.encoder(maps, complete)
            made = model.decoder(latent + LATENT_NOISE * noise)
        known = torch.cat([torch.ones(batch, 3), complete[:, None].float().expand(-1, 3)], 1)[:, :, None, None]
        weight = WEIGHTS * known
        return errors(made, maps, weight), detail(made, maps, weight), grid(made)

    for note, (maps, complete) in zip(run.steps(), batches(data, batch, run.images), strict=False):
        maps = maps.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(batch, model.shape.latent, *(n // FACTOR for n in maps.shape[2:]))
        error, missing, uneven = losses(maps, complete, noise)
        run.update("autoencoder", error + DETAIL * missing + GRID * uneven)
        note({"error": float(error.detach()), "detail": float(missing.detach()), "grid": float(uneven.detach())})


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 25.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "autoencoder", with_freedoom(generate(out / "procedural", textures), REAL), minutes)


if __name__ == "__main__":
    typer.run(main)
