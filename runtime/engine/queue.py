"""What the next tick does: priority first, then deadline, then what is nearly done, then arrival, with ageing."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from itertools import accumulate

from .job import Job

AGEING_SECONDS = 10.0
"""Waiting this long counts as one step of priority, so that nothing starves."""


def choose(jobs: Sequence[Job], now: float) -> list[Job]:
    """The jobs of the next tick, a non-empty list where there are jobs: the most urgent one and those that can share its call.

    A less urgent job never rides along with a more urgent one: on a processor a larger call takes longer, and the urgent
    one would pay for it. A job whose rows are done is alone in its tick, in which it is decoded: so nobody waits for
    several decoders.
    """
    if len(jobs) < 2:
        return list(jobs)
    ranks = [urgency(job, now) for job in jobs]
    highest = min(ranks)
    first = jobs[ranks.index(highest)]
    if first.finished:
        return [first]
    peers = ((rank, at) for at, rank in enumerate(ranks) if rank[0] == highest[0] and shares_call(first, jobs[at]))
    room = first.network.batch_for(first.shape[1:])
    best = [jobs[at] for _, at in nsmallest(room, peers)]
    samples = accumulate(job.samples for job in best)
    return [job for job, total in zip(best, samples, strict=True) if total <= room or job is first]


def urgency(job: Job, now: float) -> tuple[int, float, bool, float]:
    """What is smallest goes first."""
    level = job.priority + int((now - job.arrived) / AGEING_SECONDS)
    return -level, job.deadline, not job.finished, job.arrived


def shares_call(one: Job, other: Job) -> bool:
    alike = one.network is other.network and one.shape == other.shape and one.given.keys() == other.given.keys()
    return alike and not other.finished
