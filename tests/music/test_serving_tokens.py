"""The embedded model in the engine: a piece's bits depend on its recipe alone."""

from dataclasses import replace

import numpy as np
import pytest

from cadenza.assets.music.score import SCALES
from cadenza.assets.refusal import Refusal
from cadenza.runtime.engine.engine import Engine
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.conditions import Conditions
from cadenza.runtime.music.opened import token_job
from cadenza.runtime.music.progressions import drawn
from cadenza.runtime.music.resolve import resolve


def job_of(network, **asked):
    asked = {"prompt": "tense", "bars": 1, **asked}
    job = token_job(network, resolve(asked, network.bundle))
    job.on_error = lambda _, error: pytest.fail(str(error))
    return job


def finished(*jobs):
    """All of these in one engine, until the last is done; their tokens."""
    engine = Engine()
    for job in jobs:
        engine.add(job)
    while engine.tick():
        pass
    return [job.tokens for job in jobs]


def test_a_piece_is_the_same_alone_and_in_a_batch_of_eight(network):
    wanted = [dict(seed=seed, bars=1 + seed % 2, guidance=1.0 + seed % 3) for seed in range(8)]
    together = finished(*(job_of(network, **each) for each in wanted))
    for each, expected in zip(wanted, together, strict=True):
        (alone,) = finished(job_of(network, **each))
        np.testing.assert_array_equal(alone, expected)


def test_a_piece_is_the_same_where_others_join_while_it_is_made(network):
    (alone,) = finished(job_of(network, seed=3))
    engine, job = Engine(), job_of(network, seed=3)
    engine.add(job)
    for _ in range(7):
        engine.tick()
    for number in range(3):
        engine.add(job_of(network, seed=20 + number))
    while engine.tick():
        pass
    np.testing.assert_array_equal(job.tokens, alone)


def test_padded_calls_have_the_bits_of_padded_calls_whatever_is_beside_a_piece(network):
    padded = replace(network, fixed=8)
    wanted = [dict(seed=seed) for seed in range(3)]
    together = finished(*(job_of(padded, **each) for each in wanted))
    for each, expected in zip(wanted, together, strict=True):
        np.testing.assert_array_equal(finished(job_of(padded, **each))[0], expected)


