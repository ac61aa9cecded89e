"""What somebody runs into on a first day with the command line: mistyped files, other sizes, edited maps, kinds that no bundle makes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "assets"))

import kinds
from readers import read_dds, read_ktx2

from cadenza.bindings.command import output

SMALL = ("--size", "64", "--steps", "2")


@pytest.fixture
def run(run, home):
    """run(*words) -> (exit status, standard output, standard error) of a command on the small bundle."""
    return lambda *words: run(*words, "--bundle", home / "toy", "--backend", "onnxruntime")


def made(run, *words):
    status, out, err = run("make", "texture", *words, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize("map", ["", "_normal", "_orm", "-tiled"])
def test_an_image_may_be_named_by_any_file_of_its_making(run, tmp_path, monkeypatch, map):
    monkeypatch.setattr(output, "PREVIEWS", {"tiled": lambda texture: texture.albedo})
    made(run, "stone", *SMALL, "--out", tmp_path / "a.png", "--pack", "orm", "--preview")
    other = made(run, "sand", "--image", tmp_path / f"a{map}.png", "--denoise", "0.5", "--out", tmp_path / "b.png")
    assert other["recipe"]["image"] == json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["recipe"]


def test_without_a_size_a_texture_is_as_large_as_the_image_it_starts_from(run, tmp_path):
    made(run, "stone", "--size", "192x64", "--steps", "2", "--out", tmp_path / "a.png")
    other = made(run, "sand", "--image", tmp_path / "a.png", "--denoise", "0.5", "--out", tmp_path / "b.png")
    assert (other["recipe"]["width"], other["recipe"]["height"]) == (192, 64)
    assert made(run, "sand", "--out", tmp_path / "c.png")["recipe"]["width"] == 128


def test_an_image_that_was_painted_over_is_not_what_its_record_makes(run, tmp_path):
    made(run, "stone", *SMALL, "--out", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        Image.fromarray(255 - np.asarray(image)).save(tmp_path / "a.png")
    words = ("make", "texture", "sand", "--denoise", "0.5", "--out", tmp_path / "b.png")
    status, _, err = run(*words, "--image", tmp_path / "a.png")
    assert (status, "image: a.png was changed since it was made" in err) == (2, True), err
    assert run(*words, "--image", tmp_path / "a.json")[0] == 0


WRONG = {
    "a file that is not there": (["replay", "nowhere.png"], "recipe: there is no file nowhere.png; give"),
    "a picture without a record": (["replay", "bare.png"], "recipe: bare.png has no record bare.json beside it; give"),
    "an image that is not there": (
        ["make", "texture", "stone", "--image", "nowhere.dds", "--denoise", "0.5"],
        "image: there is no file nowhere.dds; give",
    ),
    "a kind without a bundle": (
        ["make", "flipbook", "fire"],
        "kind: 'flipbook' is made by no bundle that is loaded, only texture; load a bundle of kind flipbook: --bundle",
    ),
    "half an interval": (
        ["make", "texture", "stone", "--guidance", "4", "--guidance-interval", "0.3"],
        "guidance_interval: expected two noise ratios, lowest and highest",
    ),
    "a chart of no steps": (["compare", "spacings", "--steps", "0"], "steps: 0 is out of range, valid is"),
    "a chart of fewer": (["compare", "spacings", "--steps", "-1"], "steps: -1 is out of range, valid is"),
    "a size of a sound": (["make", "sound", "rain", "--size", "128"], "size: is a dial of pictures, not of sound"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_slip_is_answered_by_its_field_and_what_to_do(run, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("bare.png")
    words, sentence = WRONG[what]
    status, out, err = run(*words)
    assert (status, out, sentence in err) == (2, "", True), err


@pytest.mark.parametrize(("format", "read"), [("dds", read_dds), ("ktx2", read_ktx2)])
def test_sheets_of_a_flipbook_are_files_whose_mips_keep_frames_apart(run, home, tmp_path, format, read):
    kinds.write_flipbook(tmp_path / "book")
    words = (
        "make",
        "flipbook",
        "stone",
        "--size",
        "64",
        "--bundle",
        tmp_path / "book",
        "--out",
        tmp_path / f"f.{format}",
    )
    assert run(*words)[0] == 0
    for file in tmp_path.glob(f"*.{format}"):
        levels = read(file.read_bytes())[-1]
        assert [level.shape[:2] for level in (levels[0], levels[-1])] == [(128, 128), (2, 2)], file


def test_a_command_that_is_nearly_one_is_suggested_once(run):
    status, _, err = run("mke")
    assert (status, err.count("Did you mean 'make'?")) == (2, 1)
