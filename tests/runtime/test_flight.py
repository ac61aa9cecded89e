"""What the backlog says is ahead of a request equals a count made anew, whatever came and went."""

import random
from types import SimpleNamespace

import pytest

from cadenza.runtime.flight import Backlog


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
