"""Pieces as a game gets them, heard by analyses that share no code with what makes them; `served.py` prints the figures."""

import numpy as np
import pytest
from served import keys, levels, pieces, tempo_ratio, transcribed, wanted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),  # 27 pieces of eight bars: a minute, but many on a busy machine
    pytest.mark.filterwarnings("ignore:Possible clipped samples:UserWarning"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        return list(pieces(wanted(2026)))


def test_a_listener_finds_tonic_and_mode_in_four_of_five_pieces(served):
    """By two chromas, each with two tables of profiles."""
    found = [keys(piece) for piece in served]
    shares = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
    assert min(shares.values()) >= 0.8, shares


def test_no_piece_is_silent_clips_or_stands_off_zero_and_all_are_as_loud_as_asked(served):
    for piece in served:
        level = levels(piece)
        assert level["peak"] < -0.9, piece.recipe
        assert level["offset"] < -60, piece.recipe
        assert level["quietest"] > -80, piece.recipe
        assert level["off"] < 0.5, piece.recipe


def test_a_transcriber_hears_four_of_five_notes_of_bass_and_lead(served):
    found = [transcribed(piece) for piece in served]
    for stream in ("bass", "lead"):
        shares = [each[stream] for each in found if stream in each]
        assert np.mean(shares) >= 0.8, (stream, shares)


def test_the_tempo_is_heard_within_half_a_percent(served):
    """Or half or twice of it, as listeners do too."""
    ratios = [tempo_ratio(piece) for piece in served]
    right = [any(abs(ratio * times - 1) < 0.005 for times in (0.5, 1, 2)) for ratio in ratios]
    assert np.mean(right) >= 0.8, ratios
