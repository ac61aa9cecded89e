"""What tests of the score half share: a small untrained model as a bundle, and pieces of the composer."""

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import torch

from cadenza.exporters.music.export import export
from cadenza.exporters.music.network import Decoder, Shape

SMALL = Shape(width=32, layers=2, heads=4, shared=2, hidden=64, window=24)


@lru_cache
def small_bundle():
    """A bundle of a model with random weights, whose window is shorter than most pieces."""
    torch.manual_seed(0)
    model = Decoder(SMALL)
    torch.nn.init.normal_(model.head.weight, std=0.4)
    return export(model, Path(mkdtemp()) / "music")


@lru_cache
def small_model():
    torch.manual_seed(0)
    model = Decoder(SMALL)
    torch.nn.init.normal_(model.head.weight, std=0.4)
    return model.eval().requires_grad_(False)
