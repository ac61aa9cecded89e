"""What the next tick does: priority first, then deadline, then what is nearly done, then arrival, with ageing."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import count, islice

from .job import Job
from .tokens.job import TokenJob

AnyJob = Job | TokenJob
Rank = tuple[int, float, bool, float]
"""What is smallest goes first."""

AGEING_SECONDS = 10.0
"""Waiting this long counts as one step of priority, so that nothing starves."""
LOOKS = 128
"""Jobs of one level that a tick looks at for such as share its call; a lone size among thousands of another finds none."""
AGED_EVERY = 0.25
"""Seconds between two looks at who has aged: to rank thousands at every tick takes as long as the tick."""


class Queue:
    """Jobs in the order in which they go. A job is ranked when it comes, when `place` is told of a change, and as it ages."""

    def __init__(self) -> None:
        self._line: list[tuple[Rank, int, AnyJob]] = []  # sorted; the number, of arrival, tells equal ranks apart
        self._entries: dict[AnyJob, tuple[Rank, int, AnyJob]] = {}
        self._numbers = count()
        self._aged = 0.0

    def __len__(self) -> int:
        return len(self._line)

    def __contains__(self, job: AnyJob) -> bool:
        return job in self._entries

    def place(self, job: AnyJob, now: float) -> None:
        """Takes a job in, or finds its place anew after its priority or deadline has changed or its rows are done."""
        before = self._entries.get(job)
        self.remove(job)
        self._entries[job] = entry = urgency(job, now), before[1] if before else next(self._numbers), job
        insort(self._line, entry)

    def remove(self, job: AnyJob) -> bool:
        """False where it is not here."""
        entry = self._entries.pop(job, None)
        if entry is None:
            return False
        del self._line[bisect_left(self._line, entry)]
        return True

    def choose(self, now: float) -> list[AnyJob]:
        """The jobs of the next tick, where there are jobs: the most urgent one and those that can share its call.

        A less urgent job never rides along with a more urgent one: on a processor a larger call takes longer, and the urgent
        one would pay for it. A job whose rows are done is alone in its tick, in which it is decoded: so nobody waits for
        several decoders.
        """
        if len(self._line) < 2:
            return [job for _, _, job in self._line]
        if now >= self._aged + AGED_EVERY:
            self._age(now)
        (level, *_), _, first = self._line[0]
        if first.finished:
            return [first]
        batch, room = [first], first.network.batch_for(first.shape[1:]) - first.samples
        for rank, _, job in islice(self._line, 1, LOOKS):
            if room <= 0 or rank[0] != level:
                break
            if shares_call(first, job):
                room -= job.samples
                if room < 0:
                    break
                batch.append(job)
        return batch

    def _age(self, now: float) -> None:
        self._aged = now
        self._line = sorted((urgency(job, now), number, job) for _, number, job in self._line)
        self._entries = {entry[2]: entry for entry in self._line}


def urgency(job: AnyJob, now: float) -> Rank:
    level = job.priority + int((now - job.arrived) / AGEING_SECONDS)
    return -level, job.deadline, not job.finished, job.arrived


def shares_call(one: AnyJob, other: AnyJob) -> bool:
    alike = one.network is other.network and one.shape == other.shape and one.given.keys() == other.given.keys()
    return alike and not other.finished
