"""Trains the autoencoder: features of sounds to a latent of 32 numbers a cell and back.

python -m cadenza.exporters.sound.train_autoencoder --minutes 20
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from ..embedded.losses import spread
from ..embedded.training import Run, averaged
from .codec import FLOOR, GATES, PARTIALS
from .dataset import Example, batches, generate
from .networks import LATENT, Autoencoder

SET = 6600
"""Sounds in the training set."""
CELLS = 2048
"""Cells of a batch."""
LATENT_NOISE = 0.2
"""Added to latents in training: the decoder forgives what a few-step sampler leaves over."""
LATER = 0.4
"""Of the time, when the loss of amplitudes joins that of levels: from the start it diverges."""
SPREAD, LOUD = 0.1, 0.3


def level_error(made: Tensor, features: Tensor) -> dict[str, Tensor]:
    """Mean squared errors over the mean square, of partials, noise and gates; louder levels count for more.

    Below silence, where a feature is 0, and above an open gate nothing is wrong.
    """
    errors = {}
    for name, part in parts().items():
        wanted, given = features[:, part], made[:, part]
        wrong = torch.where(wanted <= 0, given.clamp(min=0), given - wanted)
        if name == "gates":
            wrong = torch.where(wanted >= 1, given.clamp(max=1) - 1, wrong)
            errors[name] = wrong.square().mean()
        else:
            weight = 0.3 + wanted / 4
            errors[name] = (weight * wrong.square()).mean() / (weight * wanted.square()).mean().clamp(min=0.05)
    return errors


def parts() -> dict[str, slice]:
    return {"partials": slice(0, PARTIALS), "noise": slice(PARTIALS, -GATES), "gates": slice(-GATES, None)}


def weights_of(data: Tensor) -> Tensor:
    """(FEATURES,) for data (N, FEATURES): levels over their root mean square, by part, so that none outshouts the others."""
    weight = torch.ones(data.shape[1], dtype=torch.float64)
    for name in ("partials", "noise"):
        weight[parts()[name]] = 1 / (3 * data[:, parts()[name]].double().square().mean()).sqrt()
    return weight


def amplitude_error(made: Tensor, features: Tensor) -> Tensor:
    """Error of amplitudes over their norm, by sound, partials and noise alike."""
    total = torch.zeros(())
    for name in ("partials", "noise"):
        wanted, given = (FLOOR * torch.expm1(each[:, parts()[name]].clamp(0, 9)) for each in (features, made))
        norm = wanted.flatten(1).norm(dim=1)
        total = total + ((given - wanted).flatten(1).norm(dim=1) / (norm + 0.02)).mean()
    return total


def train(folder: Path, data: list[Example], minutes: float, rate: float = 0.01) -> None:
    torch.manual_seed(0)
    model = Autoencoder()
    some = np.concatenate([each.features for each in data[:: max(1, len(data) // 1000)]], 1).T
    model.start(weights_of(torch.from_numpy(some.astype(np.float32))), torch.from_numpy(some.astype(np.float32)))
    run = Run(folder, {"autoencoder": model}, minutes, rate, batch=CELLS // 64, half_life_images=2000)
    for note, (features, _) in zip(run.steps(), batches(data, CELLS, run.images), strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            latent = model.encoder(features)
            made = model.decoder.features(latent + LATENT_NOISE * torch.randn_like(latent))
        errors = level_error(made, features)
        loss = errors["partials"] + errors["noise"] + errors["gates"] + SPREAD * spread(latent)
        amplitude = amplitude_error(made, features)
        if run.progress > LATER:
            loss = loss + LOUD * amplitude
        run.update("autoencoder", loss)
        figures = {name: float(error.detach()) for name, error in errors.items()}
        note(figures | {"amplitude": float(amplitude.detach()), "deviation": float(latent.detach().std())})


@torch.no_grad()
def finish(folder: Path, data: list[Example], count: int = 40) -> None:
    """Measures the latents of `count` batches and stores, in every copy of the model, what standardises them."""
    model = averaged(folder, "autoencoder", Autoencoder())
    assert isinstance(model, Autoencoder)
    model.standardise(torch.zeros(LATENT), torch.ones(LATENT))
    drawn = zip(batches(data, CELLS, 0), range(count), strict=False)
    latents = torch.cat([model.encoder(features).transpose(0, 1).flatten(1) for (features, _), _ in drawn], 1)
    deviation, mean = torch.std_mean(latents, 1)
    state = torch.load(folder / "state.pt", weights_only=True)
    for copy in ("autoencoder", "autoencoder.average"):
        for part in ("encoder", "decoder"):
            state[copy][f"{part}.mean"], state[copy][f"{part}.deviation"] = mean, deviation
    torch.save(state, folder / "state.pt")


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 20.0,
    rate: Annotated[float, typer.Option(help="highest learning rate")] = 0.01,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training/sound"),
    sounds: Annotated[int, typer.Option(help="size of the set")] = SET,
) -> None:
    torch.set_num_threads(1)
    data = generate(out / "set", sounds)
    train(out / "autoencoder", data, minutes, rate)
    finish(out / "autoencoder", data)


if __name__ == "__main__":
    typer.run(main)
