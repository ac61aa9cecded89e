"""A recipe being made: one job in the engine, and every work that waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .engine.job import Job
from .engine.network import Network
from .resolve import Resolved
from .work import Work


@dataclass(eq=False)
class Flight:
    """Identical requests in flight are made once. `works` is guarded by the runtime's lock."""

    resolved: Resolved
    network: Network
    works: list[Work] = field(default_factory=list)
    job: Job | None = None  # None until the engine's thread has taken it up
    decode_seconds: float = 0.0

    @property
    def priority(self) -> int:
        return max((work.priority for work in self.works), default=0)

    @property
    def deadline(self) -> float:
        return min((work.deadline for work in self.works), default=float("inf"))

    @property
    def expected_ms(self) -> float:
        """Model and decoder time still to come."""
        plan = self.resolved.plan
        done = self.job.row if self.job is not None else 0
        left = plan.evaluations * (plan.rows - done) / plan.rows
        return 1e3 * self.network.expected_seconds(cells(self.resolved), left)


def shape(resolved: Resolved) -> tuple[int, int, int]:
    """Latent (channels, height, width) of a recipe."""
    latent, recipe = resolved.bundle.manifest.latent, resolved.recipe
    return latent.channels, recipe.height // latent.factor, recipe.width // latent.factor


def cells(resolved: Resolved) -> int:
    _, height, width = shape(resolved)
    return height * width
