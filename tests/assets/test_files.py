"""Files read back by readers that are not ours, and mip chains."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cadenza.assets.files import FORMATS, encode
from cadenza.assets.mips import chain

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (16, 32, 3), dtype=np.uint8)
DATA = RNG.integers(0, 256, (16, 32), dtype=np.uint8)


@pytest.mark.parametrize("image", [COLOUR, DATA], ids=["colour", "data"])
def test_a_png_holds_the_same_pixels(image):
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode("albedo", image, "png")))), image)


def test_pillow_reads_our_dds():
    read = Image.open(io.BytesIO(encode("albedo", COLOUR, "dds"))).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(read)[..., :3], COLOUR)


def test_a_ktx2_file_has_every_level_where_its_index_says():
    data = encode("albedo", COLOUR, "ktx2")
    assert data[:12] == b"\xabKTX 20\xbb\r\n\x1a\n"
    fmt, size, width, height, _, _, faces, levels, _ = struct.unpack_from("<9I", data, 12)
    assert (fmt, size, width, height, faces, levels) == (43, 1, 32, 16, 1, 6)
    for level, image in enumerate(chain("albedo", COLOUR)):
        offset, length, _ = struct.unpack_from("<3Q", data, 80 + 24 * level)
        assert offset % 4 == 0
        texels = np.frombuffer(data[offset : offset + length], np.uint8).reshape(*image.shape[:2], 4)
        np.testing.assert_array_equal(texels[..., :3], image)
    at, total = struct.unpack_from("<2I", data, 48)
    assert struct.unpack_from("<I", data, at)[0] == total
    assert data[at + 4 + 10] == 2  # sRGB transfer


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_pixels_give_the_same_bytes(format):
    assert encode("normal", COLOUR, format) == encode("normal", COLOUR.copy(), format)


def test_colour_is_averaged_in_linear_light():
    board = np.zeros((2, 2, 3), np.uint8)
    board[0, 0] = board[1, 1] = 255
    assert chain("albedo", board)[1][0, 0, 0] == 188
    assert chain("roughness", board[..., 0])[1][0, 0] == 128
