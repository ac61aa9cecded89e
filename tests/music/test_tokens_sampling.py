"""Drawing a word: against a direct oracle of AudioCraft's contract, and against the chances themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cadenza.assets.refusal import Refusal
from cadenza.runtime.engine.tokens.sampling import Sampling, allowed, choose, guided
from cadenza.runtime.noise import TOKENS, gumbels


def oracle_top_k(probs, k):
    """audiocraft.utils.utils.sample_top_k's distribution, written anew in torch."""
    least = torch.topk(probs, k).values[-1]
    kept = torch.where(probs >= least, probs, torch.zeros_like(probs))
    return kept / kept.sum()


def oracle_top_p(probs, p):
    """The same of sample_top_p."""
    ordered, index = torch.sort(probs, descending=True)
    ordered = torch.where(torch.cumsum(ordered, 0) - ordered > p, torch.zeros_like(ordered), ordered)
    kept = torch.zeros_like(probs).scatter_(0, index, ordered)
    return kept / kept.sum()


def logits_of(seed, size=40):
    return np.random.default_rng(seed).normal(0, 3, size)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.floats(0.1, 3.0))
def test_top_k_keeps_what_the_oracle_keeps(seed, k, temperature):
    logits = logits_of(seed)
    expected = oracle_top_k(torch.softmax(torch.tensor(logits / temperature), 0), k).numpy() > 0
    np.testing.assert_array_equal(allowed(logits, Sampling(temperature, k)), expected)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 0.99), st.floats(0.1, 3.0), st.integers(0, 5))
def test_top_p_keeps_what_the_oracle_keeps_and_goes_before_top_k(seed, p, temperature, k):
    logits = logits_of(seed)
    expected = oracle_top_p(torch.softmax(torch.tensor(logits / temperature), 0), p).numpy() > 0
    np.testing.assert_array_equal(allowed(logits, Sampling(temperature, k, p)), expected)


def test_words_come_as_often_as_their_chance_says():
    logits = np.array([2.0, 1.0, 0.5, 0.0, -1.0])
    how = Sampling(temperature=0.8, top_k=4)
    noise = gumbels(3, TOKENS, 0, 1, 20000, 5)[0]
    counts = np.bincount([choose(logits, each, how) for each in noise], minlength=5)
    chances = oracle_top_k(torch.softmax(torch.tensor(logits / 0.8), 0), 4).numpy()
    expected = 20000 * chances
    assert counts[4] == 0
    assert ((counts - expected)[:4] ** 2 / expected[:4]).sum() < 16.3  # chi-square of 3 degrees, 1 in 1,000


def test_temperature_zero_is_the_likeliest_whatever_the_noise():
    logits = logits_of(1)
    for noise in gumbels(5, TOKENS, 0, 1, 20, len(logits))[0]:
        assert choose(logits, noise, Sampling(temperature=0.0, top_k=3)) == int(np.argmax(logits))


def test_guidance_is_what_audiocraft_computes():
    cond, middle, uncond = np.random.default_rng(0).normal(size=(3, 9))
    g, beta = 3.0, 1.5
    one = guided(g)
    np.testing.assert_allclose(one[0] * cond + one[1] * uncond, uncond + g * (cond - uncond), rtol=1e-12)
    two = guided(g, beta)
    expected = uncond + g * (middle + beta * (cond - middle) - uncond)
    np.testing.assert_allclose(two[0] * cond + two[1] * middle + two[2] * uncond, expected, rtol=1e-12)
    assert sum(one) == pytest.approx(1)
    assert sum(two) == pytest.approx(1)


def test_noise_of_a_word_does_not_depend_on_how_much_is_asked_for():
    long, short = gumbels(7, TOKENS, 0, 5, 128, 128), gumbels(7, TOKENS, 0, 3, 16, 30)
    np.testing.assert_array_equal(short, long[:3, :16, :30])
    assert (gumbels(8, TOKENS, 0, 3, 16, 30) != short).mean() > 0.99


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 11.0),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_p", 1.1),
        ("top_p", float("nan")),
    ],
)
def test_a_dial_out_of_range_is_refused_by_its_name(field, value):
    with pytest.raises(Refusal) as refused:
        Sampling(**{field: value})
    assert refused.value.field == field
