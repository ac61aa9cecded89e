"""Nothing, with a delay: for tests of the scheduler and for measuring what everything but the model costs.

`null:30` sleeps 30 ms for each call, whatever the batch; `null:30+5` 30 ms and 5 ms for each sample. A step answers with
its latent, a decoder with grey maps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ....assets.refusal import Refusal
from .base import Array, Identity
from .reference import of_bundle


class Null:
    def __init__(self, path: Path, a_call: float, a_sample: float) -> None:
        """Delays in seconds."""
        made_for, self._graph = of_bundle(path)
        self._maps, self._factor = len(made_for.channels), made_for.latent.factor
        self._a_call, self._a_sample = a_call, a_sample
        self.identity = Identity("null", "1", "none", "float32")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        latent = inputs["latent"]
        delay = self._a_call + self._a_sample * len(latent)
        if delay > 0:
            time.sleep(delay)
        if self._graph == "step":
            return {"raw": latent.copy()}
        batch, _, height, width = latent.shape
        return {"maps": np.full((batch, self._maps, height * self._factor, width * self._factor), 0.5, np.float32)}


def load(path: Path, threads: int, choice: str = "") -> Null:
    call, _, sample = choice.partition("+")
    try:
        a_call, a_sample = float(call or 0) / 1e3, float(sample or 0) / 1e3
    except ValueError:
        a_call = a_sample = -1.0
    if not (0 <= a_call <= 60 and 0 <= a_sample <= 60):  # NaN fails here too
        raise Refusal("type", "backend", f"'null:{choice}' has no delay in milliseconds", "say null:30 or null:30+5")
    return Null(path, a_call, a_sample)
