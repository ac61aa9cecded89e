"""The measures of textures see what they are named after, and nothing else."""

import numpy as np
import pytest

from cadenza.exporters.embedded import freedoom, measures


def test_a_hard_edge_at_the_wrap_shows_in_the_seam_measure():
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    noise = np.random.default_rng(0).random((40, 6, 64, 64))
    periodic = noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)
    assert measures.seam(periodic).max() < 1.05
    assert measures.seam(np.broadcast_to(ramp, (1, 6, 64, 64))).min() > 10
    pixels = (np.broadcast_to(ramp[:, None], (64, 64, 3)) * 255).astype(np.uint8)
    assert freedoom.seam(pixels) > 10


@pytest.mark.parametrize("apart", [0.0, 3.0])
def test_the_kernel_distance_is_nothing_between_halves_and_grows_with_a_shift(apart):
    groups = np.arange(400) % 20
    features = np.random.default_rng(0).standard_normal((400, 8)) + apart * np.sin(np.outer(groups, np.arange(8)))
    halves = (groups[:200], groups[200:])
    near = measures.kernel_distance(features[:200], features[200:], *halves)
    far = [measures.kernel_distance(features[:200] + by, features[200:], *halves) for by in (0.5, 1.0)]
    assert abs(near) < 0.1 * far[0] < far[1]


@pytest.mark.parametrize("blur", [2, 4])
def test_the_spectrum_says_how_much_a_blur_took(blur):
    noise = np.random.default_rng(0).random((4, 6, 64, 64)).astype(np.float32)
    blurred = sum(np.roll(noise, i, 3) for i in range(blur)) / blur
    lost = measures.spectrum(noise) - measures.spectrum(blurred)
    assert np.all(lost[:, -1] > 2)
    assert np.all(np.abs(lost[:, 0]) < 1.5)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def soft_noise(rng, count):
    noise = rng.random((count, 6, 64, 64))
    return noise + sum(np.roll(noise, 1, axis) + np.roll(noise, -1, axis) for axis in (2, 3))


@pytest.mark.parametrize("turned", [1, -1])
def test_the_nearest_texture_is_found_at_any_shift_and_mirrored(rng, turned):
    known = soft_noise(rng, 6)
    copied = np.roll(known[[4, 1]], (10, 7), (2, 3))[..., ::turned] * 0.5
    alike, which = measures.nearest(np.concatenate([copied, soft_noise(rng, 2)]), known)
    assert which[:2].tolist() == [4, 1]
    assert alike[:2].min() > 0.99
    assert alike[2:].max() < 0.5


def test_edges_agree_where_colour_follows_height(rng):
    apart = soft_noise(rng, 4)
    together = apart.copy()
    together[:, :3] = together[:, 3:4]
    assert measures.edges_agree(together) > 0.99
    assert abs(measures.edges_agree(apart)) < 0.2


@pytest.mark.parametrize(("down", "across"), [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_light_that_lies_in_the_colours_is_seen_from_every_side(rng, down, across):
    fair = soft_noise(rng, 6)
    lit, height = fair.copy(), fair[:, 3]
    slope = down * (np.roll(height, -1, 1) - np.roll(height, 1, 1)) + across * (
        np.roll(height, -1, 2) - np.roll(height, 1, 2)
    )
    lit[:, :3] = 0.5 + 0.1 * slope[:, None]
    assert measures.baked_light(lit) > 0.99
    assert measures.baked_light(fair) < 0.1


def test_a_metal_that_is_none_is_not_physical(rng):
    data = soft_noise(rng, 8)
    groups = np.repeat([0, 1], 4)
    assert measures.physical(data, groups, data, groups, 0.0) == 1.0
    wrong = data.copy()
    wrong[:4, 5] += 1.0
    assert measures.physical(wrong, groups, data, groups, 0.05) == 0.5
