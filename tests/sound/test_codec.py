"""The synthesiser and the codec of the embedded sound model: periodic where they must be, and the sound they were given."""

import numpy as np
import pytest
import torch

from cadenza.exporters.sound import codec
from cadenza.exporters.sound.codec import BINS, CELL, FEATURES, GATES, PARTIALS, PERIOD, SUBFRAMES
from cadenza.exporters.sound.dataset import features_of
from cadenza.exporters.sound.measures import attack, described, distances, level, seam
from cadenza.exporters.sound.networks import Synthesis
from cadenza.exporters.sound.synthesiser import make
from cadenza.exporters.sound.vocabulary import EXCLUSIVE, LOOPS, MODIFIERS, SHOTS, SOUNDS, SYNONYMS, WORDS

CELLS = 32


@pytest.fixture(scope="module")
def synthesis():
    return Synthesis()


def decoded(synthesis, features, seed=0):
    noise = np.random.default_rng(seed).uniform(-(3**0.5), 3**0.5, (1, CELL, features.shape[1])).astype(np.float32)
    return synthesis(torch.from_numpy(features[None]), torch.from_numpy(noise))[0].numpy()


@pytest.mark.parametrize("sound", LOOPS)
def test_an_ambience_has_no_seam_before_the_model_and_after_the_codec(synthesis, sound):
    wave = make(sound, {}, 5, CELLS * CELL)
    for each in (wave, decoded(synthesis, codec.analyse(wave))):
        step, slope = seam(each)
        assert step < 2.5  # the 99th percentile of steps is exceeded once in a hundred places, by little
        assert slope < 2.5


@pytest.mark.parametrize("sound", SHOTS)
def test_a_one_shot_begins_at_once_and_ends_in_silence(synthesis, sound):
    wave = make(sound, {}, 5, CELLS * CELL)
    for each in (wave, decoded(synthesis, features_of(wave, sound))):
        assert np.abs(each[-8:]).max() < 0.02 * np.abs(each).max()
        assert np.abs(each[: CELL * 8]).max() > 0.5 * np.abs(each).max()
    assert level(wave)["clipped"] == 0.0


@pytest.mark.parametrize("sound", SOUNDS)
def test_the_codec_gives_back_a_sound_nearer_to_itself_than_to_others_of_its_kind(synthesis, sound):
    waves = [make(sound, {}, seed, CELLS * CELL) for seed in range(4)]
    theirs = [described(wave, sound in LOOPS) for wave in waves]
    ours = [described(decoded(synthesis, features_of(wave, sound)), sound in LOOPS) for wave in waves]
    between = distances(ours, theirs)
    apart = between[~np.eye(4, dtype=bool)].reshape(4, 3)
    assert np.diag(between).mean() < apart.mean()
    assert abs(level(decoded(synthesis, features_of(waves[0], sound)))["rms"] - level(waves[0])["rms"]) < 3.0


def test_the_short_transform_gives_back_any_periodic_wave():
    wave = np.random.default_rng(0).standard_normal(16 * BINS)
    at = (np.arange(2 * BINS) + BINS * np.arange(16)[:, None]) % len(wave)
    frames = wave[at] @ codec.mdct_basis().T @ codec.mdct_basis()
    assert np.allclose((frames[:, :BINS] + np.roll(frames[:, BINS:], 1, 0)).ravel(), wave)


def test_a_turn_of_the_features_by_eight_cells_turns_the_wave(synthesis):
    features = np.random.default_rng(1).random((FEATURES, CELLS), np.float32) * 5
    features[PARTIALS:-GATES] = 0.0  # noise is drawn by place, and stays
    turned = decoded(synthesis, np.roll(features, PERIOD, 1))
    assert np.allclose(turned, np.roll(decoded(synthesis, features), PERIOD * CELL), atol=1e-4)


def test_the_decoder_computes_what_the_analysis_assumes(synthesis):
    amplitudes = np.zeros((PARTIALS, CELLS))
    amplitudes[[3, 40, 70]] = [[0.2], [0.1], [0.05]]
    features = np.zeros((FEATURES, CELLS), np.float32)
    features[:PARTIALS], features[-GATES:] = codec.scaled(amplitudes), 1.0
    assert np.allclose(decoded(synthesis, features), codec.synthesised(amplitudes), atol=1e-5)
    heard = codec.FLOOR * np.expm1(codec.analyse(codec.synthesised(amplitudes).astype(np.float32))[:PARTIALS])
    assert np.allclose(heard[[3, 40, 70]], amplitudes[[3, 40, 70]], rtol=0.15)


def test_a_closed_gate_is_silence_before_an_onset(synthesis):
    wave = np.zeros(CELLS * CELL, np.float32)
    wave[10 * CELL + 700 :] = make("metal hit", {}, 3, 22 * CELL)[: 22 * CELL - 700]
    made = decoded(synthesis, codec.analyse(wave))
    assert attack(made) <= attack(wave) + 10.0
    assert np.abs(made[3 * CELL : 10 * CELL + 300]).max() < 0.03 * np.abs(made).max()


def test_the_vocabulary_is_closed_and_says_nothing_twice():
    assert len(set(WORDS)) == len(WORDS) >= 16 + len(MODIFIERS)
    assert set(SYNONYMS.values()) <= set(WORDS)
    assert not set(SYNONYMS) & set(WORDS)
    assert {name for pair in EXCLUSIVE for name in pair} <= set(MODIFIERS)
    assert FEATURES == PARTIALS + SUBFRAMES * codec.BANDS + GATES


def loud(wave):
    return np.sqrt((wave.reshape(-1, 64) ** 2).mean(1))


@pytest.mark.parametrize(("more", "less"), EXCLUSIVE)
def test_modifiers_are_heard_in_the_synthesiser(more, less):
    measured = {
        "bright": lambda w: np.abs(np.diff(w)).mean() / np.abs(w).mean(),
        "high": lambda w: np.abs(np.diff(w)).mean() / np.abs(w).mean(),
        "long": lambda w: np.abs(w[CELL * 8 :]).mean(),
        "hard": lambda w: np.abs(w).max(),
        "dense": lambda w: (loud(w) > 1.3 * np.median(loud(w))).mean(),
    }[more]
    sound = {"dense": "rain", "hard": "wind"}.get(more, "metal hit")
    ours, theirs = (np.mean([measured(make(sound, {m: 1.0}, s, CELLS * CELL)) for s in range(6)]) for m in (more, less))
    assert ours > 1.1 * theirs
