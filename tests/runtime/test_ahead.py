"""What is made ahead is what would be made at once, in order; what goes wrong is raised where it is wanted."""

import threading

import pytest

from cadenza.runtime.ahead import Ahead


@pytest.fixture
def ahead():
    made = Ahead("made ahead")
    yield made
    made.shutdown()


def test_results_are_those_of_the_calls_however_often_they_are_asked_for(ahead):
    later = [ahead.submit(pow, 2, k) for k in range(50)]
    assert [each.result() for each in reversed(later)] == [2**k for k in reversed(range(50))]
    assert later[7].result() == later[7].result() == 128


def test_an_error_is_raised_to_whoever_asks_and_the_next_is_made(ahead):
    broken, sound = ahead.submit(divmod, 1, 0), ahead.submit(divmod, 7, 2)
    assert sound.result() == (3, 1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken.result()


def test_who_asks_early_waits(ahead):
    gate = threading.Event()
    later, asked = ahead.submit(gate.wait), []
    asking = threading.Thread(target=lambda: asked.append(later.result()))
    asking.start()
    asking.join(0.05)
    assert not asked
    gate.set()
    asking.join()
    assert asked == [True]


def test_what_was_handed_over_before_the_end_is_made():
    ahead, made = Ahead("ending"), []
    for k in range(20):
        ahead.submit(made.append, k)
    ahead.shutdown()
    assert made == list(range(20))
