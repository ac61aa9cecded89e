"""`cadenza make sound` and `make flipbook` on small real bundles: files, records that replay, refusals."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kinds


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    kinds.write_sound(folder / "sound")
    kinds.write_flipbook(folder / "flipbook")
    return folder


@pytest.fixture
def run(run, home):
    """run(*words) -> (exit status, what was printed as JSON, standard error) of a command on both."""

    def printed(*words):
        bundles = ["--bundle", home / "sound", "--bundle", home / "flipbook", "--backend", "onnxruntime", "--json"]
        status, out, err = run(*words, *bundles)
        return status, json.loads(out) if out else None, err

    return printed


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_make_sound_writes_a_file_and_a_record_that_replays(run, tmp_path, ending):
    soundfile = pytest.importorskip("soundfile")
    file = tmp_path / f"drip.{ending}"
    softer = () if ending == "wav" else ("--gain-db", "-6")
    status, made, err = run("make", "sound", "wet stone", "--seed", 3, "--seconds", 1.1, "--out", file, *softer)
    assert status == 0, err
    assert [Path(path).name for path in made["files"]] == [file.name, "drip.json"]
    assert (made["seconds"], made["rate_hz"], made["channels"]) == (1.125, kinds.RATE, 2)
    assert {"total", "model", "files"} <= set(made["milliseconds"])
    assert soundfile.info(file).samplerate == kinds.RATE
    for recipe in (file, tmp_path / "drip.json", json.dumps(made["recipe"]), made["id"][:12]):
        status, again, _ = run("replay", recipe)
        assert (status, again["same"], again["digest"]) == (0, True, made["digest"])
        assert again["file_as_written"] is (True if recipe == file else None)


def test_a_sound_without_a_name_is_named_after_its_prompt(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, made, err = run("make", "sound", "wet stone", "--seconds", 1)
    assert status == 0, err
    assert made["files"] == ["wet-stone-0.wav", "wet-stone-0.json"]


def test_a_span_of_a_sound_is_made_anew_and_the_rest_is_kept(run, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    assert run("make", "sound", "wet stone", "--seconds", 2, "--out", first)[0] == 0
    span = ("--anew", "0.5,1.0", "--anew", "1.5,1.75")
    status, _, err = run(
        "make", "sound", "wet stone", "--seed", 5, "--seconds", 2, "--image", first, *span, "--out", second
    )
    assert status == 0, err
    assert run("replay", second)[1]["same"] is True
    before, after = (soundfile.read(file)[0] for file in (first, second))
    changed = np.abs(before - after).max(1).reshape(8, -1).max(1)  # of each quarter of a second
    assert changed[[2, 3, 6]].min() > 10 * changed[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sound", "stone", "--size", "64"), "size: is a dial of pictures, not of sound"),
        (("sound", "stone", "--bars", "4"), "bars: is a dial of music, not of sound"),
        (("sound", "stone", "--seconds", "99"), "seconds: 99.0 is out of range"),
        (("sound", "stone", "--out", "x.mp3"), "out: '.mp3' is not known; valid: .wav, .flac, .ogg"),
        (("sound", "stone", "--format", "ogg", "--bits", "16", "--seconds", "1"), "bits: 16 is out of range"),
        (
            ("sound", "stone", "--seconds", "1", "--anew", "0.5"),
            "anew: expected a list of spans [begin, end] in seconds",
        ),
        (("sound", "stone", "--seconds", "1", "--anew", "a,b"), "anew: 'a,b' is no list of numbers"),
        (("texture", "stone", "--anew", "0,1"), "anew: is a dial of sounds, not of texture"),
        (("flipbook", "stone", "--seconds", "1"), "seconds: is a dial of sounds, not of flipbook"),
        (
            ("flipbook", "stone", "--size", "64", "--out", "x.gif", "--directx"),
            "directx: is a dial of maps, not of gif",
        ),
        (("texture", "stone", "--size", "64", "--format", "gif"), "format: 'gif' is not known; valid: png, dds, ktx2"),
        (("music", "tense", "--seconds", "4"), "seconds: is a dial of sounds, not of music"),
        (("music", "tense", "--eta", "0"), "eta: is a dial of pictures, not of music"),
    ],
)
def test_a_dial_of_another_kind_is_refused_by_its_name(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    status, _, err = run("make", *words)
    assert (status, said in err) == (2, True), err
    assert list(tmp_path.iterdir()) == []


def test_make_flipbook_writes_sheets_of_all_maps_that_replay(run, tmp_path):
    out = tmp_path / "fire.png"
    status, made, err = run("make", "flipbook", "brick", "--size", 64, "--out", out, "--preview")
    assert status == 0, err
    names = [Path(path).name for path in made["files"]]
    assert {"fire.png", "fire_normal.png", "fire.json", "fire-playing.png", "fire-sphere.png"} <= set(names)
    with Image.open(out) as sheet, Image.open(tmp_path / "fire-playing.png") as playing:
        assert (sheet.size, playing.size, playing.n_frames) == ((128, 128), (64, 64), 4)
        first, last = np.asarray(sheet)[:64, :64], np.asarray(sheet)[64:, 64:]
        assert np.array_equal(np.asarray(playing.convert("RGB")), first)
        playing.seek(3)
        assert np.array_equal(np.asarray(playing.convert("RGB")), last)
    assert json.loads((tmp_path / "fire.json").read_text(encoding="utf-8"))["sheet"] == kinds.SHEET
    assert run("replay", out)[1]["same"]


def test_make_flipbook_writes_an_animation_where_one_is_named(run, tmp_path):
    status, made, err = run("make", "flipbook", "brick", "--size", 64, "--out", tmp_path / "fire.gif")
    assert status == 0, err
    assert [Path(path).name for path in made["files"]] == ["fire.gif", "fire.json"]
    with Image.open(tmp_path / "fire.gif") as image:
        assert (image.size, image.is_animated) == ((64, 64), True)
    assert run("replay", tmp_path / "fire.gif")[1]["digest"] == made["digest"]
