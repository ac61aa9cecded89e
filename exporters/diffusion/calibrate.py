"""What static int8 is calibrated on: the denoiser's inputs on its own trajectories, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...assets.manifest import Manifest
from ...runtime.plans import plan_of_table
from .parts import Parts

Array = NDArray[np.float32]
PROMPTS = ("stone wall", "wet moss on bark", "rusty metal plate", "sand", "wooden planks", "red brick", "ice", "grass")
CELLS = 32
"""Cells a side, at most."""


@torch.no_grad()
def trajectories(parts: Parts, manifest: Manifest) -> list[dict[str, Array]]:
    """Inputs of every row of every recommended table, for each prompt, one seed each; by torch."""
    conditions = [_condition(parts, prompt) for prompt in PROMPTS]
    more, _ = parts.beside(field_of(parts, CELLS))
    seen: list[dict[str, Array]] = []
    for number, condition in enumerate(conditions):
        rng = np.random.default_rng(number)
        for table in manifest.recommended:
            plan = plan_of_table(manifest, table)
            shape = field_of(parts, CELLS)
            draws = rng.standard_normal((plan.noise_draws, *shape), np.float32)

            def model(x: NDArray[Any], time: float, conditional: bool, condition: Array = condition) -> Array:
                given = {
                    "latent": x.astype(np.float32),
                    "time": np.full(1, time, np.float32),
                    "condition": condition,
                    **more,
                }
                seen.append(given)
                raw: Array = parts.step(*map(torch.from_numpy, given.values())).numpy()
                return raw

            plan.run(model, rng.standard_normal(shape, np.float32), lambda k, draws=draws: draws[k])  # type: ignore[misc]
    return seen


def field_of(parts: Parts, most: int) -> tuple[int, int, int, int]:
    """(1, C, h, w) of a latent of at most so many cells a side; a sound is one cell high and as long as it gets."""
    latent = parts.latent
    if parts.kind == "sound":
        return 1, latent.channels, 1, latent.maximum // latent.factor
    cells = latent.multiple // latent.factor
    side = max(cells, min(latent.maximum // 2 // latent.factor, most) // cells * cells)
    return 1, latent.channels, side, side


def _condition(parts: Parts, prompt: str) -> Array:
    tokens: list[int] = []
    for tokenizer, length in parts.tokenizers:
        tokens += tokenizer(prompt, padding="max_length", max_length=length, truncation=True).input_ids
    encoded = parts.encode_text(torch.tensor([tokens], dtype=torch.float32))
    condition: Array = torch.cat([encoded, parts.told], 1).numpy()
    return condition
