"""A recipe being made: one job in the engine, and every work that waits for it; what may be made of a request, and what all
of them still need."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..assets.manifest import grain_shape
from ..assets.refusal import Refusal
from .draws import StepDraws, grain
from .engine.job import Job, Latent, start, table_of
from .engine.tokens.job import TokenJob
from .inputs import given
from .kinds import AnyResolved, fewer_steps
from .music.resolve import TokensResolved
from .resolved import Resolved
from .solver import Plan
from .work import Work
from .worker import Worker


@dataclass(eq=False)
class Flight:
    """Identical requests in flight are made once. Its works are guarded by the runtime's lock."""

    resolved: AnyResolved
    network: Any  # AnyNetwork; the job of each kind knows which
    works: dict[Work, None] = field(default_factory=dict)  # in the order in which they came
    job: Job | TokenJob | None = None  # None until the engine's thread has taken it up
    filed: tuple[int, float] | None = None  # priority and milliseconds as the backlog has them

    _priorities: list[int] = field(default_factory=list)  # of its works, sorted: thousands may join, and leave
    _deadlines: list[float] = field(default_factory=list)

    def join(self, work: Work) -> None:
        self.works[work] = None
        insort(self._priorities, work.priority)
        insort(self._deadlines, work.deadline)

    def leave(self, work: Work) -> None:
        del self.works[work]
        del self._priorities[bisect_left(self._priorities, work.priority)]
        del self._deadlines[bisect_left(self._deadlines, work.deadline)]

    @property
    def priority(self) -> int:
        """The highest of its works."""
        return self._priorities[-1] if self._priorities else 0

    @property
    def deadline(self) -> float:
        """The earliest of its works."""
        return self._deadlines[0] if self._deadlines else float("inf")

    @property
    def expected_ms(self) -> float:
        """Model and decoder time still to come."""
        plan, left = self.resolved.plan, float(self.resolved.evaluations)
        if self.job is not None and self.job.plan is plan:  # and not the one of an image it starts from
            left = plan.evaluations * max(0, plan.rows - self.job.row) / plan.rows  # a live run may take more
        return 1e3 * float(self.network.expected_seconds(cells(self.resolved), left))

    def draws(self, resolved: Resolved, ahead: Worker) -> StepDraws:
        """The noise of its recipe, or of the image that it starts from, which is not decoded."""
        latent = shape(resolved)
        grained = grain_shape(resolved.bundle.manifest, *latent[1:]) if resolved is self.resolved else None
        return StepDraws(resolved.recipe, resolved.plan, latent, ahead, grained)

    def begin(self, resolved: Resolved, draw: StepDraws, source: Latent | None) -> list[Latent]:
        """The slots of its job, and what is encoded for it: when it is chosen, as texts and pictures of those that wait would
        hold up who is urgent."""
        job = cast(Job, self.job)
        job.condition = self.network.conditions(resolved.condition)
        more = given(resolved, self.network, source)
        job.image, job.mask, job.given = more["image"], more["mask"], more["given"]
        return start(resolved.plan, draw.initial(), job.image, draw)


class Backlog:
    """The flights in the air by priority: how many, and the milliseconds they still need. Guarded by the runtime's lock.

    Sums are kept and not counted anew, so that submitting is as quick behind thousands of requests as behind none.
    """

    def __init__(self) -> None:
        self._flights: Counter[int] = Counter()
        self._ms: defaultdict[int, float] = defaultdict(float)

    def file(self, flight: Flight) -> None:
        """Enters a flight, or enters it anew where its priority or what it still needs has changed."""
        self.strike(flight)
        flight.filed = priority, left_ms = flight.priority, flight.expected_ms
        self._flights[priority] += 1
        self._ms[priority] += left_ms

    def strike(self, flight: Flight) -> None:
        if flight.filed is None:
            return
        (priority, left_ms), flight.filed = flight.filed, None
        self._flights[priority] -= 1
        self._ms[priority] -= left_ms
        if not self._flights[priority]:  # nothing of the rounding of the sums is kept
            del self._flights[priority], self._ms[priority]

    def ahead(self, priority: int) -> tuple[int, float]:
        """How many flights a new request of this priority waits for, and their milliseconds."""
        before = [each for each in self._flights if each >= priority]
        return sum(self._flights[each] for each in before), sum(self._ms[each] for each in before)


def candidates_of(
    request: Mapping[str, Any], resolve: Callable[[Mapping[str, Any]], AnyResolved], degrade: bool
) -> list[AnyResolved]:
    """What may be made: the request, and where steps may be degraded the bundle's shorter tables, longest first.

    A shorter table that the request's own dials do not fit, such as guidance or levels told for each step, is none of them.
    """
    candidates = [_with_table(resolve(request))]
    for steps in fewer_steps(candidates[0]) if degrade else ():
        with suppress(Refusal):  # the request itself is valid, or we were not here
            candidates.append(_with_table(resolve({**request, "steps": steps})))
    return candidates


def _with_table(resolved: AnyResolved) -> AnyResolved:
    """Its table is made here, on the caller's thread, where it holds nobody up."""
    if isinstance(resolved.plan, Plan):
        table_of(resolved.plan)
    return resolved


def shape(resolved: Resolved) -> tuple[int, int, int]:
    """Latent (channels, height, width) of a recipe."""
    latent, recipe = resolved.bundle.manifest.latent, resolved.recipe
    return latent.channels, recipe.height // latent.factor, recipe.width // latent.factor


def grain_of(resolved: Resolved) -> NDArray[np.float32] | None:
    """The decoder's noise of a recipe, where the bundle has it."""
    _, height, width = shape(resolved)
    return grain(resolved.recipe, grain_shape(resolved.bundle.manifest, height, width), (height, width))


def cells(resolved: AnyResolved) -> int:
    """Latent cells that are decoded; music has none, its cost is in its evaluations."""
    if isinstance(resolved, TokensResolved):
        return 1
    _, height, width = shape(resolved)
    return height * width
