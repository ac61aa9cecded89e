"""How far a student's textures lie from data on the mean, by material, in statistics of what the frozen teacher sees in them.

A discriminator has to find out what tells the two apart; where means differ it need not: the direction from one mean to the
other tells best, and a loss along it moves the student's mean there. After Li, Swersky, Zemel, "Generative moment matching
networks", 2015, https://arxiv.org/abs/1502.02761, and Salimans, Mensink, Heek, Hoogeboom, "Multistep distillation of diffusion
models via moment matching", 2024, https://arxiv.org/abs/2406.04103.
"""

from __future__ import annotations

import torch
from torch import Tensor

SAMPLES = 100.0
"""That a mean is taken over, of one material and one step: fewer are noise, with more it lags behind the student."""
BATCHES = 50.0
"""That the variance is taken over."""
WAVES = (((0, 1), (1, 0)), ((1, 1), (1, -1)), ((0, 2), (2, 0)), ((1, 2), (2, 1), (1, -2), (2, -1)))
"""The coarsest waves of a latent in cycles down and across, those of one length together."""


def coarse(latents: Tensor) -> Tensor:
    """Statistics (B, 4 C (C + 1) / 2) of latents (B, C, h, w): the coarsest waves' power and what channels share of it.

    Every picture that is linear in the latents has its coarsest power from these. Means over all places do not see it, and a
    student that answers with a mean of layouts has less of it first.
    """
    channels, height, width = latents.shape[1:]
    down, across = torch.arange(height)[:, None] / height, torch.arange(width) / width
    turns = torch.stack([(a * down + b * across).flatten() for wave in WAVES for a, b in wave], 1) * 2 * torch.pi
    parts = torch.stack([latents.float().flatten(2) @ wave(turns) for wave in (torch.cos, torch.sin)])
    shared = torch.einsum("pbiw,pbjw->bijw", parts, parts)
    means = torch.stack([part.mean(3) for part in shared.split([len(wave) for wave in WAVES], 3)], 3)
    first, second = torch.triu_indices(channels, channels)
    return means[:, first, second].flatten(1) / (height * width)


class Moments:
    """Running means of statistics (B, D) of made less those of data, for each of `steps` and each material.

    members  (B, materials) is 1 where a sample is of a material; a sample of none counts nowhere
    """

    def __init__(self, steps: int, materials: int, statistics: int) -> None:
        self.shift = torch.zeros(steps, materials, statistics)
        self.seen = torch.zeros(steps, materials)
        self.variance = torch.ones(statistics)

    def pull(self, step: int, members: Tensor) -> Tensor:
        """(B, D): what the loss multiplies each sample's statistics by, about 0 where the mean is not yet known."""
        known = (self.seen[step] / SAMPLES).clamp(max=1.0)[:, None]
        return members @ (self.shift[step] * known) / self.variance

    def update(self, step: int, members: Tensor, difference: Tensor) -> None:
        """Takes a batch in: statistics of made less those of data with the same prompts."""
        count = members.sum(0)
        self.seen[step] += count
        span = self.seen[step].clamp(min=1.0, max=SAMPLES)
        mean = members.T @ difference / count.clamp(min=1.0)[:, None]
        self.shift[step].lerp_(mean, (count / span).clamp(max=1.0)[:, None])
        spread = (difference - members @ self.shift[step]).square().mean(0)
        self.variance.lerp_(spread, 1 / BATCHES)

    def size(self, step: int) -> Tensor:
        """Root mean square of the shift in deviations of a sample: about 0.1 by chance alone."""
        return (self.shift[step].square() / self.variance).mean().sqrt()
