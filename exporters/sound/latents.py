"""The training set as latents: encoded once, so that the denoiser's trainings read numbers instead of features."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from ..embedded.training import averaged
from .dataset import Example, generate, read_file, write_file
from .networks import Autoencoder, fold


def autoencoder_of(out: Path) -> Autoencoder:
    """The trained autoencoder of a training folder, averaged weights."""
    model = averaged(out / "autoencoder", "autoencoder", Autoencoder())
    assert isinstance(model, Autoencoder)
    return model


@torch.no_grad()
def latents_of(out: Path, sounds: int) -> list[Example]:
    """The training set with latents (LATENT, cells) in place of features; kept in the folder under a key of the encoder."""
    encoder = autoencoder_of(out).encoder
    key = hashlib.sha256(b"".join(t.numpy().tobytes() for t in encoder.state_dict().values())).hexdigest()
    path = out / f"latents-{sounds}-{key[:12]}.npz"
    if not path.is_file():
        fold(encoder)
        write_file(path, [_encoded(encoder, each) for each in generate(out / "set", sounds)])
    return read_file(path)


def _encoded(encoder: torch.nn.Module, example: Example) -> Example:
    latent = encoder(torch.from_numpy(example.features[None, :, None].astype("float32")))
    return Example(latent[0, :, 0].half().numpy(), example.condition, example.sound)
