"""The training set as latents: encoded once, so that the denoiser's trainings read numbers instead of pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from .dataset import Dataset
from .networks import Autoencoder
from .train_autoencoder import augmented


@dataclass(frozen=True)
class Latents:
    """latents (N, C, h, w) float16 of zero mean and unit variance a channel; conditions (N, words) float32."""

    latents: NDArray[np.float16]
    conditions: NDArray[np.float32]

    def batches(self, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Latents (size, C, h, w), shifted around the torus, and their conditions (size, words)."""
        rng = np.random.default_rng(seed)
        side = self.latents.shape[-1]
        while True:
            index = rng.integers(len(self.latents), size=size)
            shifts = rng.integers(side, size=(size, 2))
            rolled = [np.roll(self.latents[i], s, (1, 2)) for i, s in zip(index, shifts, strict=True)]
            latents = torch.from_numpy(np.stack(rolled).astype(np.float32))
            yield latents.contiguous(memory_format=torch.channels_last), torch.from_numpy(self.conditions[index])


@torch.no_grad()
def encode(folder: Path, model: Autoencoder, data: Dataset, copies: int, key: str) -> Latents:
    """`copies` latents of every sample, each shifted and mirrored afresh; kept in the folder under a key of the model."""
    about = folder / "latents.json"
    wanted = {"key": key, "copies": copies, "samples": len(data)}
    if not about.is_file() or json.loads(about.read_text(encoding="utf-8")) != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(1)
        order = np.tile(np.arange(len(data)), copies)
        chunks = [order[at : at + 64] for at in range(0, len(order), 64)]
        encoder = torch.compile(model.encoder)
        parts = [_encode(encoder, data, chunk, rng) for chunk in tqdm(chunks, "latents", unit="batch")]
        np.save(folder / "latents.npy", np.concatenate(parts))
        about.write_text(json.dumps(wanted), encoding="utf-8")
    return Latents(np.load(folder / "latents.npy"), np.tile(data.conditions, (copies, 1)))


def _encode(
    encoder: Callable[[Tensor, Tensor], Tensor], data: Dataset, index: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float16]:
    maps = torch.stack([augmented(data.maps[i], rng) for i in index]).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        latents = encoder(maps, torch.from_numpy(data.complete[index]))
    return latents.half().numpy()
