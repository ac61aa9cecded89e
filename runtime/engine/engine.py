"""The loop of the engine: choose, run, account. It knows plans, of latents and of tokens, and not one sampler, texture, song or socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...assets.refusal import alone
from .job import Job
from .queue import AnyJob, Queue
from .tokens.job import TokenJob

Ran = tuple[int, float, dict[Any, Exception]]
"""Model evaluations, seconds of the model call, and the jobs that failed by themselves."""

GIVE_WAY_S = 5e-5
"""Rest after a finished job while others wait: whoever waited for it goes on. The next model call takes all processors, and
one result in a hundred would be heard of when that is over."""


@dataclass
class Account:
    """What the engine has done since it started; seconds are wall time on the engine's thread."""

    ticks: int = 0  # model calls, and finished jobs handed on
    samples: int = 0  # model evaluations, a guided row counts two
    model_seconds: float = 0.0
    finished: int = 0
    failed: int = 0


@dataclass
class Engine:
    """Runs jobs row by row. Not thread-safe: one thread adds, removes and ticks."""

    clock: Callable[[], float] = time.perf_counter
    jobs: Queue = field(default_factory=Queue)
    account: Account = field(default_factory=Account)

    def add(self, job: AnyJob) -> None:
        job.arrived = self.clock()
        self.jobs.place(job, job.arrived)

    def hurry(self, job: AnyJob, priority: int, deadline: float) -> None:
        """Gives a job another priority and deadline between two ticks; nothing where it is no longer in the engine."""
        if job in self.jobs:
            job.priority, job.deadline = priority, deadline
            self.jobs.place(job, self.clock())

    def remove(self, job: AnyJob) -> bool:
        """Takes a job out between two ticks; False where it is no longer in the engine."""
        return self.jobs.remove(job)

    def tick(self) -> bool:
        """One model call for the jobs that can share it, or the end of one job; False where there is nothing to do."""
        batch: list[Any] = self.jobs.choose(self.clock())
        if not batch:
            return False
        self.account.ticks += 1
        if batch[0].finished:
            (job,) = batch
            self.jobs.remove(job)
            self.account.finished += 1
            job.on_done(job)
            if len(self.jobs):
                time.sleep(GIVE_WAY_S)
            return True
        try:
            failed = self._run(batch)
        except Exception as error:  # whatever a backend raises ends these jobs, not the engine
            self._end(dict.fromkeys(batch, error))
            return True
        self._end(failed)
        for job in batch:
            if job in failed:
                continue
            if job.finished and len(self.jobs) > 1:  # one alone goes next, and before its equals that come later
                self.jobs.place(job, self.clock())
            job.on_row(job)
        return True

    def _end(self, failed: dict[Any, Exception]) -> None:
        for job, error in failed.items():
            self.jobs.remove(job)
            self.account.failed += 1
            job.on_error(job, error)

    def _run(self, batch: list[Any]) -> dict[Any, Exception]:
        """One row of each; gives those that failed by themselves."""
        run: Callable[..., Ran] = TokenJob.run if isinstance(batch[0], TokenJob) else run_rows
        samples, seconds, failed = run(batch, self.clock)
        self.account.samples += samples
        self.account.model_seconds += seconds
        return failed


def run_rows(batch: list[Job], clock: Callable[[], float]) -> Ran:
    """One row of each latent; the others have theirs where one fails by itself, as a sampler's does that is given no numbers."""
    failed: dict[Any, Exception] = {}
    inputs = []
    for job in batch:
        try:
            inputs.append(job.inputs()[None])
        except Exception as error:  # of what it begins with: the others go without it
            failed[job] = alone(error)
    if failed:
        batch = [job for job in batch if job not in failed]
        if not batch:
            return 0, 0.0, failed
    guided = [at for at, job in enumerate(batch) if job.table.guided[job.row]]
    without = [batch[at] for at in guided]
    samples = [*batch, *without]
    latents = _together(inputs + [inputs[at] for at in guided])
    times = _together([job.time for job in samples])
    conditions = _together([job.condition[:1] for job in batch] + [job.condition[1:] for job in without])
    more = {
        name: _together([job.given[name][:1] for job in batch] + [job.given[name][1:] for job in without])
        for name in batch[0].given
    }
    for job in batch:
        job.prepare()
    began = clock()
    raw = batch[0].network.evaluate(latents, times, conditions, more)
    seconds = clock() - began
    unconditional = dict(zip(guided, raw[len(batch) :], strict=True)) if guided else {}
    for at, job in enumerate(batch):
        try:
            job.advance(raw[at], unconditional.get(at))
        except Exception as error:
            failed[job] = alone(error)
        job.model_seconds += seconds / len(batch)
    return len(samples), seconds, failed


def _together(arrays: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array of several, (1, ...) each; one alone as it is: numpy's own functions take long between two model calls."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
