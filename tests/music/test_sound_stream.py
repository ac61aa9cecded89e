"""Bar by bar: the same bytes as the whole, in any order, also where the limiter works."""

import numpy as np
import pytest
from sound_scores import score

from cadenza.assets.music.render import render
from cadenza.assets.music.stream import Stream
from cadenza.assets.refusal import OutOfRange


@pytest.mark.parametrize(("style", "loudness"), [("ambient", -23.0), ("combat", -11.0)])
def test_bars_put_together_are_the_whole_byte_for_byte(rendered, style, loudness):
    whole = rendered(style, loudness=loudness)
    assert (whole.limited_db < 0) == (loudness == -11)
    stream = Stream(score(1, style, 4), gain_db=whole.gain_db)
    chunks = list(stream)
    assert len(chunks) == len(stream) == 4
    assert np.concatenate(chunks).tobytes() == whole.audio.tobytes()
    for bar in range(4):
        start, end = stream.span(bar)
        for name, stem in stream.stems(bar).items():
            assert stem.tobytes() == whole.stems[name][start:end].tobytes()


def test_bars_may_be_asked_for_in_any_order(rendered):
    whole = rendered("combat", loudness=-11.0)
    stream = Stream(score(1, "combat", 4), loudness=-11.0)
    assert stream.master.gain_db == whole.gain_db
    for bar in (3, 1, 1, 0, 2):
        start, end = stream.span(bar)
        assert stream.chunk(bar).tobytes() == whole.audio[start:end].tobytes()


def test_one_bar_that_rings_longer_than_itself(rendered):
    piece = score(5, "ambient", 1, bpm=160.3)
    assert next(iter(Stream(piece))).tobytes() == render(piece).audio.tobytes()


def test_a_bar_that_is_not_there_is_refused():
    stream = Stream(score(1, "combat", 2), gain_db=-10.0)
    for bar in (-1, 2, True):
        with pytest.raises(OutOfRange, match="bar"):
            stream.chunk(bar)
