"""A texture and what follows from its maps."""

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.assets.texture import (
    DERIVED,
    MAPS,
    OCCLUSION_RADII,
    OCCLUSION_STRENGTH,
    Texture,
    check_maps,
    derive,
    normals_of,
    occlusion_of,
)

NAMES = ["albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic"]


@pytest.fixture
def texture():
    decoded = np.random.default_rng(3).random((6, 32, 32), dtype=np.float32)
    return Texture(derive(decoded, NAMES), {"seed": 3}, "ab" * 32)


def test_the_maps_are_those_named_in_their_order(texture):
    assert tuple(texture.maps()) == MAPS
    assert list(texture.maps(["orm", "albedo"])) == ["orm", "albedo"]


def test_packed_maps_put_data_where_engines_look_for_it(texture):
    np.testing.assert_array_equal(
        texture.map("orm"), np.dstack([texture.occlusion, texture.roughness, texture.metallic])
    )
    mask = texture.map("unity_mask")
    np.testing.assert_array_equal(mask[..., 0], texture.metallic)
    np.testing.assert_array_equal(mask[..., 1], texture.occlusion)
    np.testing.assert_array_equal(mask[..., 3], 255 - texture.roughness)
    assert not mask[..., 2].any()
    np.testing.assert_array_equal(texture.map("unity_metallic")[..., 3], 255 - texture.roughness)


def test_directx_normals_turn_green_only_and_turn_back(texture):
    directx = texture.map("normal_directx")
    np.testing.assert_array_equal(directx[..., [0, 2]], texture.normal[..., [0, 2]])
    np.testing.assert_array_equal(255 - directx[..., 1], texture.normal[..., 1])


def test_a_selection_keeps_the_digest_of_the_whole(texture):
    some = texture.select(["albedo", "orm"])
    assert some.digest == texture.digest
    assert some.timed({"total": 1.0}).digest == texture.digest
    assert texture.select([]) is texture
    assert Texture(some.maps(), {}, "").digest != texture.digest
    with pytest.raises(AttributeError, match=r"height.*albedo, orm"):
        _ = some.height


def test_maps_that_do_not_exist_are_refused_with_those_that_do():
    assert check_maps(["orm", "albedo", "orm"]) == ("orm", "albedo")
    with pytest.raises(Refusal, match="emissive") as refused:
        check_maps(["emissive"])
    assert all(name in str(refused.value) for name in (*MAPS, *DERIVED))


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
    light = np.ones_like(height, np.float64)
    for far in OCCLUSION_RADII:
        steps = [-far, -max(1, far // 2), 0, max(1, far // 2), far]
        around = np.mean([np.roll(height, (a, b), (0, 1)) for a in steps for b in steps], axis=0, dtype=np.float64)
        light /= 1 + OCCLUSION_STRENGTH * np.maximum(around - height, 0)
    assert np.abs(occlusion_of(height) / 255 - light).max() <= 0.502 / 255


def test_maps_cannot_be_changed_as_several_may_hold_them():
    for name, each in derive(np.zeros((6, 16, 16), np.float32), NAMES).items():
        with pytest.raises(ValueError, match="read-only"):
            each[0] = 1
        assert each.flags.c_contiguous, name
