"""The scheduler's promises, on models that only take time: a clock of the tests' own, CALL seconds a model call."""

import gc
import logging
import random
import threading
import weakref

import numpy as np
import pytest
from toy import CHANNELS

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.engine.backends import open_backend
from cadenza.runtime.engine.engine import Engine
from cadenza.runtime.engine.job import Job
from cadenza.runtime.engine.network import CELLS_PER_CALL, Network
from cadenza.runtime.engine.proof import Proof
from cadenza.runtime.engine.queue import AGEING_SECONDS
from cadenza.runtime.runtime import Runtime

CALL = 0.01
SMALL, LARGE = (CHANNELS, 8, 8), (CHANNELS, 16, 16)


class World:
    """An engine whose clock moves by CALL for each model call, and a record of who was served when."""

    def __init__(self, bundle):
        load = open_backend("null")
        self.now, self.call, self.calls, self.ended, self.failed = 0.0, CALL, [], [], []
        self.engine = Engine(clock=lambda: self.now)
        self.network = Network(bundle, load(bundle.path("step"), 1), load(bundle.path("decode"), 1), Proof(None))
        real = self.network.evaluate

        def evaluate(latents, times, conditions, inputs):
            self.now += self.call
            return real(latents, times, conditions)

        self.network.evaluate = evaluate

    def job(self, name, steps=4, shape=LARGE, guidance=1.0, **terms):
        plan = compile_plan("euler", "normal", steps, Process.flow(), "flow", guidance)
        job = Job(
            network=self.network,
            plan=plan,
            shape=shape,
            begin=lambda: np.ones((plan.slots, *shape), np.float32),
            condition=np.zeros((2, 7), np.float32),
            draw=lambda k: np.zeros(shape, np.float32),
            on_row=lambda job: self.calls.append((self.engine.account.ticks, job)),
            on_done=lambda job: self.ended.append((self.engine.account.ticks, job)),
            on_error=lambda job, error: self.failed.append(job),
            **terms,
        )
        job.name = name
        self.engine.add(job)
        return job

    def run(self, ticks=100_000):
        while ticks and self.engine.tick():
            ticks -= 1

    def served(self, tick):
        return [job for when, job in self.calls if when == tick]


@pytest.fixture
def world(bundle):
    return World(bundle)


def crowd(world, seed, count=40):
    """Random jobs of low priority, some of them half way."""
    draw = random.Random(seed)
    for number in range(count):
        shape, guidance = draw.choice([SMALL, LARGE]), draw.choice([1.0, 2.0])
        world.job(number, draw.randint(1, 9), shape, guidance, priority=draw.randint(-3, 3))
        world.run(draw.randint(0, 2))


@pytest.mark.parametrize("seed", range(20))
def test_an_urgent_job_waits_for_no_tick_that_begins_after_it(world, seed):
    crowd(world, seed)
    before = world.engine.account.ticks
    urgent = world.job("urgent", steps=5, priority=50)
    world.run()
    served = [tick for tick, job in world.calls if job is urgent]
    assert served == list(range(before + 1, before + 6))
    assert all(world.served(tick) == [urgent] for tick in served), "nobody may ride along and make its calls longer"
    assert (before + 6, urgent) in world.ended


def test_who_waits_for_a_job_hears_of_its_end_before_the_next_call_begins(world, monkeypatch):
    heard, ended, rests = threading.Event(), threading.Event(), []

    def rest(seconds):  # as long as it takes on this machine, which may be busy
        rests.append((world.engine.account.ticks, seconds))
        assert heard.wait(10)

    monkeypatch.setattr("cadenza.runtime.engine.engine.time.sleep", rest)
    waiting = threading.Thread(target=lambda: ended.wait() and heard.set())
    waiting.start()
    first = world.job("waited for", steps=1, priority=1)
    first.on_done = lambda job: ended.set()
    world.job("next")
    try:
        world.run()
    finally:
        ended.set()
        waiting.join()
    ((tick, seconds),) = rests  # none at the end of the last, which nobody waits behind
    assert tick == 2
    assert 0 < seconds < 1e-3


@pytest.mark.parametrize("seed", range(20))
def test_every_call_is_of_one_shape_and_level_and_no_larger_than_it_may_be(world, seed):
    crowd(world, seed)
    world.run()
    assert len(world.ended) == 40
    for tick in {tick for tick, _ in world.calls}:
        served = world.served(tick)
        assert len({job.shape for job in served}) == 1
        assert len({job.priority for job in served}) == 1  # no job of the crowd waits long enough to age
        samples = sum(2 if job.plan.guided[0] else 1 for job in served)
        assert samples * served[0].shape[1] * served[0].shape[2] <= CELLS_PER_CALL


@pytest.mark.parametrize("seed", range(5))
def test_a_tick_ends_one_job_at_most_and_calls_no_model_then(world, seed):
    crowd(world, seed)
    world.run()
    ends = [tick for tick, _ in world.ended]
    assert len(set(ends)) == len(ends)
    assert not set(ends) & {tick for tick, _ in world.calls}


def test_nothing_starves_under_an_endless_stream_of_more_urgent_jobs(world):
    world.call = 1.0
    low = world.job("low", steps=3, priority=-2)
    for number in range(200):
        world.job(number, steps=1, priority=3)
        world.run(2)
        if low.finished:
            break
    assert low.finished
    assert world.now <= 6 * AGEING_SECONDS + 3 + 2


