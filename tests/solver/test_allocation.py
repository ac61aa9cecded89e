"""A layout is taken over from a trace that sums the same symbols, and changes nothing."""

import pytest
from measured import PROCESSES

from cadenza.runtime import compile_plan
from cadenza.runtime.solver import allocation
from cadenza.runtime.solver.compile import _compiled
from cadenza.runtime.solver.samplers import SAMPLERS

PROCESS, PREDICTION = PROCESSES["vp"]


def compiled(name, **dials):
    _compiled.cache_clear()
    return compile_plan(name, "karras", 9, PROCESS, PREDICTION, **dials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_plan_on_a_layout_of_another_is_the_plan_laid_out_anew(name):
    allocation.LAYOUTS.clear()
    anew = compiled(name, guidance=3.0)
    allocation.LAYOUTS.clear()
    compiled(name, guidance=7.0)
    assert len(allocation.LAYOUTS) == 1
    assert compiled(name, guidance=3.0).digest == anew.digest
    assert len(allocation.LAYOUTS) == 1


def test_a_trace_that_sums_other_symbols_has_a_layout_of_its_own():
    allocation.LAYOUTS.clear()
    compiled("heun", guidance=3.0)
    assert compiled("heun").evaluations < compiled("heun", guidance=3.0).evaluations
    assert len(allocation.LAYOUTS) == 2


def test_only_so_many_layouts_are_kept(monkeypatch):
    monkeypatch.setattr(allocation, "KNOWN", 3)
    for steps in range(1, 8):
        compile_plan("heun", "karras", steps, PROCESS, PREDICTION, guidance=1.0 + steps / 7)
    assert len(allocation.LAYOUTS) <= 3
