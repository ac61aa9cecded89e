"""The strength of guidance as a distilled network is told it: a part of the condition, so that it is a dial of a request."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .manifest import GuidanceEmbedding


def embedding(strength: float, told: GuidanceEmbedding) -> NDArray[np.float32]:
    """(width,): sines, then cosines, of scale (strength - offset) at width / 2 frequencies from 1 down to 1 / 10000; of width
    1 that number itself.

    Angles are rounded to float32 step by step, as they were when these networks were trained: at 1000 radians that is what
    decides. [Meng et al., "On distillation of guided diffusion models", 2023, https://arxiv.org/abs/2210.03142]
    """
    number = np.float32(strength - told.offset) * np.float32(told.scale)
    if told.width == 1:
        return np.array([number], np.float32)
    half = told.width // 2
    exponents = np.arange(half, dtype=np.float32) * np.float32(-math.log(10000.0) / (half - 1))
    angles = (number * np.exp(exponents.astype(np.float64)).astype(np.float32)).astype(np.float64)
    waves = np.concatenate([np.sin(angles), np.cos(angles), np.zeros(told.width - 2 * half)])
    return waves.astype(np.float32)
