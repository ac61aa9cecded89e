"""What is expected of a model follows what it takes, and neither one standstill nor a slow hour refuses deadlines for good."""

import time

import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime.engine.pace import PASSES_S, Pace
from cadenza.runtime.runtime import Runtime


def paced(*seconds):
    pace = Pace()
    for number, each in enumerate(seconds):
        pace.note(each, 0.01 * number)
    return pace


def test_nothing_is_expected_of_what_was_never_measured_and_then_what_was():
    assert Pace().expected() == 0.0
    assert paced(0.25).expected(0.0) == 0.25


@pytest.mark.parametrize("becomes", [0.1, 1.0, 20.0])
def test_what_lasts_is_believed(becomes):
    pace = paced(*[1.0] * 10, *[becomes] * 60)
    assert pace.expected(0.7) == pytest.approx(becomes, rel=0.05)


def test_one_standstill_is_not():
    assert paced(*[1.0] * 10, 1e6).expected(0.1) < 1.25


def test_slowness_passes_where_nothing_is_measured_down_to_the_quickest_and_no_further():
    pace = paced(0.01, *[1.0] * 60)
    waits = [pace.expected(PASSES_S * k) for k in range(20)]
    assert waits == sorted(waits, reverse=True)
    assert 0.01 <= waits[-1] < 0.011
    assert Pace(0.5, 0.5, 0.0).expected(1e9) == 0.5


def test_a_deadline_that_a_slow_minute_refused_is_taken_when_it_has_passed(bundle):
    asked = {"prompt": "stone", "size": 64, "steps": 2}
    with Runtime([bundle.folder], "null") as runtime:
        for seed in range(3):
            runtime.submit({**asked, "seed": seed}).wait(20)
        network = runtime.networks[bundle.digest]
        network.cell.average, network.cell.measured = 10.0, time.perf_counter()
        with pytest.raises(Refusal) as refused:
            runtime.submit({**asked, "seed": 4}, deadline_ms=60_000, late="fail")
        assert refused.value.code == "deadline"
        network.cell.measured -= 100 * PASSES_S
        assert runtime.submit({**asked, "seed": 4}, deadline_ms=60_000, late="fail").wait(20).digest
