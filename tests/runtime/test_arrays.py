"""Arrays that come with requests: masks as they are sent, bytes in any order, files on a shelf, pictures far from square."""

import io

import numpy as np
import pytest
import toy_inputs

from cadenza.assets.refusal import Refusal
from cadenza.runtime.masks import check_mask
from cadenza.runtime.pictures import Shelf, check_array, detached
from cadenza.runtime.runtime import Runtime

RNG = np.random.default_rng(7)


def answer(mask, size, factor):
    try:
        return check_mask(mask, size, factor)
    except Refusal as refused:
        return str(refused)


@pytest.mark.parametrize(("size", "factor"), [((32, 16), 8), ((32, 32), 16), ((64, 48), 8), ((8, 8), 1)])
@pytest.mark.parametrize(
    "named",
    [lambda s: {"width": s[0], "height": s[1]}, lambda s: {"size": list(s)}, lambda s: {}, lambda s: {"size": "x"}],
)
def test_a_mask_is_the_same_or_refused_in_the_same_words_here_and_over_a_socket(size, factor, named):
    width, height = size
    shapes = {
        (height, width),
        (width, height),
        (height // factor, width // factor),
        (width // factor, height // factor),
    }
    for shape in {*shapes, (1, 1), (2, 2), (3, 5), (height // 2, width * 2)}:
        mask = RNG.random(shape) < 0.5
        mask[0, 0] = True
        told, _ = detached({"mask": mask, **named(size)})
        assert not isinstance(told["mask"], np.ndarray)
        assert answer(told["mask"], size, factor) == answer(mask, size, factor), shape


def test_rows_that_stand_for_columns_are_refused_and_not_scrambled():
    told, _ = detached({"width": 32, "height": 16, "mask": np.eye(32, 16)})
    with pytest.raises(Refusal, match="32 rows of 16"):
        check_mask(told["mask"], (32, 16), 8)


def test_a_mask_of_an_image_has_the_size_of_the_request_around_it():
    mask = np.zeros((64, 64), np.uint8)
    mask[:8] = 1
    told, _ = detached({"size": 64, "image": {"prompt": "brick", "mask": mask}})
    assert isinstance(told["image"]["mask"], str)
    assert check_mask(told["image"]["mask"], (64, 64), 8) == check_mask(mask, (64, 64), 8)


@pytest.mark.parametrize("mask", [np.ones(4, int), np.ones((2, 2, 1)), np.full((8, 8), 0.5), np.array([["a"]])])
def test_an_array_that_is_no_mask_is_refused_before_it_is_sent(mask):
    with pytest.raises(Refusal) as refused:
        detached({"size": 64, "mask": mask})
    assert str(refused.value) == answer(mask, (64, 64), 8)


@pytest.mark.parametrize("kind", ["<f4", ">f4"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_in_both_orders_of_bytes(kind, number):
    whole = np.ones((4, 4), kind)
    np.testing.assert_array_equal(check_array(whole, "image"), whole)
    whole[1, 2] = number
    with pytest.raises(Refusal, match="not finite"):
        check_array(whole, "image")


def packed(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        packed(PICTURE)[:150], packed(PICTURE)[:40], b"", b"x" * 200, packed(np.array([{}], object), allow_pickle=True),
        packed(PICTURE).replace(b"(8, 8, 3)", b"(8, 8, (("), packed(PICTURE)[:-1] + b"\x01", packed(PICTURE + 1j),
        packed(np.float32([np.nan])),
    ],
)  # fmt: skip
def test_a_damaged_file_on_the_shelf_is_refused_by_its_path(tmp_path, data):
    digest = Shelf(tmp_path).keep(PICTURE)
    path = tmp_path / f"{digest}.npy"
    path.write_bytes(data)
    with pytest.raises(Refusal) as refused:
        Shelf(tmp_path).get(digest, "inputs.depth")
    assert (refused.value.code, refused.value.field) == ("corrupt", "inputs.depth")
    assert str(path) in str(refused.value)
    assert "send the array itself" in str(refused.value)


def test_an_array_that_finds_no_room_on_the_disk_is_kept_in_memory(tmp_path, caplog):
    taken = tmp_path / "a file, where a folder should be"
    taken.write_bytes(b"")
    shelf = Shelf(taken)
    assert np.array_equal(shelf.get(shelf.keep(PICTURE)), PICTURE)
    assert "an array is not stored" in caplog.text


@pytest.mark.parametrize("shape", [(1, 20000, 3), (20000, 1), (33, 1)])
def test_a_picture_that_would_take_gigabytes_to_enlarge_is_refused_and_a_long_one_is_not(tmp_path, monkeypatch, shape):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    bundle = toy_inputs.write(tmp_path / "reader")
    asked = {"prompt": "stone", "seed": 7, "size": 64, "steps": 1}
    with Runtime([bundle.folder], "onnxruntime") as runtime:
        with pytest.raises(Refusal, match=r"style: .* pixels.*at most 32 times") as refused:
            runtime.submit({**asked, "inputs": {"style": np.zeros(shape, np.uint8)}}).wait(20)
        assert refused.value.field == "inputs.style"
        runtime.submit({**asked, "inputs": {"style": np.zeros((2, 64, 3), np.uint8)}}).wait(20)


@pytest.mark.parametrize("named", [{}, {"size": 128}])
def test_a_large_mask_of_another_shape_is_refused_by_its_shape_and_not_by_the_length_of_a_message(named):
    with pytest.raises(Refusal, match=r"mask: '256 rows of 256' is out of range, valid is 128 rows of 128 pixels"):
        detached({"prompt": "stone", **named, "mask": np.ones((256, 256), np.bool_)})
    assert detached({"prompt": "stone", "mask": np.ones((128, 128), np.bool_)})[0]["mask"] == "f" * 4096
