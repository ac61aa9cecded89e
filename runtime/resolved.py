"""What a request came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..assets.bundle import Bundle
from ..assets.refusal import Refusal
from .pictures import Array
from .recipe import Recipe
from .solver import Plan
from .solver.live import LivePlan


@dataclass(frozen=True)
class Resolved:
    """A recipe with what the engine needs to make it. `condition` is float32 (2, K), with and without the prompt; of free
    text tokens (2, T), and behind them the embedding of guidance where the network is told one."""

    recipe: Recipe
    bundle: Bundle
    plan: Plan | LivePlan
    condition: NDArray[np.float32]
    ignored: tuple[str, ...]  # words of the prompts that the bundle does not know
    source: Resolved | None = None  # the recipe's image, where that is a recipe
    arrays: Mapping[str, Array] = field(default_factory=dict)  # by digest, those that the recipe names itself

    @property
    def fixed_plan(self) -> Plan:
        """The plan where it is known before the run, which of a live sampler it is not."""
        if isinstance(self.plan, LivePlan):
            sentence = f"{self.recipe.sampler!r} chooses its steps while it runs, and this needs them beforehand"
            raise Refusal("live", "sampler", sentence, "take another sampler, such as dpm_fast")
        return self.plan

    @property
    def evaluations(self) -> int:
        """Model evaluations, those of the image it starts from too."""
        return self.plan.evaluations + (self.source.evaluations if self.source is not None else 0)
