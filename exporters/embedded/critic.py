"""A small discriminator of latents, by statistics of what the frozen teacher sees in them at any noise level.

The teacher's features after Sauer, Boesel, Dockhorn, Blattmann, Esser, Rombach, "Fast high-resolution image synthesis with
latent adversarial diffusion distillation", 2024, https://arxiv.org/abs/2403.12015. Of a texture no single place tells data from
a student's, which has a little less of everything; means and deviations over all places do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .networks import Denoiser, MPConv, mp_silu

HIDDEN = 256


class Critic(nn.Module):
    """Statistics (B, 2 (outer + inner)) and the teacher's embedding (B, E) to judgements (B, 1), positive for data."""

    def __init__(self, teacher: Denoiser) -> None:
        super().__init__()
        self.enter = MPConv(2 * sum(teacher.shape.wide), HIDDEN, 0, constant=True)
        self.modulate = MPConv(teacher.shape.embedding, HIDDEN, 0, constant=True)
        self.between = MPConv(HIDDEN, HIDDEN, 0, constant=True)
        self.leave = MPConv(HIDDEN, 1, 0, constant=True)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, embedding: Tensor, statistics: Tensor) -> Tensor:
        x = mp_silu(self.enter(statistics, 4.0) * self.modulate(embedding))
        return self.leave(mp_silu(self.between(x)), self.gain).float()


def seen(teacher: Denoiser, noisy: Tensor, time: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    """What the critic reads of noisy latents (B, C, h, w): the teacher's embedding, and the statistics of both its scales."""
    embedding, kept, inner = teacher.read(noisy, time, condition)
    pairs = [torch.std_mean(features.float(), (2, 3)) for features in (kept[-1], inner)]
    return embedding, torch.cat([statistic for pair in pairs for statistic in pair], 1)


def losses(critic: Critic, made: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """(loss of the student, which trains nothing else; loss of the critic; share of the pairs that the critic tells rightly).

    Each of `made` stands against one of `real` with the same prompt: materials differ far more than a student and data do. After
    Jolicoeur-Martineau, "The relativistic discriminator", 2018, https://arxiv.org/abs/1807.00734.
    """
    frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    behind = functional_call(critic, frozen, real) - functional_call(critic, frozen, made)
    ahead = critic(*real) - critic(*(part.detach() for part in made))
    return F.softplus(behind).mean(), F.softplus(-ahead).mean(), (ahead > 0).float().mean().detach()
