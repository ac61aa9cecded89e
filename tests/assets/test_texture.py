"""A texture and what follows from its maps."""

import numpy as np
import pytest

from cadenza.assets.maps import derive
from cadenza.assets.refusal import Refusal
from cadenza.assets.texture import DERIVED, MAPS, Texture, check_maps

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
