"""The bench of music: every figure is there, and each measures what it says."""

import time

import numpy as np
import pytest

from cadenza.bindings import figures_music
from cadenza.bindings.command import bench
from cadenza.bridge.bars import StreamBar
from cadenza.runtime.bundles import EMBEDDED

BUNDLE = EMBEDDED / "music"


@pytest.mark.slow
def test_every_figure_is_there(monkeypatch, tmp_path):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    monkeypatch.setattr(figures_music, "PLAYED_S", 4.0)
    monkeypatch.setattr(figures_music, "WARM_S", 4.0)
    found = bench.measure_music(BUNDLE, rounds=1, threads=2)
    assert set(found["targets"]) <= set(found)
    assert found["real_time_factor"] > 1
    assert 0 < found["model_ms"] + found["render_ms"] <= found["piece_ms"]
    assert (found["steering_bars_ahead_1"], found["steering_bars_ahead_2"]) == (2, 3)
    assert found["streams_bars"] >= len(figures_music.STREAMS)


class Slow:
    """A stream of one-second bars that come when told."""

    rate = 48000

    def __init__(self):
        self.there = 0

    def poll(self):
        if not self.there:
            return None
        self.there -= 1
        return StreamBar(0, np.zeros((48000, 2), np.float32), 0, 0, {}, {}, (), "", 0, False)


def test_a_bar_that_is_not_there_when_the_one_before_ends_is_one_under_run_however_often_it_is_asked_for():
    head, began = figures_music._Head(Slow()), time.perf_counter()
    head.ends, head.music.there = began, 2
    for now in (0.0, 0.5, 1.01):
        head.listen(began + now)
    assert (head.bars, head.late) == (2, 0)
    for now in (2.02, 2.1, 2.5):
        head.listen(began + now)
    assert (head.bars, head.late) == (2, 1)
    head.music.there = 1
    for now in (2.6, 3.0, 3.7):
        head.listen(began + now)
    assert (head.bars, head.late) == (3, 2)
