"""What a worker makes is what would be made at once, in order; what goes wrong is raised where it is wanted."""

import gc
import threading
import weakref
from functools import partial

import pytest

from cadenza.runtime.worker import Worker


@pytest.fixture
def worker():
    made = Worker("beside")
    yield made
    made.close()


def test_results_are_those_of_the_calls_however_often_they_are_asked_for(worker):
    later = [worker.make(pow, 2, k) for k in range(50)]
    assert [each.result() for each in reversed(later)] == [2**k for k in reversed(range(50))]
    assert later[7].result() == later[7].result() == 128


def test_an_error_is_raised_to_whoever_asks_and_the_next_is_made(worker):
    broken, sound = worker.make(divmod, 1, 0), worker.make(divmod, 7, 2)
    assert sound.result() == (3, 1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken.result()


def test_who_asks_early_waits(worker):
    gate = threading.Event()
    later, asked = worker.make(gate.wait), []
    asking = threading.Thread(target=lambda: asked.append(later.result()))
    asking.start()
    asking.join(0.05)
    assert not asked
    gate.set()
    asking.join()
    assert asked == [True]


def test_what_was_handed_over_before_the_end_is_done():
    worker, done = Worker("ending"), []
    for k in range(20):
        worker.do(partial(done.append, k))
    worker.close()
    assert done == list(range(20))


def test_what_is_dropped_is_not_begun_and_what_was_begun_is_done():
    worker, done, begun, gate = Worker("ending"), [], threading.Event(), threading.Event()

    def first():
        begun.set()
        gate.wait()
        done.append("first")

    worker.do(first)
    worker.do(partial(done.append, "second"))
    begun.wait()
    threading.Timer(0.05, gate.set).start()
    worker.close(drop=True)
    assert done == ["first"]


def test_a_task_that_raises_is_logged_and_the_next_is_done(worker, caplog):
    done = []
    worker.do(partial(divmod, 1, 0))
    worker.do(partial(done.append, "next"))
    assert worker.make(len, done).result() == 1
    assert "beside" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_nothing_of_a_task_that_is_done_is_kept_while_the_next_is_waited_for(worker):
    class Held:
        def __call__(self): ...

    held = Held()
    alive = weakref.ref(held)
    worker.do(held)
    del held
    worker.make(len, "").result()
    assert alive() is None


def test_who_had_something_made_and_never_asked_for_it_is_not_kept_by_it(worker):
    class Asking:
        def make(self): ...

    asking = Asking()
    alive = weakref.ref(asking)
    asking.later = worker.make(asking.make)
    worker.make(len, "").result()
    gc.disable()
    try:
        del asking
        assert alive() is None
    finally:
        gc.enable()


def test_several_threads_share_the_tasks_of_one_worker_and_all_of_them_end():
    worker, both = Worker("pair", 2), threading.Barrier(2)
    first, second = worker.make(both.wait, 5), worker.make(both.wait, 5)
    assert {first.result(), second.result()} == {0, 1}
    worker.close()
    assert not any(thread.is_alive() for thread in worker._threads)


def test_who_does_not_wait_for_the_end_goes_on_and_the_thread_ends_by_itself():
    worker, gate, begun = Worker("left"), threading.Event(), threading.Event()
    worker.do(lambda: (begun.set(), gate.wait(5)))
    begun.wait()
    worker.close(drop=True, wait=False)
    (thread,) = worker._threads
    assert thread.is_alive()
    gate.set()
    thread.join(5)
    assert not thread.is_alive()
