"""Trains the autoencoder: texture maps to a latent an eighth of the size and back.

python -m cadenza.exporters.embedded.train_autoencoder --minutes 60
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from . import losses
from .dataset import Dataset, generate, with_freedoom
from .last_layer import fit_last_layer
from .networks import FACTOR, Autoencoder, AutoencoderShape, draw_grain
from .training import Run, averaged, store

LATENT_NOISE = 0.25
"""Added to latents in training: the decoder forgives what a few-step sampler leaves over, and latents near each other must
look alike, which makes their distribution one that a small denoiser can learn."""
DETAIL, GRID, SPREAD = 1.0, 1.5, 0.1
"""Weights of the losses beside that of structure."""
HIDDEN = 0.2
"""Share of complete samples whose data maps the encoder does not see and the decoder must guess."""


REAL = 0.12
"""Share of real game textures in the samples of each label that they have."""


def batches(data: Dataset, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Maps (size, 6, 128, 128) in [0, 1], shifted around the torus and mirrored, and which have real data maps (size,)."""
    rng = np.random.default_rng(seed)
    while True:
        index = rng.integers(len(data), size=size)
        yield torch.stack([augmented(data.maps[i], rng) for i in index]), torch.from_numpy(data.complete[index])


def augmented(maps: np.ndarray, rng: np.random.Generator) -> Tensor:
    side = maps.shape[-1]
    shifted = np.roll(maps, rng.integers(side, size=2), (1, 2))
    mirrored = shifted[:, :, ::-1] if rng.random() < 0.5 else shifted
    return torch.from_numpy(mirrored.astype(np.float32) / 255)


def train(folder: Path, data: Dataset, minutes: float, rate: float = 0.01, batch: int = 16) -> None:
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderShape()).to(memory_format=torch.channels_last)
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=batch)

    def forward(
        maps: Tensor, known: Tensor, complete: Tensor, noise: Tensor, grain: Tensor, filters: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            latent = model.encoder(maps, known)
            made = model.decoder(latent + LATENT_NOISE * noise, grain)
        weight = losses.weights(complete)
        parts = {
            "structure": losses.structure(made, maps, weight),
            "detail": DETAIL * losses.detail(made, maps, weight, filters),
            "grid": GRID * losses.grid(made.clamp(0.0, 1.0)),
            "spread": SPREAD * losses.spread(latent),
        }
        return parts, (made - maps).square().mean((0, 2, 3)), latent

    forward = torch.compile(forward)
    for note, (maps, complete) in zip(run.steps(), batches(data, batch, run.images), strict=False):
        maps = maps.contiguous(memory_format=torch.channels_last)
        known = complete & (torch.rand(batch) > HIDDEN)
        noise = torch.randn(batch, model.shape.latent, *(n // FACTOR for n in maps.shape[2:]))
        parts, error, latent = forward(
            maps, known, complete, noise, draw_grain(batch, *maps.shape[2:]), losses.draw_filters()
        )
        run.update("autoencoder", torch.stack(list(parts.values())).sum())
        decibel = (-10 * error.detach().log10()).tolist()
        figures = {name: float(part.detach()) for name, part in parts.items()}
        figures |= {"albedo_db": sum(decibel[:3]) / 3, "height_db": decibel[3]}
        note(figures | {"rough_db": decibel[4], "metal_db": decibel[5], "deviation": float(latent.detach().std())})


@torch.no_grad()
def finish(folder: Path, data: Dataset, count: int = 1024) -> None:
    """Measures the latents of `count` samples and stores, in every copy of the model, what standardises them; fits the last layer."""
    model = averaged(folder, "autoencoder", Autoencoder(AutoencoderShape()))
    model.standardise(torch.zeros(model.shape.latent), torch.ones(model.shape.latent))
    parts = [
        model.encoder(maps, complete)
        for (maps, complete), _ in zip(batches(data, 32, 0), range(count // 32), strict=False)
    ]
    deviation, mean = torch.std_mean(torch.cat(parts), (0, 2, 3))
    state = torch.load(folder / "state.pt", weights_only=True)
    for copy in ("autoencoder", "autoencoder.average"):
        for part in ("encoder", "decoder"):
            state[copy][f"{part}.mean"], state[copy][f"{part}.deviation"] = mean, deviation
        model.load_state_dict(state[copy])
        fit_last_layer(model, [batch for batch, _ in zip(batches(data, 16, 1), range(8), strict=False)])
        state[copy] = model.state_dict()
    store(state, folder / "state.pt")


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 60.0,
    rate: Annotated[float, typer.Option(help="highest learning rate")] = 0.01,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    data = with_freedoom(generate(out / "procedural", textures), REAL)
    train(out / "autoencoder", data, minutes, rate)
    finish(out / "autoencoder", data)


if __name__ == "__main__":
    typer.run(main)
