"""Which jobs the next model call serves: priority first, then deadline, then arrival, with ageing."""

from __future__ import annotations

from collections.abc import Sequence

from .job import Job

AGEING_SECONDS = 10.0
"""Waiting this long counts as one step of priority, so that nothing starves."""


def choose(jobs: Sequence[Job], now: float) -> list[Job]:
    """The jobs of the next tick, a non-empty list where there are jobs: the most urgent one and those that can share its call.

    A less urgent job never rides along with a more urgent one: on a processor a larger call takes longer, and the urgent
    one would pay for it.
    """
    if not jobs:
        return []
    order = sorted(jobs, key=lambda job: urgency(job, now))
    first = order[0]
    same = [job for job in order if level(job, now) == level(first, now) and shares_call(first, job)]
    return same[: first.network.batch_for(first.shape[1:])]


def urgency(job: Job, now: float) -> tuple[int, float, float]:
    return -level(job, now), job.deadline, job.arrived


def level(job: Job, now: float) -> int:
    return job.priority + int((now - job.arrived) / AGEING_SECONDS)


def shares_call(one: Job, other: Job) -> bool:
    return one.network is other.network and one.shape == other.shape
