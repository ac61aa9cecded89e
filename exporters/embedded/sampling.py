"""Textures straight from torch networks, through the same plans and noise as the runtime: for looking during training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from ...runtime.noise import GRAIN as GRAIN_DOMAIN
from ...runtime.noise import INITIAL, STEP, evens, normals
from ...runtime.solver import Plan, Process, compile_plan
from .networks import FACTOR, GRAIN, GRAIN_FACTOR, Autoencoder, AutoencoderShape, Decoder, Denoiser, DenoiserShape
from .training import averaged

BATCH = 56
TEACHER_STEPS = 15
"""Of Heun's method, with two evaluations each."""
STUDENT_TIMES = {1: (1.0,), 2: (1.0, 0.65), 4: (1.0, 0.57, 0.04, 0.02)}
"""By steps, where the student is used. Every step shifts its textures a little, late ones least: at four even times its kernel
distance is a quarter larger. Matched at times of use alone, a student's seeds came to look alike."""


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    decoder: Decoder,
    plan: Plan,
    conditions: NDArray[np.float32],
    seeds: Sequence[int],
    cells: int = 16,
) -> NDArray[np.uint8]:
    """Maps (N, 6, 8 cells, 8 cells) of conditions (N, words) and as many seeds."""
    shape = (denoiser.shape.latent, cells, cells)
    given = torch.from_numpy(conditions)

    def model(x: NDArray[np.float64], time: float, conditional: bool) -> ArrayLike:
        latent = torch.from_numpy(np.asarray(x, np.float32)).contiguous(memory_format=torch.channels_last)
        told = given if conditional else torch.zeros_like(given)
        return denoiser(latent, torch.full((len(given),), time), told).numpy()

    start = np.stack([normals(seed, INITIAL, [0], *shape)[0] for seed in seeds])
    latents = plan.run(model, start, lambda k: np.stack([normals(seed, STEP, [k], *shape)[0] for seed in seeds]))
    grain = torch.from_numpy(np.stack([evens(seed, GRAIN_DOMAIN, 0, *grain_of(cells)) for seed in seeds]))
    maps = decoder(torch.from_numpy(latents.astype(np.float32)).contiguous(memory_format=torch.channels_last), grain)
    return np.asarray((maps.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def sample_all(
    denoiser: Denoiser, decoder: Decoder, plan: Plan, conditions: NDArray[np.float32], name: str
) -> NDArray[np.uint8]:
    """As `sample`, of any number of conditions, the first with seed 0 and so on, with a progress bar of this name."""
    batches = np.array_split(np.arange(len(conditions)), -(-len(conditions) // BATCH))
    made = [
        sample(denoiser, decoder, plan, conditions[batch], batch.tolist())
        for batch in tqdm(batches, name, unit="batch")
    ]
    return np.concatenate(made)


def grain_of(cells: int) -> tuple[int, int, int]:
    side = cells * FACTOR // GRAIN_FACTOR
    return GRAIN, side, side


def teacher_plan(guidance: float = 1.5, steps: int = TEACHER_STEPS) -> Plan:
    return compile_plan("heun", "sgm_uniform", steps, Process.flow(), "flow", guidance)


def student_plan(steps: int) -> Plan:
    return compile_plan("lcm", {"times": student_times(steps)}, steps, Process.flow(), "flow")


def student_times(steps: int) -> list[float]:
    """The explicit table of the student."""
    return list(STUDENT_TIMES[steps])


def even_times(steps: int) -> list[float]:
    """Its table from an image, so that each share of `denoise` changes about as much."""
    return [1 - k / steps for k in range(steps)]


def load_networks(out: Path, training: str) -> tuple[Denoiser, Autoencoder]:
    """The averaged denoiser of a training ("teacher" or "student") and the autoencoder."""
    autoencoder = averaged(out / "autoencoder", "autoencoder", Autoencoder(AutoencoderShape()))
    denoiser = averaged(out / training, "denoiser", Denoiser(DenoiserShape(latent=AutoencoderShape().latent)))
    assert isinstance(denoiser, Denoiser)
    assert isinstance(autoencoder, Autoencoder)
    return denoiser.to(memory_format=torch.channels_last), autoencoder
