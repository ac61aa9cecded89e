"""The order of jobs: the same as looking at all of them before every tick, without doing so."""

import random
from dataclasses import dataclass, field
from itertools import accumulate

import pytest

from cadenza.runtime.engine import queue
from cadenza.runtime.engine.queue import AGED_EVERY, AGEING_SECONDS, Queue, shares_call, urgency

ROOM = 4


class Shapes:
    """A network whose calls take ROOM samples."""

    def batch_for(self, size):
        return ROOM


NETWORKS = Shapes(), Shapes()


@dataclass(eq=False)
class Waiting:
    number: int
    network: Shapes
    shape: tuple[int, int, int]
    samples: int
    priority: int
    deadline: float
    arrived: float
    finished: bool = False
    given: dict = field(default_factory=dict)


def by_looking_at_all(jobs, now):
    """What `Queue.choose` promises: jobs come in the order of their arrival, so that equals stay in it."""
    ranked = sorted(jobs, key=lambda job: urgency(job, now))
    if not ranked or ranked[0].finished:
        return ranked[:1]
    level = urgency(ranked[0], now)[0]
    peers = [job for job in ranked if urgency(job, now)[0] == level and shares_call(ranked[0], job)]
    samples = accumulate(job.samples for job in peers)
    return [job for job, total in zip(peers, samples, strict=True) if total <= ROOM or job is ranked[0]]


@pytest.mark.parametrize("seed", range(30))
def test_the_next_tick_is_that_of_all_jobs_ranked_anew(seed):
    draw, line, jobs, now = random.Random(seed), Queue(), [], 0.0
    for number in range(400):
        now += draw.choice([0.0, AGED_EVERY, 3.0])  # nothing but looks at who has aged in between
        if draw.random() < 0.55:
            deadline = draw.choice([float("inf"), now + draw.randint(0, 20)])
            shape = (1, draw.choice([8, 16]), 8)
            made = Waiting(number, draw.choice(NETWORKS), shape, draw.randint(1, 2), draw.randint(-1, 2), deadline, now)
            jobs.append(made)
            line.place(made, now)
        changed = draw.choice([*jobs, None])
        what = draw.randrange(4)
        if changed is not None and what < 3:
            if what == 0:
                changed.finished = True
            elif what == 1:
                changed.priority += draw.randint(-2, 2)
            else:
                changed.deadline = now + draw.randint(0, 20)
            line.place(changed, now)
        elif changed is not None:
            jobs.remove(changed)
            assert line.remove(changed)
            assert not line.remove(changed)
        line._aged = -AGED_EVERY  # a look at every tick: when it comes is a matter of speed
        assert line.choose(now) == by_looking_at_all(jobs, now)
        assert len(line) == len(jobs)
        assert all(job in line for job in jobs)


def test_a_tick_among_thousands_ranks_none_of_them(monkeypatch):
    line, ranked = Queue(), []
    for number in range(4000):
        line.place(Waiting(number, NETWORKS[0], (1, 8, 8), 1, 0, float("inf"), 1e-3 * number), 4.0)
    assert len(line.choose(4.0)) == ROOM
    monkeypatch.setattr(queue, "urgency", lambda job, now: ranked.append(job) or urgency(job, now))
    for tick in range(10):
        assert [job.number for job in line.choose(4.0 + 0.01 * tick)] == list(range(ROOM))
    assert not ranked


def test_a_lone_size_among_thousands_of_another_looks_at_few_of_them(monkeypatch):
    line, looked = Queue(), []
    alone = Waiting(-1, NETWORKS[0], (1, 16, 16), 1, 0, float("inf"), 0.0)
    line.place(alone, 0.0)
    for number in range(4000):
        line.place(Waiting(number, NETWORKS[0], (1, 8, 8), 1, 0, float("inf"), 1.0), 1.0)
    monkeypatch.setattr(queue, "shares_call", lambda one, other: looked.append(other) or shares_call(one, other))
    assert line.choose(1.0) == [alone]
    assert len(looked) < queue.LOOKS


def test_who_has_waited_long_enough_goes_first_though_nothing_else_happens():
    line = Queue()
    old = Waiting(0, NETWORKS[0], (1, 8, 8), 1, 0, float("inf"), 0.0)
    new = Waiting(1, NETWORKS[0], (1, 8, 8), 1, 1, float("inf"), AGEING_SECONDS)
    line.place(old, 0.0)
    line.place(new, AGEING_SECONDS)
    assert line.choose(AGEING_SECONDS) == [old, new]  # of one level by now: the earlier one first
    assert line.choose(2 * AGEING_SECONDS - AGED_EVERY)[0] is old
