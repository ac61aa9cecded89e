"""Tokens and scores: nothing is lost between them, and nothing is out of key."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadenza.assets.music.score import SCALES, STREAMS
from cadenza.exporters.music.composer import piece
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.conditions import Conditions


@pytest.mark.parametrize("seed", range(60))
def test_a_piece_comes_back_from_its_score_as_the_same_tokens(seed):
    conditions, tokens = piece(seed)
    np.testing.assert_array_equal(t.from_score(t.to_score(tokens, conditions)), tokens)


def drawn(seed, frames):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, frames) for size in t.SIZES])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(SCALES)), st.integers(0, 11), st.sampled_from([3, 4, 5]))
def test_any_words_at_all_are_in_the_key_and_on_the_grid(seed, scale, tonic, beats):
    conditions = Conditions(bars=2, beats=beats, tonic=tonic, scale=scale)
    score = t.to_score(drawn(seed, conditions.frames), conditions)
    inside = {(tonic + step) % 12 for step in SCALES[scale]}
    for note in score.notes:
        assert 0 <= note.start < score.frames
        assert 1 <= note.length <= score.frames
        assert 1 <= note.velocity <= 127
        assert note.stream == t.DRUM or note.pitch % 12 in inside
        assert 0 <= note.pitch <= 127
    assert all(set(chord.pitches) <= inside for chord in score.chords)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_what_a_score_of_any_words_says_is_said_the_same_way_again(seed):
    conditions = Conditions(bars=2)
    score = t.to_score(drawn(seed, conditions.frames), conditions)
    assert t.to_score(t.from_score(score), conditions) == score


def test_another_key_moves_every_pitch_by_the_same_and_another_tempo_moves_nothing():
    conditions, tokens = piece(3)
    home = t.to_score(tokens, conditions)
    from dataclasses import replace

    there = t.to_score(tokens, replace(conditions, tonic=5, bpm=77.0))
    pitched = [(a, b) for a, b in zip(home.notes, there.notes, strict=True) if a.stream != t.DRUM]
    assert {b.pitch - a.pitch for a, b in pitched} == {5}
    assert [(n.start, n.length, n.stream) for n in home.notes] == [(n.start, n.length, n.stream) for n in there.notes]


@pytest.mark.parametrize("scale", SCALES)
def test_a_bass_plays_no_root_below_the_lowest_string_of_a_bass(scale):
    """E1; and none above C3, so that it stays under the chords."""
    roots = [
        t.melodic_note(t.BASS, 0, 4, t.onset(t.BASS, 0), t.chord(degree), Conditions(tonic=tonic, scale=scale)).pitch
        for tonic in range(12)
        for degree in range(7)
    ]
    assert min(roots) == 28
    assert max(roots) <= 51


def test_a_note_held_past_the_end_goes_round_the_loop():
    conditions = Conditions(bars=1)
    tokens = np.zeros((len(STREAMS), 16), np.int64)
    tokens[t.CHORDS, 0] = t.chord(0)
    tokens[t.LEAD, 14] = t.onset(t.LEAD, 0)
    tokens[t.LEAD, 15] = tokens[t.LEAD, 0] = tokens[t.LEAD, 1] = t.HOLD
    (note,) = (note for note in t.to_score(tokens, conditions).notes if note.stream == t.LEAD)
    assert (note.start, note.length) == (14, 4)


def test_voices_move_less_than_chords_in_root_position_would():
    rng = np.random.default_rng(0)
    led = rooted = 0
    for _ in range(200):
        before = t.voicing(t.chord(int(rng.integers(7))), None)
        word = t.chord(int(rng.integers(7)))
        degree, steps = t.chord_parts(word)
        led += sum(min(abs(p - b) for b in before) for p in t.voicing(word, before))
        rooted += sum(min(abs(degree + s - b) for b in before) for s in steps)
    assert led < 0.75 * rooted


def test_a_step_outside_of_a_streams_range_is_refused():
    with pytest.raises(ValueError, match=r"step 30 of lead is not in -3\.\.17"):
        t.onset(t.LEAD, 30)
