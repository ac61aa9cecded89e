"""What a step reads beside latent, time and condition: examples to trace it with, and to compare it with diffusers by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...assets.inputs import Anew, Input, Kept, Picture, shape_of
from ...runtime.engine.backends import Graph

Array = NDArray[np.float32]
Example = Callable[[tuple[int, ...]], tuple[dict[str, Array], dict[str, Any]]]
"""Of a latent's shape (1, C, h, w): the inputs by name, and the arguments of the pipeline's call that say the same."""


def examples(inputs: Mapping[str, Input], latent: Tensor, factor: int) -> dict[str, Tensor]:
    """An example of each input for latents (B, C, h, w), numbers from 0 to 1."""
    draw = torch.Generator().manual_seed(1)
    batch, channels, height, width = latent.shape
    shapes = {name: shape_of(each, (channels, height, width), factor) for name, each in inputs.items()}
    return {name: torch.rand(batch, *shape, generator=draw) for name, shape in shapes.items()}


def axes_of(inputs: Mapping[str, Input]) -> dict[str, dict[int, str]]:
    """The axes of each input that are free."""

    def of(name: str, given: Input) -> dict[int, str]:
        if isinstance(given, Picture):
            return {0: "batch", 2: f"{name}_height", 3: f"{name}_width"}
        return {0: "batch", 2: "height", 3: "width"} if isinstance(given, Anew | Kept) else {0: "batch"}

    return {name: of(name, given) for name, given in inputs.items()}


class Beside:
    """A step graph that is always given these inputs too."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Array]) -> None:
        self.identity, self._graph, self._inputs = graph.identity, graph, inputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._graph.run({**inputs, **self._inputs})
