"""An independent judge: names the sound that is heard, by mel spectra alone. It has never seen the model or its codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from .measures import MELS, spectrogram
from .vocabulary import SOUNDS

FRAMES = 96
"""What it hears: the first second."""


def heard(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """(MELS, FRAMES): decibel around 0, whatever the loudness."""
    bands = spectrogram(wave)[:, :FRAMES]
    bands = np.maximum(bands - bands.max() + 60, 0)
    return np.asarray(bands / 20 - 1, np.float32)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(MELS, 64, 5, 2, 2), nn.ReLU(), nn.BatchNorm1d(64),
        nn.Conv1d(64, 96, 5, 2, 2), nn.ReLU(), nn.BatchNorm1d(96),
        nn.Conv1d(96, 96, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(384, len(SOUNDS)),
    )  # fmt: skip


def train(examples: Sequence[NDArray[np.float32]], sounds: Sequence[int], epochs: int = 30) -> nn.Sequential:
    """A judge trained on what is `heard` of examples and the numbers of their sounds."""
    torch.manual_seed(0)
    model = network()
    inputs, labels = torch.from_numpy(np.stack(examples)), torch.tensor(sounds)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for index in torch.randperm(len(labels)).split(64):
            loss = F.cross_entropy(model(inputs[index]), labels[index], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def named(model: nn.Sequential, waves: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """The number of the sound that is heard in each wave."""
    return np.asarray(model(torch.from_numpy(np.stack([heard(wave) for wave in waves]))).argmax(1).numpy())
