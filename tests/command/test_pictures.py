"""What `picture` reads of files: numbers as they are meant, and one sentence for all that it does not read."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cadenza.assets.refusal import Refusal
from cadenza.bindings.command.pictures import picture

PIXELS = np.random.default_rng(2).integers(0, 256, (16, 24, 3), np.uint8)
GREY = Image.fromarray(PIXELS[..., 0])


def test_numbers_with_a_point_are_what_they_say(tmp_path):
    grey = np.linspace(0, 1, 384, dtype=np.float32).reshape(16, 24)
    Image.fromarray(grey).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(picture(str(tmp_path / "grey.tif"), "image"), grey)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_whole_numbers_of_sixteen_bits_are_shares_of_the_highest(tmp_path, mode):
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    grey = (np.arange(384).reshape(16, 24) * 171).astype(kind)
    Image.frombytes(mode, (24, 16), grey.tobytes()).save(tmp_path / "grey.tif")
    np.testing.assert_allclose(picture(str(tmp_path / "grey.tif"), "image"), grey / 65535, rtol=1e-6)


@pytest.mark.parametrize(
    "grey",
    [
        np.float32([[0.0, 1.5]]), np.float32([[-0.1, 1.0]]), np.float32([[np.nan, 1.0]]), np.int32([[0, 65536]]),
        np.int32([[-1, 5]]),
    ],
)  # fmt: skip
def test_grey_outside_its_range_is_refused_and_not_cut(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "grey.tif")
    with pytest.raises(Refusal, match=r"^inputs.depth: .*grey.tif.*valid is 0 to (1|65535);"):
        picture(str(tmp_path / "grey.tif"), "inputs.depth")


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.fromarray(PIXELS).quantize(16), {"transparency": 0}),
        (Image.fromarray(PIXELS), {"transparency": (1, 2, 3)}),
        (GREY, {"transparency": 7}),
        (Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]])), {}),
        (GREY.convert("LA"), {}),
    ],
    ids=["palette", "colours", "grey", "RGBA", "LA"],
)
def test_transparency_is_refused_however_a_file_has_it(tmp_path, image, options):
    image.save(tmp_path / "clear.png", **options)
    with pytest.raises(Refusal) as refused:
        picture(str(tmp_path / "clear.png"), "image")
    assert refused.value.code == "unsupported"
    assert refused.value.sentence.startswith(f"{tmp_path / 'clear.png'} is a picture of mode {image.mode}")
    assert "cannot be read" not in str(refused.value)


def png(width, height):
    """A small file that says it is a large picture."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def zipped(folder):
    np.savez(folder / "several.npz", first=PIXELS)
    return (folder / "several.npz").read_bytes()


def saved(folder):
    np.save(folder / "whole.npy", PIXELS)
    return (folder / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bomb.png", lambda folder: png(20032, 20032)),
        ("broken.png", lambda folder: png(8, 8)[:30] + b"\0" * 9),
        ("text.png", lambda folder: b"no picture"),
        ("empty.npy", lambda folder: b""),
        ("garbage.npy", lambda folder: b"\x93NUMPY\x01\x00garbage garbage"),
        ("zipped.npy", zipped),
        ("cut.npy", lambda folder: saved(folder)[:300]),
        ("head.npy", lambda folder: saved(folder).replace(b"(16, 24, 3)", b"(16, (24, 3")),
    ],
)
def test_what_is_no_picture_is_one_refusal_with_its_path(tmp_path, name, data):
    (tmp_path / name).write_bytes(data(tmp_path))
    with pytest.raises(Refusal, match="cannot be read as a picture") as refused:
        picture(str(tmp_path / name), "image")
    assert (refused.value.code, refused.value.field) == ("corrupt", "image")
    assert str(tmp_path / name) in refused.value.sentence


def test_a_file_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(Refusal) as refused:
        picture(str(tmp_path / "nothing.png"), "image")
    assert refused.value.code == "missing"
