"""Files read back by readers that are not ours."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from readers import read_dds, read_ktx2

from cadenza.assets.files import FORMATS, encode
from cadenza.assets.mips import chain
from cadenza.assets.refusal import Refusal

RNG = np.random.default_rng(0)
SHAPES = {
    "albedo": (16, 32, 3),
    "normal": (48, 80, 3),
    "height": (16, 32),
    "orm": (16, 16, 3),
    "unity_mask": (80, 16, 4),
}
IMAGES = {name: RNG.integers(0, 256, shape, dtype=np.uint8) for name, shape in SHAPES.items()}


def channels(image):
    """What a file of one or four channels holds of an image."""
    if image.ndim == 2:
        return image[..., None]
    return image if image.shape[-1] == 4 else np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", IMAGES)
def test_a_png_holds_the_same_pixels_and_only_colour_says_what_they_mean(name):
    data = encode(name, IMAGES[name], "png")
    np.testing.assert_array_equal(pillow(data), IMAGES[name])
    info = Image.open(io.BytesIO(data)).info
    assert ("srgb" in info) == (name == "albedo")
    assert "gamma" not in info, "engines would convert data by it"


@pytest.mark.parametrize("name", IMAGES)
def test_a_dds_file_holds_every_level_and_says_srgb_for_colour_only(name):
    data = encode(name, IMAGES[name], "dds")
    kind, levels = read_dds(data)
    assert kind == {"albedo": 29, "height": "luminance"}.get(name, 28)
    assert levels[-1].shape[:2] == (1, 1)
    for level, image in zip(levels, chain(name, IMAGES[name]), strict=True):
        np.testing.assert_array_equal(level, channels(image))
    np.testing.assert_array_equal(pillow(data).reshape(levels[0].shape), levels[0])


@pytest.mark.parametrize("name", IMAGES)
def test_a_ktx2_file_holds_every_level_and_says_srgb_for_colour_only(name):
    vulkan, transfer, facts, levels = read_ktx2(encode(name, IMAGES[name], "ktx2"))
    assert (vulkan, transfer) == {"albedo": (43, "srgb"), "height": (9, "linear")}.get(name, (37, "linear"))
    assert facts == {"KTXorientation": "rd", "KTXwriter": "cadenza"}
    assert levels[-1].shape[:2] == (1, 1)
    for level, image in zip(levels, chain(name, IMAGES[name]), strict=True):
        np.testing.assert_array_equal(level, channels(image))


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_pixels_give_the_same_bytes(format):
    image = IMAGES["normal"]
    assert encode("normal", image, format) == encode("normal", np.asfortranarray(image), format)


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(Refusal, match=r"gif.*valid: png, dds, ktx2"):
        encode("albedo", IMAGES["albedo"], "gif")