def test_at_equal_priority_the_earliest_deadline_goes_first_and_then_who_came_first(world):
    deadlines = [50.0, 10.0, float("inf"), 30.0, float("inf"), 20.0]
    jobs = [world.job(i, steps=2, shape=(CHANNELS, 32, 32), deadline=d) for i, d in enumerate(deadlines)]
    world.run()
    assert [job for _, job in world.ended] == [jobs[i] for i in (1, 5, 3, 0, 2, 4)]


@pytest.mark.parametrize("seed", range(10))
def test_a_cancelled_job_is_served_no_more_and_its_neighbours_end_as_if_it_had_never_been(world, seed):
    draw = random.Random(seed)
    jobs = [world.job(i, draw.randint(2, 8)) for i in range(12)]
    world.run(draw.randint(1, 10))
    gone = draw.sample([job for job in jobs if job in world.engine.jobs], 4)
    assert all(world.engine.remove(job) for job in gone)
    rows = [job.row for job in gone]
    world.run()
    assert [job.row for job in gone] == rows
    assert not any(world.engine.remove(job) for job in gone)
    left = [job for job in jobs if job not in gone]
    assert {job for _, job in world.ended} >= set(left)
    for job in left:
        alone = World(world.network.bundle)
        same = alone.job("alone", job.plan.rows)
        alone.run()
        np.testing.assert_array_equal(job.latent, same.latent)


def test_a_job_whose_priority_is_raised_between_ticks_is_next(world):
    jobs = [world.job(i, steps=5, shape=(CHANNELS, 32, 32)) for i in range(6)]
    world.run(2)
    world.engine.hurry(jobs[4], 9, jobs[4].deadline)
    world.run(5)
    assert jobs[4].finished
    assert not any(job.finished for job in jobs if job is not jobs[4])


def test_a_model_that_fails_ends_the_jobs_of_its_call_and_no_others(world):
    large = [world.job(i, steps=3, priority=1) for i in range(3)]
    small = [world.job(i, steps=3, shape=SMALL) for i in range(3)]
    evaluate = world.network.evaluate

    def failing(latents, times, conditions, inputs):
        if latents.shape[1:] == LARGE and world.now >= CALL:
            raise MemoryError("no memory for this call")
        return evaluate(latents, times, conditions, inputs)

    world.network.evaluate = failing
    world.run()
    assert world.failed == large
    assert [job for _, job in world.ended] == small
    assert not world.engine.jobs


@pytest.mark.parametrize("fault", ["begin", "inputs", "advance"])
def test_a_job_that_fails_by_itself_ends_alone_and_its_neighbours_have_their_bits(world, fault):
    plain = [world.job(i, steps=3, shape=SMALL) for i in range(3)]
    world.run()
    alone = [job.latent for job in plain]
    world.calls.clear(), world.ended.clear()

    def failing(*_):
        raise ZeroDivisionError("its own")

    jobs = [world.job(i, steps=3, shape=SMALL) for i in range(3)]
    setattr(jobs[1], fault, failing)
    world.run()
    assert world.failed == [jobs[1]]
    assert [job for _, job in world.ended] == [jobs[0], jobs[2]]
    assert world.engine.account.failed == 1
    for job, latent in zip(jobs, alone, strict=True):
        assert job is jobs[1] or np.array_equal(job.latent, latent)
        assert job is jobs[1] or [j for _, j in world.calls].count(job) == 3
    assert not world.engine.jobs


@pytest.mark.parametrize("fault", ["begin", "advance", "network"])
def test_a_job_that_failed_is_given_back_at_once(world, fault, monkeypatch):
    monkeypatch.setattr(logging.getLogger("cadenza"), "disabled", True)  # pytest keeps what is logged, with its frames

    def failing(*_):
        raise ZeroDivisionError("its own")

    job = world.job("failing", shape=SMALL)
    setattr(*((world.network, "evaluate") if fault == "network" else (job, fault)), failing)
    gc.disable()
    try:
        world.run()
        assert world.failed == [job]
        world.failed.clear(), world.calls.clear()
        alive = weakref.ref(job)
        del job
        assert alive() is None
    finally:
        gc.enable()


def test_guided_rows_are_evaluated_twice_and_others_once(world):
    world.job("plain", steps=4)
    world.job("guided", steps=4, guidance=3.0)
    world.run()
    assert world.engine.account.samples == 4 + 8


def test_through_the_runtime_an_urgent_request_waits_for_the_tick_that_runs_and_no_other(bundle):
    with Runtime([bundle.folder], "null:10") as runtime:
        account = runtime._engine.account
        crowd = [
            runtime.submit({"prompt": "stone", "seed": seed, "steps": 20, "sampler": "euler"}) for seed in range(64)
        ]
        for seed in range(10):
            rows = []
            asked = {"prompt": "stone", "seed": 1000 + seed, "steps": 4, "sampler": "euler"}
            before = account.ticks
            runtime.submit(asked, priority=9, on_event=lambda work, rows=rows: rows.append(account.ticks)).wait(20)
            assert rows[0] - before <= 2  # the tick that ran, then its own first row
            assert rows == list(range(rows[0], rows[0] + 5))
        assert any(work.state != "done" for work in crowd), "the load must have lasted"
        for work in crowd:
            runtime.cancel(work)
