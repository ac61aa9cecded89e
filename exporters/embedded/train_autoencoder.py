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
from torch.nn import functional as F

from .dataset import Dataset, generate, with_freedoom
from .last_layer import fit_last_layer
from .networks import Autoencoder, AutoencoderShape
from .training import Run, averaged

WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])[:, None, None]
"""Of the maps in the loss; faint differences of roughness and metallic are seen least."""
LATENT_NOISE = 0.08
"""Added to latents in training: the decoder forgives what a few-step sampler leaves over."""
HIDDEN = 0.2
"""Share of complete samples whose data maps the encoder does not see and the decoder must guess."""


REAL = 0.12
"""Share of real game textures."""


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


def loss_of(made: Tensor, true: Tensor, complete: Tensor) -> Tensor:
    """Absolute and squared error of values, absolute error of differences at three scales and of the local amount of detail.

    The square keeps a map that is mostly 0 (metallic) from settling at its median. The last term keeps grain: where a detail cannot be coded, as much of it is wanted as there was, not a blur.
    """
    weight = WEIGHTS.expand(len(true), -1, -1, -1).clone()
    weight[~complete, 3:] = 0.0
    total = (weight * (made - true).abs()).mean() * 2.0 + (weight * (made - true).square()).mean() * 4.0
    for scale in (1, 2, 4):
        a, b = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (made, true))
        for axis in (2, 3):
            da, db = (torch.roll(x, 1, axis) - x for x in (a, b))
            total = total + (weight * (da - db).abs()).mean()
            if scale < 4:
                ea, eb = (F.avg_pool2d(torch.sqrt(d * d + 1e-5), 8 // scale) for d in (da, db))
                total = total + 1.0 * (weight * (ea - eb).abs()).mean()
    return total


def spread(latent: Tensor) -> Tensor:
    """How far the latents are from zero mean and unit variance a channel."""
    deviation, mean = torch.std_mean(latent.float(), (0, 2, 3))
    return mean.square().mean() + deviation.log().square().mean()


def train(folder: Path, data: Dataset, minutes: float, rate: float = 0.01, batch: int = 16) -> None:
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderShape()).to(memory_format=torch.channels_last)
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=batch)

    def forward(maps: Tensor, known: Tensor, noise: Tensor, complete: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            latent = model.encoder(maps, known)
            made = model.decoder(latent + LATENT_NOISE * noise)
        error = (made - maps).square().mean((0, 2, 3))
        return loss_of(made, maps, complete) + 0.02 * spread(latent), error, latent

    forward = torch.compile(forward)
    for note, (maps, complete) in zip(run.steps(), batches(data, batch, run.images), strict=False):
        maps = maps.contiguous(memory_format=torch.channels_last)
        known = complete & (torch.rand(batch) > HIDDEN)
        noise = torch.randn(batch, model.shape.latent, maps.shape[2] // 8, maps.shape[3] // 8)
        loss, error, latent = forward(maps, known, noise, complete)
        decibel = (-10 * error.detach().log10()).tolist()
        figures = {"loss": float(loss.detach()), "albedo_db": sum(decibel[:3]) / 3, "height_db": decibel[3]}
        run.update("autoencoder", loss)
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
    torch.save(state, folder / "state.pt")


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