def test_seeds_differ_and_a_seed_repeats(network):
    one, again, other = finished(job_of(network, seed=1), job_of(network, seed=1), job_of(network, seed=2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_greedy_does_not_hear_the_seed(network):
    one, other = finished(job_of(network, seed=1, temperature=0.0), job_of(network, seed=2, temperature=0.0))
    np.testing.assert_array_equal(one, other)


def test_another_intensity_keeps_chords_and_lead_and_changes_the_drums(network):
    calm, wild = finished(*(job_of(network, seed=5, bars=2, intensity=level) for level in (0.1, 0.95)))
    np.testing.assert_array_equal(calm[[t.CHORDS, t.LEAD]], wild[[t.CHORDS, t.LEAD]])
    assert (calm[t.DRUM] != wild[t.DRUM]).any()


def test_a_reseeded_stream_leaves_the_streams_before_it_alone(network):
    one, other = finished(job_of(network, seed=5, bars=2), job_of(network, seed=5, bars=2, reseeded={"drums": 77}))
    np.testing.assert_array_equal(one[[t.CHORDS, t.LEAD]], other[[t.CHORDS, t.LEAD]])


@pytest.mark.parametrize("asked", [dict(featuring=["lead", "drums"]), dict(prompt="tense with a melody and drums")])
def test_a_featured_stream_plays_from_the_first_beat(network, asked):
    jobs = [job_of(network, seed=seed, intensity=0.1, density=0.1, **asked) for seed in range(6)]
    for tokens in finished(*jobs):
        assert tokens[t.LEAD, 0] >= t.FIRST
        assert tokens[t.DRUM, 0] > 0


def test_a_progression_is_kept_to(network):
    (tokens,) = finished(job_of(network, bars=4, progression=[0, 5, 2, 6], seed=9))
    degrees = (t.harmony(tokens) - t.FIRST) // len(t.SHAPES)
    np.testing.assert_array_equal(degrees, np.repeat([0, 5, 2, 6], 16))


def test_chords_that_nobody_named_are_drawn_by_the_seed_and_named_in_the_recipe(network):
    ask = lambda seed, **more: resolve({"prompt": "tense, D minor", "seed": seed, **more}, network.bundle)  # noqa: E731
    assert len({ask(seed).recipe.progression for seed in range(30)}) > 15
    assert ask(3).recipe.progression == ask(3, intensity=0.9, bpm=150).recipe.progression
    again = resolve(ask(3).recipe.to_dict(), network.bundle)
    assert again.recipe.canonical == ask(3).recipe.canonical
    assert ask(3, reseeded={"chords": 4}).recipe.progression == ask(4).recipe.progression
    assert ask(3, progression=[]).recipe.progression == ()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("section", "bars"), [("loop", 8), ("loop", 20), ("intro", 4), ("ending", 4), ("stinger", 1)])
def test_drawn_chords_dwell_on_the_tonic_begin_or_end_there_and_move(scale, section, bars):
    for seed in range(40):
        chords = drawn(Conditions(scale=scale, section=section, bars=bars), seed)
        counts = np.bincount(chords, minlength=7)
        assert len(chords) == bars
        assert chords[-1 if section in ("ending", "stinger") else 0] == 0
        assert counts[0] > counts[1:].max()
        assert bars < 4 or counts[0] < bars


def test_under_a_progression_the_tonic_has_its_third(network):
    for tokens in finished(*(job_of(network, prompt="combat", seed=seed, bars=2) for seed in range(4))):
        struck = tokens[t.CHORDS][tokens[t.CHORDS] >= t.FIRST]
        assert set(struck[(struck - t.FIRST) // len(t.SHAPES) == 0].tolist()) == {t.chord(0)}


def test_without_a_progression_the_model_chooses(network):
    free = finished(*(job_of(network, seed=seed, bars=2, progression=[]) for seed in range(4)))
    assert any(t.chord_parts(int(word))[1] != t.SHAPES["triad"] for tokens in free for word in t.harmony(tokens))


def test_notes_are_in_the_key_and_the_loop_is_as_long_as_asked(network):
    for key in ("D minor", "F# lydian"):
        resolved = resolve({"prompt": "town", "key": key, "bars": 2, "signature": "3/4"}, network.bundle)
        (tokens,) = finished(token_job(network, resolved))
        score = t.to_score(tokens, resolved.conditions)
        inside = {(score.tonic + step) % 12 for step in SCALES[score.scale]}
        assert score.frames == tokens.shape[1] == 2 * 3 * 4
        assert all(note.pitch % 12 in inside for note in score.notes if note.stream)
        assert score.notes


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (dict(bpm=20), "bpm"),
        (dict(bpm=float("nan")), "bpm"),
        (dict(bars=0), "bars"),
        (dict(bars=2.5), "bars"),
        (dict(key="H minor"), "key"),
        (dict(top_k=-3), "top_k"),
        (dict(only=["violin"]), "only"),
        (dict(only=["drums"], mute=["drums"]), "mute"),
        (dict(mute=["drums", "bass", "chords", "arpeggio", "lead"]), "mute"),
        (dict(prompt="tense, 8 bars", bars=4), "bars"),
        (dict(prompt="tense, 90 bpm, 120 bpm"), "prompt"),
        (dict(prompt="tense in D minor", key="E minor"), "key"),
        (dict(prompt="qwerty asdf"), "prompt"),
        (dict(progression=[0, 9]), "progression"),
        (dict(featuring=["violin"]), "featuring"),
        (dict(featuring=["lead"], mute=["lead"]), "featuring"),
        (dict(prompt="tense with a melody", only=["drums"]), "featuring"),
        (dict(signature="7/8"), "signature"),
        (dict(steps=4), "steps"),
        (dict(reseeded={"violin": 3}), "reseeded"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(network, asked, field):
    with pytest.raises(Refusal) as refused:
        resolve({"prompt": "tense", **asked}, network.bundle)
    assert refused.value.field == field


def test_unknown_words_come_back_and_known_ones_do_what_the_table_says(network):
    resolved = resolve({"prompt": "dark sparkly town in Eb major, 120 bpm, 4 bars, wobble"}, network.bundle)
    assert resolved.ignored == ("sparkly", "wobble")
    c = resolved.conditions
    assert (c.styles, c.key, c.bpm, c.bars) == (("town",), "Eb major", 120.0, 4)
    assert c.brightness < resolve({"prompt": "town"}, network.bundle).conditions.brightness
