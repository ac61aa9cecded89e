"""`cadenza make --image FILE`, `--mask FILE` and `--input NAME=FILE`: pictures from files, and replays that find them again."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy_inputs

from cadenza.bindings.command import app
from cadenza.bindings.command.pictures import picture
from cadenza.runtime.pictures import digest_of

PIXELS = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    toy_inputs.write(folder / "reader")
    Image.fromarray(PIXELS).save(folder / "shown.png")
    Image.fromarray(PIXELS[..., 0]).save(folder / "grey.png")
    return folder


@pytest.fixture
def run(run, home):
    """run(*words) -> (exit status, what was printed as JSON, standard error) of a command on the bundle that reads pictures."""

    def printed(*words):
        status, out, err = run(*words, "--bundle", home / "reader", "--backend", "onnxruntime", "--json")
        return status, json.loads(out) if out else None, err

    return printed


def make(run, tmp_path, *words):
    return run("make", "texture", "stone", "--size", 64, "--steps", 2, "--out", tmp_path / "made.png", *words)


@pytest.mark.parametrize(
    "words",
    [
        ("--input", "depth=shown.png", "--input", "depth_strength=0.5"),
        ("--image", "shown.png", "--denoise", "0.5"),
        ("--image", "shown.png", "--mask", "grey.png"),
    ],
)
def test_a_picture_from_a_file_is_named_in_the_recipe_and_found_again_by_replay(
    run, home, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(home)
    status, made, err = make(run, tmp_path, *words)
    assert status == 0, err
    assert digest_of(PIXELS) in json.dumps(made["recipe"])
    status, again, err = run("replay", tmp_path / "made.json")
    assert (status, again["same"]) == (0, True), err


def test_what_is_no_picture_is_one_sentence(run, home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    Image.fromarray(np.zeros((64, 64, 4), np.uint8)).save(home / "clear.png")
    (home / "text.png").write_text("no picture", encoding="utf-8")
    for words, sentence in (
        (("--input", "depth=clear.png"), "picture of mode RGBA"),
        (("--input", "depth=text.png"), "cannot be read as a picture"),
        (("--input", "depth=nothing.png"), "cannot be read as a picture"),
        (("--input", "depth"), "is no NAME=VALUE"),
        (("--input", "canny=shown.png"), "'canny' is not known"),
        (("--image", "clear.png", "--denoise", "0.5"), "picture of mode RGBA"),
    ):
        status, _, err = make(run, tmp_path, *words)
        assert (status, sentence in err) == (2, True), err


def test_bundles_say_what_they_read_beside_text(home, monkeypatch, capsys):
    monkeypatch.setenv("CADENZA_HOME", str(home))
    assert app.run(["bundles", "--bundle", str(home / "reader")]) == 0
    told = capsys.readouterr().out
    assert "depth         type picture, channels 3" in told
    assert "0 to 2, usual 1" in told


def test_deep_grey_keeps_its_sixteen_bits(tmp_path):
    deep = np.array([[0, 257], [32768, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(picture(str(tmp_path / "deep.png"), "image"), deep / 65535, rtol=1e-6)
