"""The command line on a small real bundle: files, pictures, replay, refusals, a server, the demo."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


import cadenza
from cadenza.assets import preview
from cadenza.assets.refusal import Refusal
from cadenza.assets.texture import MAPS
from cadenza.bindings.command import app, output
from cadenza.bindings.command.make import target


@pytest.fixture
def make(home, run):
    """What `make texture` prints as JSON."""

    def make(*words):
        status, out, err = run(
            "make", "texture", *words, "--bundle", home / "toy", "--backend", "onnxruntime", "--json"
        )
        assert status == 0, err
        return json.loads(out)

    return make


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_make_writes_maps_and_a_record_that_replays(make, run, home, tmp_path):
    result = make("mossy stone", "--seed", 7, "--steps", 4, "--out", tmp_path / "wall.png")
    assert {"recipe", "digest", "files", "milliseconds", "id"} <= set(result)
    assert {"total", "model", "decode", "finish", "files"} <= set(result["milliseconds"])
    assert [Path(path).name for path in result["files"]] == [
        "wall.png", *(f"wall_{name}.png" for name in MAPS[1:]), "wall.json",
    ]  # fmt: skip
    serve = ["--bundle", home / "toy", "--backend", "onnxruntime", "--json"]
    for recipe in (tmp_path / "wall.json", tmp_path / "wall.png", json.dumps(result["recipe"]), result["id"][:12]):
        status, out, _ = run("replay", recipe, *serve)
        told = json.loads(out)
        assert (status, told["same"], told["digest"]) == (0, True, result["digest"])
    record = json.loads((tmp_path / "wall.json").read_text(encoding="utf-8"))
    (tmp_path / "wall.json").write_text(json.dumps({**record, "digest": "0" * 64}), encoding="utf-8")
    assert run("replay", tmp_path / "wall.json", *serve)[0] == 1


def test_packed_maps_and_directx_normals_are_written_beside_the_others(make, tmp_path):
    opengl = make("brick", "--out", tmp_path / "a.png")
    directx = make("brick", "--out", tmp_path / "b.png", "--pack", "orm", "--pack", "unity_mask", "--directx")
    assert opengl["digest"] == directx["digest"]
    assert not (tmp_path / "b_normal.png").exists()
    up, down = pixels(tmp_path / "a_normal.png"), pixels(tmp_path / "b_normal_directx.png")
    np.testing.assert_array_equal(up[..., 1], 255 - down[..., 1])
    np.testing.assert_array_equal(pixels(tmp_path / "b_orm.png")[..., 1], pixels(tmp_path / "a_roughness.png"))
    assert pixels(tmp_path / "b_unity_mask.png").shape == (128, 128, 4)


def test_previews_are_pictures_beside_the_maps(make, tmp_path, monkeypatch):
    monkeypatch.setattr(
        output, "PREVIEWS", {"tiled": preview.tiled, "ball": lambda texture: preview.sphere(texture, 32)}
    )
    result = make("sand", "--size", "64", "--out", tmp_path / "s.png", "--preview")
    assert result["files"][-2:] == [str(tmp_path / "s-tiled.png"), str(tmp_path / "s-ball.png")]
    np.testing.assert_array_equal(pixels(tmp_path / "s-tiled.png")[64:128, 128:192], pixels(tmp_path / "s.png"))
    assert "preview" in result["milliseconds"]


def test_people_get_lines_without_braces_and_hear_of_ignored_words(run, home, tmp_path):
    status, out, _ = run("make", "texture", "shiny stone", "--bundle", home / "toy", "--out", tmp_path / "s.png")
    assert status == 0
    assert "ignored       shiny" in out.splitlines()
    assert f"files         {tmp_path / 's.png'}" in out.splitlines()
    assert [line[:6] for line in out.splitlines() if "{" in line] == ["recipe"]


@pytest.mark.parametrize("format", ["dds", "ktx2"])
def test_the_ending_says_the_format_and_a_folder_gets_a_name(make, tmp_path, format):
    assert make("wet sand", "--out", tmp_path, "--format", format)["files"][0].endswith(f"wet-sand-0.{format}")
    assert Path(make("wet sand", "--out", tmp_path / f"x.{format}")["files"][1]).name == f"x_normal.{format}"


def test_file_names_come_from_prompts_without_what_windows_forbids(tmp_path):
    path, _ = target(tmp_path, r'a/b\c: "wet*" <stone>|?', 7, None)
    assert path.name == "a-b-c-wet-stone-7.png"
    assert target(Path("wall"), "stone", 0, None)[0].name == "wall.png"


WRONG = {
    "no prompt": (["make", "texture"], "PROMPT"),
    "a sampler that is none": (["make", "texture", "stone", "--sampler", "eulerr"], "did you mean 'euler'"),
    "a spacing that is none": (["make", "texture", "stone", "--spacing", "karas"], "did you mean 'karras'"),
    "a size in words": (["make", "texture", "stone", "--size", "huge"], "size"),
    "a size between": (["make", "texture", "stone", "--size", "65"], "size: 65 .* multiple of 16 from 64 to 512"),
    "a negative seed": (["make", "texture", "stone", "--seed", "-4"], "seed: -4"),
    "a seed in words": (["make", "texture", "stone", "--seed", "x"], "'--seed'"),
    "no steps": (["make", "texture", "stone", "--steps", "0"], "steps: 0"),
    "guidance that is no number": (["make", "texture", "stone", "--guidance", "nan"], "guidance: nan"),
    "an unknown word": (["make", "texture", "xyzzy"], "prompt: 'xyzzy' .* stone"),
    "an unknown kind": (["make", "sprite", "stone"], "kind: 'sprite' .* texture"),
    "an unknown format": (["make", "texture", "stone", "--format", "gif"], "format: 'gif' .* png, dds, ktx2"),
    "an ending of no format": (["make", "texture", "stone", "--out", "x.gif"], "format: 'gif'"),
    "two formats": (["make", "texture", "stone", "--out", "x.png", "--format", "dds"], "format: 'dds' .*x.png.*; give"),
    "an ending of another kind": (["make", "texture", "stone", "--out", "x.jpg", "--format", "png"], "'png' .*x.jpg"),
    "a packing that is none": (["make", "texture", "stone", "--pack", "rgb"], "pack: 'rgb' .* orm"),
    "an option without value": (["make", "texture", "stone", "--option", "x"], "option: 'x' .* NAME=VALUE"),
    "a file for a folder": (["make", "texture", "stone", "--out", f"{__file__}/x.png"], "out: .*; choose another"),
    "no such server": (["make", "texture", "stone", "--server", "nowhere"], "address: 'nowhere'"),
    "the server's business": (
        ["make", "texture", "stone", "--server", "tcp://127.0.0.1:1", "--bundle", "x"], "bundle: .* --server",
    ),
    "no such bundle": (["make", "texture", "stone", "--bundle", "nowhere"], "bundle: nowhere has no bundle.json"),
    "no such backend": (["make", "texture", "stone", "--backend", "cray"], "backend: 'cray' .* onnxruntime"),
    "no such option": (["make", "texture", "stone", "--frobnicate"], "frobnicate.*cadenza make --help"),
    "no recipe": (["replay", "zzz"], "recipe: 'zzz' .* file"),
    "an unknown recipe": (["replay", "0" * 64], "recipe: .* file that make wrote"),
    "no record": (["replay", __file__], "is no JSON .*; give a file"),
    "a folder for a record": (["replay", "."], "recipe: '.' .* a file"),
    "a folder for an image": (["make", "texture", "stone", "--image", "/"], "image: '/' .* a file"),
    "a thousand brackets": (["replay", '{"a":' * 5000], "recipe: is no JSON .*; give a file"),
    "a walk through music": (["travel", "music", "tense"], "kind: 'music' .*; say texture"),
    "half a recipe": (["replay", "{}"], "kind: is missing; give"),
    "an address for the world": (["serve", "--bind", "tcp://0.0.0.0:1"], "bind: .*; bind to 127.0.0.1"),
    "a store that cannot be": (["serve", "--store", __file__], "store: .*; choose another"),
    "no such command": (["nonsense"], "nonsense"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_argument_is_one_sentence_with_field_and_remedy_and_status_2(run, home, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    words, sentence = WRONG[what]
    needs_bundle = words[0] in ("make", "serve") and not {"--bundle", "--server"} & set(words)
    status, out, err = run(*words, *(["--bundle", home / "toy"] if needs_bundle else []))
    assert (status, out) == (2, "")
    said = [line for line in err.splitlines() if line.strip() and not line.endswith("...")]  # what it waits for
    assert len(said) == 1, err
    assert re.search(sentence, said[0]), err
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_a_command_whose_libraries_are_missing_says_so_and_harms_no_other(run, monkeypatch):
    broken = EntryPoint("paint", "cadenza.no_such_module:paint", "cadenza.commands")
    monkeypatch.setattr(app, "entry_points", lambda group: [broken])
    status, _, err = run("paint")
    assert status == 2
    assert "no_such_module" in err
    assert run("samplers")[0] == 0


def test_samplers_are_listed_with_what_their_plans_say(run):
    rows = {row["name"]: row for row in json.loads(run("samplers", "--json")[1])["samplers"]}
    assert rows["heun"]["evaluations_per_step"] > 1.9
    assert rows["lcm"]["stochastic"]
    assert not rows["euler"]["stochastic"]


def command(home, *words):
    environment = {**os.environ, "CADENZA_HOME": str(home)}
    terms = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment)
    return subprocess.Popen([sys.executable, "-m", "cadenza", *map(str, words)], **terms)


def test_a_game_and_a_server_agree_with_the_engine_in_process(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(home))
    with command(home, "serve", "--bind", "tcp://127.0.0.1:*", "--bundle", home / "toy") as server:
        try:
            announced = next(line for line in server.stderr if line.startswith("serving on "))
            address = announced.split()[2].rstrip(";")
            with cadenza.connect(address, timeout=10) as game, cadenza.connect("inproc", bundles=[home / "toy"]) as own:
                far, near = (g.texture("wet brick", seed=5, size=128) for g in (game, own))
                assert far.digest == near.digest
                ticket = game.submit(far.recipe, priority=1, deadline_ms=60_000)
                while not ticket.poll():
                    time.sleep(0.005)
                assert ticket.result(timeout=1).digest == far.digest
                assert game.replay(far.recipe).digest == far.digest
                with pytest.raises(Refusal, match="sampler"):
                    game.texture("stone", sampler="eulerr")
                some = game.submit({"prompt": "stone"}, encoding="png", maps=["orm", "albedo"]).result(10)
                assert list(some.files) == ["orm", "albedo"]
        finally:
            server.terminate()
        began = time.monotonic()
        assert server.wait(10) == 0
        assert time.monotonic() - began < 3


def test_the_demo_proves_its_seed_and_leaves_files_and_no_server(home, tmp_path):
    with command(home, "demo", "--out", tmp_path / "demo", "--bundle", home / "toy", "--json") as demo:
        out, err = demo.communicate(timeout=250)
    assert demo.returncode == 0, err
    told = json.loads(out)
    assert told["same"]
    assert told["digest"] == told["replayed"]
    assert told["recipe"]["seed"] == 7
    assert {"server", "second server", "texture", "replay", "previews", "all"} <= set(told["milliseconds"])
    assert {Path(path) for path in told["files"]} == set((tmp_path / "demo").iterdir())
    pictures = {f"mossy-stone-7-{name}.png" for name in ("tiled", "sphere", "plane", "maps")}
    assert pictures <= {Path(path).name for path in told["files"]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_an_interrupted_demo_takes_its_server_with_it(home, tmp_path):
    with command(home, "demo", "--out", tmp_path, "--bundle", home / "toy") as demo:
        assert next(line for line in demo.stderr if line.startswith("server"))
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
        servers = children.read_text(encoding="utf-8").split() if children.exists() else []
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert not [server for server in servers if Path(f"/proc/{server}").exists()]


def test_a_demo_whose_server_cannot_start_says_why(run, tmp_path):
    status, _, err = run("demo", "--out", tmp_path, "--bundle", tmp_path)
    assert status == 2
    assert "bundle.json" in err


def test_a_file_is_not_replayed_from_the_record_of_another(home, make, run, tmp_path):
    """Two files of one name share NAME.json: it says of which it is."""
    make("stone", "--size", "64", "--seed", "1", "--out", tmp_path / "c.png")
    make("stone", "--size", "64", "--seed", "2", "--out", tmp_path / "c.dds")
    status, _, err = run("replay", tmp_path / "c.png", "--bundle", home / "toy", "--backend", "onnxruntime")
    assert (status, "c.json is that of c.dds now" in err) == (2, True)
    status, out, _ = run("replay", tmp_path / "c.dds", "--bundle", home / "toy", "--backend", "onnxruntime", "--json")
    assert (status, json.loads(out)["same"]) == (0, True)
    (tmp_path / "moved").mkdir()
    for name in ("c.dds", "c.json"):
        (tmp_path / name).rename(tmp_path / "moved" / name.replace("c.", "d."))
    status, *_ = run("replay", tmp_path / "moved" / "d.dds", "--bundle", home / "toy", "--backend", "onnxruntime")
    assert status == 0


def test_every_file_of_a_making_stands_for_its_record(home, make, run, tmp_path):
    replay = ("--bundle", home / "toy", "--backend", "onnxruntime", "--json")
    made = make("stone", "--size", "64", "--out", tmp_path / "c.dds", "--pack", "orm", "--preview")
    for file in made["files"]:
        status, out, err = run("replay", file, *replay)
        told = json.loads(out or "{}")
        assert (status, told.get("digest")) == (0, made["digest"]), (file, err)
        written = (
            None if Path(file).suffix in (".json", ".png") else True
        )  # pictures of it are nothing that is replayed
        assert told["file_as_written"] is written, file
    make("stone", "--size", "64", "--seed", "2", "--out", tmp_path / "c.png")
    status, _, err = run("replay", tmp_path / "c_orm.dds", *replay)
    assert (status, "c.json is that of c.png now" in err) == (2, True)


@pytest.mark.parametrize("name", ["c", "renamed"])
def test_a_file_that_was_changed_since_it_was_made_is_not_said_to_be_the_same(home, make, run, tmp_path, name):
    replay = ("--bundle", home / "toy", "--backend", "onnxruntime", "--json")
    made = make("stone", "--size", "64", "--out", tmp_path / "c.png")
    for file in map(Path, made["files"]):
        file.rename(tmp_path / file.name.replace("c", name, 1))
    rough = tmp_path / f"{name}_roughness.png"
    assert run("replay", rough, *replay)[0] == 0
    Image.fromarray(255 - pixels(rough)).save(rough)
    status, out, _ = run("replay", rough, *replay)
    told = json.loads(out)
    assert (status, told["same"], told["file_as_written"]) == (1, True, False), (
        "the recipe replays, the file is another"
    )
    assert run("replay", tmp_path / f"{name}.png", *replay)[0] == 0, "its neighbours are what they were"


def test_out_that_ends_as_folders_do_is_one(make, tmp_path):
    made = make("wet stone", "--size", "64", "--out", f"{tmp_path / 'new' / 'walls'}/")
    assert Path(made["files"][0]) == tmp_path / "new" / "walls" / "wet-stone-0.png"


def test_a_file_that_is_no_record_is_not_written_over(home, run, tmp_path):
    (tmp_path / "package.json").write_text('{"mine": 1}', encoding="utf-8")
    words = ("make", "texture", "stone", "--size", "64", "--bundle", home / "toy", "--backend", "onnxruntime")
    status, _, err = run(*words, "--out", tmp_path / "package.png")
    assert (status, "package.json" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["package.json"]
    assert (tmp_path / "package.json").read_text(encoding="utf-8") == '{"mine": 1}'


def test_a_full_disk_leaves_the_files_that_were_there(home, make, run, tmp_path, monkeypatch):
    make("stone", "--size", "64", "--out", tmp_path / "c.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    whole = Path.write_bytes

    def full(path, data):
        whole(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    words = ("make", "texture", "stone", "--size", "64", "--seed", "2", "--bundle", home / "toy")
    status, _, err = run(*words, "--backend", "onnxruntime", "--out", tmp_path / "c.png")
    assert (status, "c.png: No space left" in err) == (2, True), err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--option", "steps=3"), "options.steps: is no option"),
        (("--option", "s_churn=1", "--option", "s_churn=2"), "option s_churn: is 1 and 2"),
        (("--sampler", "euler", "--option", "s_churn=NaN"), "s_churn: nan is out of range"),
        (("--sampler", "euler", "--option", "s_chum=1"), "s_chum: 's_chum' is not known; did you mean 's_churn'"),
        (("--spacing", "karras:"), "spacing: '' is no NAME=VALUE; write it such as karras:rho=5"),
        (
            ("--mask", "nowhere.png"),
            "mask: 'nowhere.png' is no list of whole numbers; give four, such as 32,0,64,64, or",
        ),
        (("--image", '{"recipe": {"kind": "music", "bars": 1}}'), "image.kind: 'music' is not known; valid: texture"),
        (("--guidance-interval", "nan,1"), "guidance_interval"),
        (("--size", "9" * 5000), "size"),
        (("--mask", "0.5,0,32,32"), "mask: '0.5,0,32,32' is no list of whole numbers"),
        (("--mask", "nan,0,64,64"), "mask"),
        (("--sampler", "dpmpp_sde", "--option", "r=0", "--steps", "3"), "r: 0"),
        (("--sampler", "dpm_adaptive", "--spacing", "times:x"), "spacing"),
    ],
)
def test_dials_that_cannot_be_are_one_sentence(home, run, words, said):
    asked = ("make", "texture", "stone", "--size", "64", "--bundle", home / "toy", "--backend", "onnxruntime")
    status, out, err = run(*asked, *words)
    assert (status, out, said in err, err.count("\n")) == (2, "", True, 1), err


def test_help_is_plain_text(run):
    for word in app.COMMANDS:
        status, out, _ = run(word, "--help")
        assert (status, "\\" in out) == (0, False), out
    assert all(line == line.rstrip() for line in run("names", "lcm")[1].splitlines()), "a field without content"
    assert "[default: 0]" in " ".join(run("make", "--help")[1].split())


def test_nothing_is_no_recipe(run):
    status, _, err = run("replay", "")
    assert (status, "recipe: is empty" in err) == (2, True)


def test_a_fault_of_its_own_has_a_status_of_its_own(run, monkeypatch):
    """Which is not that of a replay that differs."""
    monkeypatch.setitem(app.COMMANDS, "bundles", lambda: 1 / 0)
    status, _, err = run("bundles")
    assert (status, "ZeroDivisionError" in err, "report it" in err) == (3, True, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' pipes end otherwise")
def test_a_reader_that_goes_is_no_check_that_failed(home):
    """`cadenza replay x | head -1` must not say that bytes differ."""
    with command(home, "samplers") as listing:
        listing.stdout.close()
        listing.stdout = None
        _, err = listing.communicate(timeout=60)
    assert (listing.returncode, err) == (141, "")


def test_letters_that_a_console_has_not_are_escaped(home, tmp_path):
    environment = {**os.environ, "CADENZA_HOME": str(home), "PYTHONIOENCODING": "cp1252"}
    words = ["make", "texture", "stone 石", "--size", "64", "--bundle", str(home / "toy"), "--backend", "onnxruntime"]
    command = [sys.executable, "-m", "cadenza", *words, "--out", str(tmp_path / "u.png")]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\u77f3" in done.stdout
