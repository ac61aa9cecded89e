"""Masks of any shape: rows of pixels or cells in a request, hexadecimal digits in a recipe."""

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime.draws import grain
from cadenza.runtime.looking import Workbench
from cadenza.runtime.masks import cells_of, check_mask, digits_of
from cadenza.runtime.recipe import Recipe

SIZE, FACTOR = (64, 48), 8
SHAPE = np.random.default_rng(2).random((6, 8)) < 0.4
IMAGE = {"prompt": "brick", "seed": 3, "sampler": "euler", "steps": 4}
ASKED = {"prompt": "wet stone", "seed": 7, "size": 64, "image": IMAGE, "sampler": "euler", "steps": 4}


@pytest.mark.parametrize(
    "form",
    [SHAPE, SHAPE.astype(np.uint8), SHAPE.astype(float), SHAPE.tolist(), SHAPE.astype(int).tolist(), digits_of(SHAPE)],
    ids=["bool", "uint8", "float", "truth", "numbers", "digits"],
)
def test_all_forms_of_a_shape_are_one_text_that_gives_its_cells(form):
    text = check_mask(form, SIZE, FACTOR)
    assert text == digits_of(SHAPE)
    assert len(text) == 12
    np.testing.assert_array_equal(cells_of(text, 6, 8, FACTOR)[0], SHAPE)


def test_a_cell_is_made_anew_where_any_of_its_pixels_is():
    pixels = np.zeros((48, 64), bool)
    pixels[7, 8] = pixels[40, 63] = True
    for form in (pixels, digits_of(pixels)):
        cells = cells_of(check_mask(form, SIZE, FACTOR), 6, 8, FACTOR)[0]
        assert np.argwhere(cells).tolist() == [[0, 1], [5, 7]]


def test_a_rectangle_and_its_shape_are_the_same_cells():
    shape = np.zeros((6, 8), bool)
    shape[2:4, [6, 7, 0]] = True
    rectangle = check_mask([48, 16, 24, 16], SIZE, FACTOR)
    np.testing.assert_array_equal(cells_of(rectangle, 6, 8, FACTOR)[0], shape)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((6, 8)), "makes nothing anew"),
        (np.full((6, 8), 0.5), "zeros and ones"),
        (np.full((6, 8), np.nan), "zeros and ones"),
        (np.ones((8, 6)), "48 rows of 64 pixels, or 6 rows of 8 latent cells"),
        (np.ones((6, 8, 1)), "rows of 0 and 1"),
        (np.ones(48), "rows of 0 and 1"),
        (np.array([["a"] * 8] * 6), "zeros and ones"),
        ([[1, 0], [1]], "rows of 0 and 1"),
        ([], "rows of 0 and 1"),
        ("0" * 12, "makes nothing anew"),
        ("ff", "12 or 768 hexadecimal digits"),
        ("g" * 12, "0 to 9 and a to f"),
        ("F" * 12, "0 to 9 and a to f"),
        (True, "rows of 0 and 1"),
        ({}, "rows of 0 and 1"),
    ],
)
def test_what_is_no_mask_is_refused_in_words(mask, message):
    with pytest.raises(Refusal, match=message) as refused:
        check_mask(mask, SIZE, FACTOR)
    assert refused.value.field == "mask"


def test_outside_a_shape_the_image_comes_back_and_inside_it_is_new(bundle, tmp_path):
    bench = Workbench(bundle.folder, "onnxruntime", tmp_path)
    image = bench.run({"size": 64, **IMAGE}).latent
    shape = np.eye(8, dtype=bool)
    run = bench.run({**ASKED, "mask": shape})
    np.testing.assert_allclose(run.latent[:, ~shape], image[:, ~shape], atol=1e-5)
    assert np.abs(run.latent[:, shape] - image[:, shape]).max(axis=0).min() > 1e-3


def test_a_recipe_with_a_shape_is_replayed_to_the_same_bytes(runtime):
    made = runtime.submit({**ASKED, "mask": np.eye(8)}).wait(20)
    assert made.recipe["mask"] == digits_of(np.eye(8))
    assert runtime.submit(made.recipe).wait(20).digest == made.digest
    assert runtime.submit({**ASKED, "mask": np.eye(8)[::-1]}).wait(20).digest != made.digest


def test_the_decoders_noise_stays_where_a_mask_keeps_the_image():
    told = {"kind": "texture", "bundle": "", "prompt": "sand", "width": 64, "height": 96, "sampler": "euler",
            "spacing": "karras", "steps": 4, "guidance": 1.0}  # fmt: skip
    image, other = Recipe(seed=1, **told), Recipe(seed=2, **told)
    masked = Recipe(seed=2, image=image, mask=(16, 8, 24, 40), **told)
    theirs, own, made = (grain(each, (4, 48, 32), (12, 8)) for each in (image, other, masked))
    anew = np.zeros((48, 32), bool)
    anew[4:24, 8:20] = True
    assert np.array_equal(made[:, anew], own[:, anew])
    assert np.array_equal(made[:, ~anew], theirs[:, ~anew])
