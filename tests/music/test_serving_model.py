"""The shipped music model keeps what it is asked for; `python -m cadenza.exporters.music.evaluate` prints the figures."""

import pytest

from cadenza.exporters.music.evaluate import hears_intensity, seam
from cadenza.runtime.bundles import EMBEDDED


@pytest.mark.slow
def test_more_intensity_is_more_onsets(network):
    correlations = hears_intensity(network, levels=8, seeds=2, bars=4)
    assert min(correlations.values()) >= 0.9, correlations


@pytest.mark.slow
def test_a_loops_end_leads_to_its_start_as_any_bar_leads_to_the_next(network):
    assert seam(network, loops=8, bars=8)["ratio"] <= 1.1


def test_the_bundle_is_small_enough_to_ship():
    folder = EMBEDDED / "music"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12_000_000
