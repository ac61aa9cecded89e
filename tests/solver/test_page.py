"""SAMPLERS.md says what the registry says."""

import re

import pytest

from cadenza.runtime.solver.page import PAGE, page

MEASURED = re.compile(r"(\d\.\d) / (\d\.\d)")


def test_the_page_of_samplers_is_current():
    """Written anew by `python -m cadenza.runtime.solver.page`; measured orders may differ in their last digit."""
    kept, made = PAGE.read_text(encoding="utf-8"), page()
    assert MEASURED.sub("", kept) == MEASURED.sub("", made)
    kept_orders, made_orders = ([float(n) for pair in MEASURED.findall(text) for n in pair] for text in (kept, made))
    assert kept_orders == pytest.approx(made_orders, abs=0.11)
