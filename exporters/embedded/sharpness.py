"""Gives each map back the power that is lost of its finest detail, by a small filter after the decoder.

    python -m cadenza.exporters.embedded.sharpness

A decoder that cannot know a detail answers with less of it, whatever its losses ask for. How much is lost at which frequency is
much the same everywhere; so a few numbers a map mend it, measured once the student is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from . import measures
from .dataset import generate
from .materials import CHANNELS
from .networks import Autoencoder, AutoencoderShape, Decoder, Sharpen
from .sampling import load_networks, sample_all, student_plan
from .training import store

STEPS = 4
MOST = 10 ** (4 / 20)
"""How far a frequency is raised at most (4 dB): of what is hardly there, like metallic's grain, more would only be noise."""
FINEST = 0.1
"""Cycles a pixel from which on power is given back; what is coarser than that is the student's own."""


def fit(sharpen: Sharpen, made: measures.Array, data: measures.Array) -> measures.Array:
    """Sets the shares of both unsharp masks by least squares; gives the gains that were aimed at (6, bands).

    made, data  maps (N, 6, H, W) in [0, 1]; those made without the filter
    """
    lost = measures.spectrum(data) - measures.spectrum(made)
    middles, bands = measures.rings(made.shape[-1])
    gains = np.where(middles >= FINEST, np.clip(10 ** (lost / 20), 1.0, MOST), 1.0)
    answers = np.stack([_answer(mask, made.shape[-1], bands) for mask in sharpen.masks.numpy()], 1)
    for i, gain in enumerate(gains):
        fine, broad = np.linalg.lstsq(answers, gain - 1.0, rcond=None)[0]
        sharpen.fine[i], sharpen.broad[i] = float(fine), float(broad)
    return np.asarray(gains)


def _answer(mask: NDArray[np.float32], side: int, bands: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """What a symmetric mask (5, 5) does to each band of frequencies."""
    padded = np.zeros((side, side))
    padded[: len(mask), : len(mask)] = mask
    answer = np.fft.fft2(np.roll(padded, (-(len(mask) // 2),) * 2, (0, 1))).real
    return np.array([answer[band].mean() for band in bands])


def sharpened(out: Path, textures: int, count: int) -> measures.Array:
    """Fits the filter to the student's textures of as many prompts of the training set, and stores it with the autoencoder."""
    student, autoencoder = load_networks(out, "student")
    decoder = autoencoder.decoder
    assert isinstance(decoder, Decoder)
    decoder.leave.renormalise()  # a mean of weights that meet its conditions nearly meets them
    for share in decoder.sharpen.state_dict().values():
        share.zero_()
    data = generate(out / "procedural", textures)
    made = sample_all(student, decoder, student_plan(STEPS), data.conditions[:count], "student")
    true = np.stack([data.maps[i] for i in range(count)])
    gains = fit(decoder.sharpen, made / np.float32(255), true / np.float32(255))
    state = torch.load(out / "autoencoder" / "state.pt", weights_only=True)
    for copy in ("autoencoder", "autoencoder.average"):
        model = Autoencoder(AutoencoderShape())
        model.load_state_dict(state[copy])
        model.decoder.sharpen.load_state_dict(decoder.sharpen.state_dict())
        model.decoder.leave.renormalise()
        state[copy] = model.state_dict()
    store(state, out / "autoencoder" / "state.pt")
    return gains


def main(
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
    count: Annotated[int, typer.Option(help="textures that are measured")] = 560,
) -> None:
    for name, gains in zip(CHANNELS, sharpened(out, textures, count), strict=True):
        print(f"{name}: " + " ".join(f"{20 * np.log10(gain):.1f}" for gain in gains) + " dB")


if __name__ == "__main__":
    typer.run(main)
