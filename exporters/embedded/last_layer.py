"""Fits the decoder's last layer for one map by least squares.

The metallic map is 0 nearly everywhere, and an absolute error drives it to that median before the features for it are there;
once its gain is 0 it never comes back. A linear fit of the last layer to the finished features does not have that trap.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .networks import LAST, Autoencoder, draw_grain, wrap

RIDGE = 1e-3
METALLIC = 5


@torch.no_grad()
def fit_last_layer(model: Autoencoder, batches: list[tuple[Tensor, Tensor]], which: int = METALLIC) -> float:
    """Sets the last layer's weights, gain and bias of map `which`; gives the error (RMS) that is left.

    batches  maps (B, 6, H, W) and which of them have real data maps (B,)
    """
    features: list[Tensor] = []
    hook = model.decoder.leave.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    size = model.decoder.leave.weight[0].numel() + 1
    left, right = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, 4, dtype=torch.float64)
    total, count = torch.zeros(4, dtype=torch.float64), 0
    for maps, complete in batches:
        maps = maps[complete]
        model.decoder(model.encoder(maps, torch.ones(len(maps))), draw_grain(*maps[:, 0].shape))
        columns = F.unfold(wrap(features.pop(), 1), 3).transpose(1, 2).flatten(0, 1).double()
        columns = torch.cat([columns, torch.ones(len(columns), 1, dtype=torch.float64)], 1)
        wanted = F.pixel_unshuffle(maps[:, which : which + 1], 2).flatten(2).transpose(1, 2).flatten(0, 1).double()
        left += columns.t() @ columns
        right += columns.t() @ wanted
        total += wanted.square().sum(0)
        count += len(wanted)
    hook.remove()
    solved = torch.linalg.solve(left + RIDGE * count * torch.eye(size, dtype=torch.float64), right)
    rows = solved[:-1].t().reshape(4, *model.decoder.leave.weight.shape[1:])
    norm = rows.flatten(1).norm(dim=1)
    model.decoder.leave.weight[4 * which : 4 * which + 4] = rows.float()
    model.decoder.gain[which] = norm.mean().float() / LAST
    model.decoder.bias[which] = solved[-1].mean().float() / LAST
    error = (total - 2 * (solved * right).sum(0) + (solved * (left @ solved)).sum(0)) / count
    return float(error.mean().clamp(min=0).sqrt())
