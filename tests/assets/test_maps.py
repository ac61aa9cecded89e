"""Maps from decoded channels, and those that follow from the height."""

import numpy as np
import pytest

from cadenza.assets.maps import HORIZONS, NORMAL_STRENGTH, derive, normals_of, occlusion_of

NAMES = ["albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic"]


def test_normals_lean_away_from_where_the_height_rises():
    """OpenGL: x to the right, y up, and the first row is the top."""
    rising = np.zeros((6, 16, 16), np.float32)
    rising[3] = np.abs(np.arange(16) - 8)[None] / 16  # falls to the middle, rises to the right of it
    normal = derive(rising, NAMES)["normal"]
    assert normal[8, 12, 0] < 120
    assert normal[8, 4, 0] > 135
    rising[3] = rising[3].T
    normal = derive(rising, NAMES)["normal"]
    assert normal[12, 8, 1] > 135  # height rises downwards there, so the face looks up
    assert normal[4, 8, 1] < 120


@pytest.mark.parametrize("size", [(16, 48), (64, 32)])
def test_normals_and_occlusion_move_with_the_height_around_the_torus(size):
    height = np.random.default_rng(3).random(size, np.float32)
    moved = np.roll(height, (5, -9), (0, 1))
    for derived in (normals_of, occlusion_of):
        assert np.array_equal(derived(moved), np.roll(derived(height), (5, -9), (0, 1)))


def test_occlusion_is_what_its_definition_says():
    height = np.random.default_rng(4).random((16, 32), np.float32)
    light = np.zeros(height.shape)
    for (rows, columns), steps in HORIZONS.items():
        for side in (1, -1):
            steepest = np.zeros(height.shape)
            for far in steps:
                there = np.roll(height, (-side * far * rows, -side * far * columns), (0, 1))
                away = far * np.hypot(rows, columns) / NORMAL_STRENGTH
                steepest = np.maximum(steepest, (there.astype(float) - height) / away)
            light += np.cos(np.arctan(steepest)) ** 2 / 8
    assert np.abs(occlusion_of(height) / 255 - light).max() <= 0.502 / 255


def test_a_plain_is_in_full_light_and_the_bottom_of_a_shaft_in_hardly_any():
    height = np.full((32, 32), 0.4, np.float32)
    assert (occlusion_of(height) == 255).all()
    height[15:18, 15:18] = 0.0
    pit = occlusion_of(height)
    assert pit[16, 16] < 130
    assert pit[16, 16] == pit[15:18, 15:18].min()
    pit[10:23, 10:23] = 255
    assert (pit == 255).all(), "what lies beside a hole and higher is not in its shade"


def test_maps_cannot_be_changed_as_several_may_hold_them():
    for name, each in derive(np.zeros((6, 16, 16), np.float32), NAMES).items():
        with pytest.raises(ValueError, match="read-only"):
            each[0] = 1
        assert each.flags.c_contiguous, name


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 16), (16, 5), (6, 6)])
def test_a_height_smaller_than_its_horizons_is_one_that_repeats(shape):
    height = np.random.default_rng(shape).random(shape, np.float32)
    repeated = np.tile(height, (16, 16))
    for follows in (occlusion_of, normals_of):
        assert np.array_equal(np.tile(follows(height), (16, 16, 1)[: follows(height).ndim]), follows(repeated))
