"""How long a plan takes to compile, in units of a loop of plain Python, so that a slow or busy machine changes nothing."""

import time

import pytest
from measured import PROCESSES

from cadenza.runtime import compile_plan
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.samplers import SAMPLERS

PROCESS, PREDICTION = PROCESSES["vp"]
PLAIN, CORRECTED = 1.5, 2.0
"""Loops that a 30-step plan may take, 1.7 times what the slowest did when this was written (gauss_legendre_3s, 465 rows: 0.85
and 1.1). A loop took 4.5 ms of processor time then."""


def loop():
    """Seconds of work like a tracer's: 20,000 dictionaries made and summed."""
    begun, total = time.process_time(), 0.0
    for k in range(20_000):
        for weight in {k: 1.0, k + 1: 2.0, k + 2: 3.0}.values():
            total += weight * 0.5
    return time.process_time() - begun


def loops(steps, name, **settings):
    """Loops that a plan takes to compile, the best of three, each beside a loop of its own time."""
    compile_plan(name, "karras", steps - 1, PROCESS, PREDICTION, **settings)  # what is only made once
    best = float("inf")
    for guidance in (2.0, 3.0, 4.0):  # compiled anew, not from the cache
        unit, begun = loop(), time.process_time()
        assert compile_plan(name, "karras", steps, PROCESS, PREDICTION, guidance=guidance, **settings).rows >= steps
        best = min(best, (time.process_time() - begun) / unit)
    return best


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_plan_of_thirty_steps_is_compiled_in_milliseconds(name):
    assert loops(30, name) < PLAIN


@pytest.mark.parametrize("name", [name for name, each in SAMPLERS.items() if each.order and "_cfg_pp" not in name])
def test_a_corrected_plan_of_thirty_steps_is_compiled_in_milliseconds(name):
    if name != "dpm_fast":  # which visits levels of its own
        assert loops(30, name, corrector="unic", **({"eta": 0.0} if "eta" in dials(name) else {})) < CORRECTED


def test_a_plan_of_a_thousand_ddpm_rows_is_compiled_in_a_tenth_of_a_second():
    """The aim is 150 ms; it takes about 4 loops, 20 ms."""
    assert loops(1000, "ddpm") < 12.0
