"""Addressed noise: known answers, IEEE exactness by published vectors, coordinates, distribution."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cadenza.assets.refusal import Refusal
from cadenza.runtime import noise
from cadenza.runtime.brownian import brownian
from cadenza.runtime.noise import GRAIN, INITIAL, STEP, evens, normal_of, normals, philox, words

VECTORS = json.loads((Path(noise.__file__).parent.parent / "bindings" / "noise.json").read_text(encoding="utf-8"))

# Random123's own known-answer file (kat_vectors, philox 4x32 10).
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_known_answers_of_random123(counter, key, answer):
    parts = [np.array([int(word, 16)], dtype=np.uint64) for word in counter.split()]
    k0, k1 = (int(word, 16) for word in key.split())
    assert " ".join(f"{int(word[0]):08x}" for word in philox(parts, (k0, k1))) == answer


def test_the_published_vectors_hold_to_the_last_bit():
    for vector in VECTORS["normals"]:
        address = {name: vector[name] for name in ("x", "y", "frame")}
        seed, domain, draw, channel = (vector[name] for name in ("seed", "domain", "draw", "channel"))
        word = words(seed, domain, [draw], channel + 1, 1, 1, **address)[0, channel, 0, 0]
        assert int(word) == vector["word"]
        assert normal_of(np.array([word]))[0].hex() == vector["float64"]
        value = normals(seed, domain, [draw], channel + 1, 1, 1, **address)[0, channel, 0, 0]
        assert float(value).hex() == vector["float32"]
        even = evens(seed, domain, draw, channel + 1, 1, 1, **address)[channel, 0, 0]
        assert float(even).hex() == vector["even32"]


def test_even_noise_has_unit_variance_and_a_window_is_a_part_of_it():
    field = evens(7, GRAIN, 0, 4, 64, 96)
    assert abs(field.mean()) < 0.02
    assert abs(field.var() - 1) < 0.02
    assert abs(field).max() <= 3**0.5
    np.testing.assert_array_equal(evens(7, GRAIN, 0, 4, 16, 13, x=5, y=9), field[:, 9:25, 5:18])


def test_the_quantile_agrees_with_scipy_over_all_scales():
    word = np.unique(np.concatenate([np.arange(4096), np.geomspace(1, 2**32 - 1, 20001).astype(np.uint64)])).astype(
        np.uint64
    )
    word = np.concatenate([word, np.uint64(2**32 - 1) - word])
    expected = stats.norm.ppf((word.astype(np.float64) + 0.5) / 2**32)
    np.testing.assert_allclose(normal_of(word), expected, rtol=2e-14, atol=2e-14)


def test_a_window_is_a_part_of_the_endless_field():
    whole = normals(7, INITIAL, [0, 1, 5], 3, 20, 33, x=-9, y=-3)
    for x, y, height, width in [(-9, -3, 20, 33), (-6, 0, 4, 5), (1, 2, 7, 1), (0, 0, 3, 16)]:
        window = normals(7, INITIAL, [1], 2, height, width, x=x, y=y)
        np.testing.assert_array_equal(window[0], whole[1, :2, y + 3 : y + 3 + height, x + 9 : x + 9 + width])


@pytest.mark.parametrize("change", ["seed", "domain", "draw", "frame", "high seed"])
def test_every_part_of_the_address_matters(change):
    base = dict(seed=0, domain=STEP, draw=3, frame=0)
    other = dict(base)
    if change == "high seed":
        other["seed"] = 2**40
    else:
        other[change] += 1
    one, two = (normals(a["seed"], a["domain"], [a["draw"]], 4, 16, 16, frame=a["frame"]) for a in (base, other))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.15


def test_a_large_field_is_normal_and_white():
    field = normals(12345, INITIAL, [0], 4, 256, 256)[0].astype(np.float64)
    assert stats.kstest(field.ravel(), "norm").pvalue > 0.001
    for axis in (0, 1, 2):
        shifted = np.roll(field, 1, axis)
        assert abs(np.mean(field * shifted)) < 5 / np.sqrt(field.size)


@pytest.mark.parametrize("seed", [-1, 2**53, 1.0, "7", True, None])
def test_a_seed_that_is_none_is_refused_by_name(seed):
    with pytest.raises(Refusal, match="seed"):
        noise.check_seed(seed)


def test_finer_brownian_steps_refine_the_same_path():
    coarse = brownian(3, [(14.6, 1.0), (1.0, 0.2)], 2, 8, 8).astype(np.float64)
    fine = brownian(3, [(14.6, 4.0), (4.0, 1.0), (1.0, 0.2)], 2, 8, 8).astype(np.float64)

    def u(ratio):
        return ratio / (1 + ratio)

    whole = coarse[0] * np.sqrt(u(14.6) - u(1.0))
    parts = fine[0] * np.sqrt(u(14.6) - u(4.0)) + fine[1] * np.sqrt(u(4.0) - u(1.0))
    np.testing.assert_allclose(parts, whole, atol=2e-3)
    np.testing.assert_array_equal(coarse[1], fine[2])


def test_brownian_draws_have_unit_variance_and_are_independent():
    levels = np.append(np.geomspace(80, 0.02, 12), 0.0)
    draws = brownian(11, list(zip(levels[:-1], levels[1:], strict=True)), 4, 48, 48).reshape(12, -1).astype(np.float64)
    covariance = draws @ draws.T / draws.shape[1]
    np.testing.assert_allclose(covariance, np.eye(12), atol=0.06)
