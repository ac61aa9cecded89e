"""The command line on a small real bundle: in process and against a server, replay, refusals."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

import cadenza
from cadenza.assets.refusal import Refusal


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    toy.write(folder / "toy")
    return folder


def cadenza_command(home, *words):
    environment = {**os.environ, "CADENZA_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "cadenza", *words], capture_output=True, text=True, env=environment, check=False
    )


def made(home, *words):
    done = cadenza_command(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_make_writes_maps_and_a_record_that_replays(home, tmp_path):
    words = [
        "make",
        "texture",
        "mossy stone",
        "--seed",
        "7",
        "--bundle",
        str(home / "toy"),
        "--out",
        str(tmp_path / "wall.png"),
    ]
    result = made(home, *words)
    assert {"recipe", "digest", "files", "milliseconds", "id"} <= set(result)
    assert all(Path(path).is_file() for path in result["files"])
    for recipe in (str(tmp_path / "wall.json"), json.dumps(result["recipe"]), result["id"][:12]):
        assert made(home, "replay", recipe, "--bundle", str(home / "toy"))["same"]
    record = json.loads((tmp_path / "wall.json").read_text())
    (tmp_path / "wall.json").write_text(json.dumps({**record, "digest": "0" * 64}))
    assert cadenza_command(home, "replay", str(tmp_path / "wall.json"), "--bundle", str(home / "toy")).returncode == 1


@pytest.mark.parametrize(
    ("word", "wrong"),
    [
        ("sampler", ["make", "texture", "stone", "--sampler", "eulerr"]),
        ("size", ["make", "texture", "stone", "--size", "huge"]),
        ("seed", ["make", "texture", "stone", "--seed", "-4"]),
        ("kind", ["make", "sprite", "stone"]),
        ("format", ["make", "texture", "stone", "--format", "gif"]),
        ("recipe", ["replay", "zzz"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_status_2(home, tmp_path, word, wrong):
    bundle = ["--bundle", str(home / "toy")] if wrong[0] == "make" else []
    done = cadenza_command(
        home, *wrong, *bundle, *(["--out", str(tmp_path / "x.png")] if wrong[0] == "make" and word != "format" else [])
    )
    assert done.returncode == 2, done.stdout
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_samplers_are_listed_with_what_their_plans_say(home):
    rows = {row["name"]: row for row in made(home, "samplers")["samplers"]}
    assert rows["heun"]["evaluations_per_step"] > 1.9
    assert rows["lcm"]["stochastic"]
    assert not rows["euler"]["stochastic"]


def test_a_game_and_a_server_agree_with_the_engine_in_process(home, tmp_path):
    address = f"ipc://{tmp_path}/cadenza"
    environment = {**os.environ, "CADENZA_HOME": str(home)}
    command = [sys.executable, "-m", "cadenza", "serve", "--bind", address, "--bundle", str(home / "toy")]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if Path(f"{tmp_path}/cadenza").exists():
                break
            time.sleep(0.1)
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
            assert game.texture("stone", seed=1).albedo.shape == (128, 128, 3)
    finally:
        server.terminate()
        assert server.wait(10) == 0
