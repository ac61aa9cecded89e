"""What the backlog says is ahead of a request, and what a flight says of its works, equals a count made anew, whatever came
and went."""

import random
from types import SimpleNamespace

import pytest

from cadenza.runtime.flight import Backlog, Flight


@pytest.mark.parametrize("seed", range(20))
def test_what_is_ahead_equals_a_count_made_anew(seed):
    draw, backlog, flights = random.Random(seed), Backlog(), []
    for _ in range(300):
        move = draw.random()
        if move < 0.5 or not flights:
            flights.append(SimpleNamespace(priority=draw.randint(-3, 3), expected_ms=draw.random() * 50, filed=None))
            backlog.file(flights[-1])
        elif move < 0.8:
            flight = draw.choice(flights)
            flight.priority, flight.expected_ms = draw.randint(-3, 3), draw.random() * 50
            backlog.file(flight)
        else:
            backlog.strike(flights.pop(draw.randrange(len(flights))))
        asked = draw.randint(-4, 4)
        before = [flight for flight in flights if flight.priority >= asked]
        count, left_ms = backlog.ahead(asked)
        assert count == len(before)
        assert left_ms == pytest.approx(sum(flight.expected_ms for flight in before), abs=1e-6)
    for flight in flights:
        backlog.strike(flight)
        backlog.strike(flight)  # once more changes nothing
    assert backlog.ahead(-100) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_flight_is_as_urgent_as_the_most_urgent_of_its_works(seed):
    draw, flight, works = random.Random(seed), Flight(None, None), []
    assert (flight.priority, flight.deadline) == (0, float("inf"))
    for _ in range(200):
        if draw.random() < 0.6 or not works:
            deadline = draw.choice([float("inf"), draw.randint(0, 9)])
            works.append(Asking(draw.randint(-3, 3), deadline))
            flight.join(works[-1])
        else:
            flight.leave(works.pop(draw.randrange(len(works))))
        assert list(flight.works) == works
        assert flight.priority == max((work.priority for work in works), default=0)
        assert flight.deadline == min((work.deadline for work in works), default=float("inf"))


def test_who_joins_or_leaves_thousands_is_the_only_one_looked_at():
    flight, works = Flight(None, None), [Asking(0, float(number)) for number in range(1000)]
    for change in (flight.join, flight.leave):
        for work in works:
            change(work)
            assert flight.priority == 0
            assert flight.deadline >= 0
    assert max(work.asked for work in works) == 2


class Asking:
    """A work that counts how often it is asked for its priority."""

    def __init__(self, priority, deadline):
        self._priority, self.deadline, self.asked = priority, deadline, 0

    @property
    def priority(self):
        self.asked += 1
        return self._priority
