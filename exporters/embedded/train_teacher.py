"""Trains the teacher: the flow of latents, with guidance, many steps a texture.

python -m cadenza.exporters.embedded.train_teacher --minutes 60
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from .dataset import generate, with_freedoom
from .latents import Latents, encode
from .networks import Autoencoder, AutoencoderShape, Denoiser, DenoiserShape
from .train_autoencoder import REAL
from .training import Run, averaged

UNCONDITIONAL = 0.1
"""Share of samples whose prompt is hidden, so that guidance has something to point away from."""


def noised(clean: Tensor, time: Tensor, noise: Tensor) -> Tensor:
    """The latent at time 0 (clean) to 1 (noise) of the straight path."""
    t = time[:, None, None, None]
    return (1 - t) * clean + t * noise


def draw_times(count: int) -> Tensor:
    """Logit-normal, after Esser et al., "Scaling rectified flow transformers", 2024, https://arxiv.org/abs/2403.03206; a
    tenth uniform, so that the ends are seen too."""
    times = torch.sigmoid(torch.randn(count) * 1.2 + 0.2)
    return torch.where(torch.rand(count) < 0.1, torch.rand(count), times).clamp(1e-3, 1.0)


def train(folder: Path, data: Latents, minutes: float, batch: int = 64) -> None:
    torch.manual_seed(0)
    model = Denoiser(DenoiserShape(latent=data.latents.shape[1])).to(memory_format=torch.channels_last)
    run = Run(folder, {"denoiser": model}, minutes, batch=batch, half_life_images=20_000)

    def forward(clean: Tensor, time: Tensor, noise: Tensor, condition: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            flow = model(noised(clean, time, noise), time, condition)
        return (flow - (noise - clean)).square().mean((1, 2, 3))

    forward = torch.compile(forward)
    for note, (clean, condition) in zip(run.steps(), data.batches(batch, run.images), strict=False):
        time, noise = draw_times(batch), torch.randn_like(clean)
        condition = condition * (torch.rand(batch, 1) >= UNCONDITIONAL)
        errors = forward(clean, time, noise, condition)
        shown = errors.detach()
        figures = {"loss": float(shown.mean())}
        for name, low, high in (("early", 0.7, 1.01), ("middle", 0.3, 0.7), ("late", 0.0, 0.3)):
            inside = (time >= low) & (time < high)
            figures[name] = float(shown[inside].mean()) if inside.any() else 0.0
        run.update("denoiser", errors.mean())
        note(figures)


def latents_of(out: Path, textures: int, copies: int = 2) -> Latents:
    """The latents of the whole training set under the trained autoencoder."""
    data = with_freedoom(generate(out / "procedural", textures), REAL)
    model = averaged(out / "autoencoder", "autoencoder", Autoencoder(AutoencoderShape()))
    assert isinstance(model, Autoencoder)
    key = hashlib.sha256(b"".join(t.numpy().tobytes() for t in model.encoder.state_dict().values())).hexdigest()
    return encode(out / "latents", model.to(memory_format=torch.channels_last), data, copies, key)


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 60.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "teacher", latents_of(out, textures), minutes)


if __name__ == "__main__":
    typer.run(main)
