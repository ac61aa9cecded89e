"""The composer: what its labels promise is in its notes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from cadenza.exporters.music.composer import compose, invent, piece
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.conditions import STYLES, Conditions


def onsets(tokens):
    return sum(int((tokens[k] >= t.FIRST).sum()) for k in (t.BASS, t.CHORDS, t.ARPEGGIO, t.LEAD)) + int(
        sum(bin(word).count("1") for word in tokens[t.DRUM])
    )


def test_the_same_seed_is_the_same_piece_and_another_seed_another():
    (_, one), (_, again), (_, other) = piece(5), piece(5), piece(6)
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or (one != other).any()


@pytest.mark.parametrize("style", STYLES)
def test_more_intensity_is_more_onsets_and_leaves_chords_and_lead_alone(style):
    levels = np.linspace(0, 1, 11)
    counts = np.zeros(len(levels))
    for seed in range(8):
        made = [
            compose(Conditions(styles=(style,), intensity=float(level)), np.random.default_rng(seed))
            for level in levels
        ]
        counts += [onsets(tokens) for tokens in made]
        for tokens in made[1:]:
            np.testing.assert_array_equal(tokens[[t.CHORDS, t.LEAD]], made[0][[t.CHORDS, t.LEAD]])
    assert spearmanr(levels, counts).statistic >= 0.95


def test_a_loops_last_chord_leads_back_and_is_not_the_first():
    rng = np.random.default_rng(0)
    led = 0
    for seed in range(100):
        conditions = replace(invent(rng), section="loop", bars=8)
        words = t.harmony(compose(conditions, np.random.default_rng(seed)))
        led += (words[-1] - t.FIRST) // len(t.SHAPES) != (words[0] - t.FIRST) // len(t.SHAPES)
    assert led >= 85


def test_motifs_return():
    """Two bars of a lead come again with the same rhythm in the same eight bars, in most pieces that have a lead."""
    returned = with_lead = 0
    for seed in range(80):
        tokens = compose(Conditions(styles=("victory",), density=0.7), np.random.default_rng(seed))
        lead = tokens[t.LEAD].reshape(4, 32)
        sounding = [tuple(unit >= t.FIRST) for unit in lead if (unit >= t.FIRST).any()]
        with_lead += len(sounding) > 1
        returned += len(sounding) > 1 and len(set(sounding)) < len(sounding)
    assert with_lead >= 40
    assert returned >= 0.8 * with_lead


@pytest.mark.parametrize("section", ["intro", "fill", "ending", "stinger"])
def test_sections_do_what_they_are_for(section):
    made = [
        compose(Conditions(section=section, bars=2, intensity=0.7), np.random.default_rng(seed)) for seed in range(20)
    ]
    if section == "intro":
        assert all((tokens[t.DRUM, :16] == 0).all() for tokens in made)
    if section == "fill":
        assert all((tokens[t.DRUM, -8:] > 0).sum() >= 4 for tokens in made)
    if section == "ending":
        assert all((t.harmony(tokens)[-1] - t.FIRST) // len(t.SHAPES) == 0 for tokens in made)
        assert all((tokens[t.DRUM, 17:] == 0).all() for tokens in made)
    if section == "stinger":
        assert all((tokens[t.LEAD] >= t.FIRST).sum() in (3, 4) for tokens in made)
