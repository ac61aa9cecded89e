"""Parts of a sound that stay while the others are made anew: what a network in training is told of them."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 0.35
"""Of training sounds of which a part is held."""


def draw_held(clean: Tensor) -> tuple[Tensor, Tensor]:
    """(held (B, 1 + C, 1, L), anew (B, 1, 1, L)) for latents (B, C, 1, L): of most sounds nothing, of some one or two spans.

    A span is a tenth to two thirds of the ring and may lie across its ends: a middle to fill, a sound to go on with, a seam.
    """
    batch, _, _, length = clean.shape
    cells = torch.arange(length)
    kept = torch.zeros(batch, 1, 1, length)
    for _ in range(2):
        first, span = torch.randint(length, (batch, 1)), (torch.rand(batch, 1) * 0.55 + 0.1) * length
        inside = ((cells - first) % length < span) & (torch.rand(batch, 1) < 0.7)
        kept = torch.maximum(kept, inside[:, None, None].float())
    kept = kept * (torch.rand(batch, 1, 1, 1) < SHARE)
    return torch.cat([kept, clean * kept], 1), 1 - kept
