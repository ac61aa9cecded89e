"""A job under a live sampler: its rows are produced one at a time, by what the model said before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..solver import Plan
from ..solver.live import LivePlan, LiveRun
from .job import Job, Latent


@dataclass
class Rows:
    """What a `Table` says of each row, as far as it is known: those that ran, and the next one."""

    guided: list[bool]
    time: list[float]


@dataclass(eq=False)
class LiveJob(Job):
    """`plan` is a `LivePlan`; `begin` gives the noise and the image. `row` counts rejected steps too."""

    _run: LiveRun | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.table = Rows([self.plan.guided], [0.0])  # type: ignore[assignment,list-item]

    @property
    def finished(self) -> bool:
        return self._run is not None and self._run.latent is not None

    @property
    def time(self) -> NDArray[np.float32]:
        return np.array(self.table.time[-1:], np.float32)

    def inputs(self) -> Latent:
        if self._run is None:
            plan: Any = self.plan
            noise, image = self.begin()
            self._run = plan.begin(noise, self.draw, image, None if self.image is None else self.mask)
            self.table.time[0] = self._run.time
        return self._run.inputs.astype(np.float32)

    def advance(self, raw: Latent, raw_uncond: Latent | None) -> None:
        assert self._run is not None, "a job reads its inputs before it gets an answer"
        self._run.answer(raw, raw_uncond)
        self.row += 1
        if self._run.latent is not None:
            self.slots = [self._run.latent.astype(np.float32)]
        else:
            self.table.guided.append(self._run.guided)
            self.table.time.append(self._run.time)  # type: ignore[attr-defined]


def job_for(plan: Plan | LivePlan, **fields: Any) -> Job:
    """The job of a plan, of either kind."""
    return (LiveJob if isinstance(plan, LivePlan) else Job)(plan=plan, **fields)  # type: ignore[arg-type]
