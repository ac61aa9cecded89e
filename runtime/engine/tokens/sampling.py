"""One word from logits: temperature, top-k, top-p and guidance as in AudioCraft, drawn by Gumbel-max from given noise.

The contract is audiocraft.models.lm (https://github.com/facebookresearch/audiocraft): softmax of logits / temperature;
top-p above 0 goes before top-k; ties at the k-th place stay in; temperature 0, or sampling switched off, is the argmax. That
code draws from a multinomial of the machine's generator; here the largest of log p + gumbel is taken (Gumbel 1954; Maddison,
Tarlow, Minka 2014, https://arxiv.org/abs/1411.0030), which is the same distribution, and a function of the noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....assets.refusal import OutOfRange, WrongType

Reals = NDArray[np.float64]

TEMPERATURE_LIMIT = 10.0
TOP_K_LIMIT = 65536


@dataclass(frozen=True)
class Sampling:
    """temperature 0 to 10, 0 is greedy; top_k 0 (all) or how many words stay; top_p 0 (off) to 1, before top_k."""

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 0.0

    def __post_init__(self) -> None:
        for name, high in (("temperature", TEMPERATURE_LIMIT), ("top_p", 1.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise WrongType(name, value, "a number")
            if not 0.0 <= value <= high:  # NaN fails here too
                raise OutOfRange(name, value, f"a number from 0 to {high:g}")
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int):
            raise WrongType("top_k", self.top_k, "a whole number")
        if not 0 <= self.top_k <= TOP_K_LIMIT:
            raise OutOfRange("top_k", self.top_k, f"a whole number from 0 (all) to {TOP_K_LIMIT}")


def choose(logits: Reals, gumbel: Reals, how: Sampling) -> int:
    """The word drawn from logits (V,) with noise (V,)."""
    if how.temperature == 0.0:
        return int(np.argmax(logits))
    kept = allowed(logits, how)
    return int(np.argmax(np.where(kept, _cooled(logits, how.temperature) + gumbel, -np.inf)))


def allowed(logits: Reals, how: Sampling) -> NDArray[np.bool_]:
    """Which words may be drawn (V,): the fewest most likely ones whose chance reaches top_p, or the top_k most likely."""
    if how.top_p > 0.0:
        scaled = _cooled(logits, how.temperature)
        chance = np.exp(scaled - scaled.max())
        chance /= chance.sum()
        order = np.argsort(-chance, kind="stable")
        before = np.cumsum(chance[order]) - chance[order]
        kept = np.zeros(len(logits), np.bool_)
        kept[order] = before <= how.top_p
        return kept
    if 0 < how.top_k < len(logits):
        return np.asarray(logits >= np.partition(logits, -how.top_k)[-how.top_k])
    return np.ones(len(logits), np.bool_)


def _cooled(logits: Reals, temperature: float) -> Reals:
    """logits / temperature (V,); where the largest is too large for a number they are counted from it, which is the same draw."""
    with np.errstate(over="ignore"):
        scaled = logits / temperature
        return scaled if np.isfinite(scaled.max()) else (logits - logits.max()) / temperature


def guided(guidance: float, guidance_beta: float | None = None) -> tuple[float, ...]:
    """Weights of the evaluations (conditional, unconditional), which sum to 1: uncond + g (cond - uncond).

    With `guidance_beta` those of (conditional, partial, unconditional), AudioCraft's double guidance:
    uncond + g (partial + beta (cond - partial) - uncond).
    """
    if guidance_beta is None:
        return guidance, 1.0 - guidance
    return guidance * guidance_beta, guidance * (1.0 - guidance_beta), 1.0 - guidance
