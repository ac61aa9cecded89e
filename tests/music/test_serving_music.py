"""Music through a connection: over the wire and in process, by recipe and back from files."""

import gc
import json
import queue
import re
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.assets.store import Store
from cadenza.bindings.command.app import run
from cadenza.bridge import connect, server
from cadenza.bridge.server import serve
from cadenza.runtime import kinds
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music.piece import read
from cadenza.runtime.runtime import Runtime

BUNDLE = EMBEDDED / "music"
WANTED = dict(seed=3, bars=1, bpm=150)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(home):
    bound, ready, stop = [], threading.Event(), threading.Event()

    def announce(at):
        bound.append(at)
        ready.set()

    with Runtime([BUNDLE], "onnxruntime", threads=2, store=Store(home / "kept")) as runtime:
        terms = dict(ready=announce, stop=stop)
        thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=terms)
        thread.start()
        assert ready.wait(10)
        yield bound[0]
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def piece(address):
    with connect(address) as game:
        return game.music("calm town, G major", stems=True, **WANTED)


def test_a_piece_over_the_wire_is_the_one_made_in_process_on_another_thread_count(piece):
    with connect("inproc", bundles=[BUNDLE], backend="onnxruntime", threads=1) as game:
        again = game.music("calm town, G major", stems=True, **WANTED)
    assert again.digest == piece.digest == piece.music.digest
    np.testing.assert_array_equal(again.audio, piece.audio)
    assert again.score == piece.score


def test_a_description_lists_styles_moods_and_dials_that_are_taken(address):
    with connect(address) as game:
        (told,) = game.describe()["bundles"]
        for name, dial in told["dials"].items():
            for beyond in (dial[end] + step for end, step in (("minimum", -1), ("maximum", 1)) if end in dial):
                with pytest.raises(Refusal) as refused:
                    game.submit({"kind": "music", "prompt": "tense", name: beyond}).result()
                assert refused.value.field == name
    assert {"tense", "combat"} <= set(told["styles"])
    assert "dark" in told["moods"]
    page = (Path(server.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page.partition('A bundle of kind "music" has')[2].partition("\n\n")[0]))
    assert named >= {*told, *told["recommended"][0]} - {"batch"}


def test_a_replay_gives_the_same_bytes(piece, address):
    with connect(address) as game:
        assert game.replay(piece).digest == piece.digest
        assert game.replay(piece.record).digest == piece.digest


def test_the_loop_is_as_long_as_its_bars_to_the_sample(piece):
    assert len(piece.audio) == round(48000 * 4 * 60 / 150)
    assert all(stem.shape == piece.audio.shape for stem in piece.stems.values())


@pytest.mark.parametrize("section", ["intro", "ending", "stinger", "fill"])
def test_a_section_that_does_not_go_round_rings_out_and_says_so(section, address, tmp_path):
    with connect(address) as game:
        piece = game.music("combat, E minor", stems=True, section=section, **WANTED)
        assert game.replay(piece).digest == piece.digest
    assert piece.sidecar["loop"] is None
    assert len(piece.audio) > piece.sidecar["body"] == round(48000 * 4 * 60 / 150)
    assert not piece.score.loops
    written = piece.save(tmp_path / f"{section}.wav", stems=True)
    assert json.loads(written[-1].read_text(encoding="utf-8"))["loop"] is None
    assert all(b"smpl" not in path.read_bytes()[:200] for path in written[:-1])


def test_stems_come_on_request_only_and_the_digest_is_of_all(piece, address):
    with connect(address) as game:
        light = game.music("calm town, G major", **WANTED)
        only_drums = game.submit(piece.recipe, maps=["drums"]).result()
    assert not light.stems
    assert light.digest == only_drums.digest == piece.digest
    assert set(only_drums.stems) <= {"drums"}
    np.testing.assert_array_equal(light.audio, piece.audio)


def test_a_store_keeps_what_was_made(piece, home):
    kept = read(Store(home / "kept").maps(piece.id))
    assert kept.digest == piece.digest


def test_what_cannot_be_is_refused_over_the_wire_too(address):
    with connect(address) as game:
        with pytest.raises(Refusal, match=r"bars: 77 is out of range, valid is a whole number from 1 to 32"):
            game.music("tense", bars=77)
        with pytest.raises(Refusal, match="encoding"):
            game.submit({"kind": "music", "prompt": "tense"}, encoding="png").result()
        with pytest.raises(Refusal, match="maps"):
            game.submit({"kind": "music", "prompt": "tense"}, maps=["albedo"]).result()


def test_the_command_writes_sound_stems_and_facts_and_replays_them(home, tmp_path, capsys):
    out = tmp_path / "tension.wav"
    common = ["--bundle", str(BUNDLE), "--backend", "onnxruntime", "--json"]
    assert (
        run(["make", "music", "tense, 150 bpm", "--seed", "7", "--bars", "1", "--stems", "--out", str(out), *common])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    facts = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["digest"] == told["digest"]
    assert facts["bars"] == 1
    assert out.read_bytes()[:4] == b"RIFF"
    assert {name for name in told["files"] if name.endswith(".wav")} >= {str(out), str(tmp_path / "tension.drums.wav")}
    assert run(["replay", str(out.with_suffix(".json")), *common]) == 0


def test_a_piece_that_was_made_without_stems_replays_too(home, tmp_path, capsys):
    out = tmp_path / "calm.wav"
    common = ["--bundle", str(BUNDLE), "--backend", "onnxruntime", "--json"]
    assert run(["make", "music", "town, 180 bpm", "--bars", "1", "--out", str(out), *common]) == 0
    assert run(["replay", str(out.with_suffix(".json")), *common]) == 0


def test_the_command_takes_streams_rate_loudness_by_name_and_bits(home, tmp_path, capsys):
    out = tmp_path / "drums.wav"
    dials = ["--only", "drums", "--rate", "44100", "--loudness", "game", "--bits", "16", "--bpm", "180", "--bars", "1"]
    assert run(["make", "music", "combat", *dials, "--bundle", str(BUNDLE), "--out", str(out), "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)["recipe"]
    assert (recipe["only"], recipe["rate"], recipe["loudness"]) == (["drums"], 44100, -16.0)
    assert int.from_bytes(out.read_bytes()[34:36], "little") == 16
    assert run(["make", "music", "combat", "--loudness", "quiet", "--bundle", str(BUNDLE)]) == 2
    assert "valid: broadcast, game, loud" in capsys.readouterr().err


def test_a_file_whose_sidecar_was_written_over_is_not_replayed_as_another(home, tmp_path, capsys):
    for ending in ("flac", "wav"):
        out = str(tmp_path / f"menu.{ending}")
        assert run(["make", "music", "menu, 1 bar", "--bpm", "200", "--bundle", str(BUNDLE), "--out", out]) == 0
    capsys.readouterr()
    assert run(["replay", str(tmp_path / "menu.flac"), "--bundle", str(BUNDLE)]) == 2
    assert "menu.json is that of menu.wav now" in capsys.readouterr().err
    (tmp_path / "menu.wav").rename(tmp_path / "other.wav")
    (tmp_path / "menu.json").rename(tmp_path / "other.json")
    assert run(["replay", str(tmp_path / "other.wav"), "--bundle", str(BUNDLE)]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [(["music", "tense", "--steps", "4"], "steps"), (["texture", "moss", "--bars", "4"], "bars")],
)
def test_a_dial_of_the_other_kind_is_refused_by_its_name(words, said, capsys):
    assert run(["make", *words]) == 2
    assert capsys.readouterr().err.startswith(f"cadenza: {said}: ")


def test_a_server_holds_no_piece_that_its_client_has_heard(home, monkeypatch):
    """Without waiting for the collector of cycles, which comes seldom: eight bars are 50 MB."""
    pieces, play = [], kinds.play

    def noted(job, resolved):
        made = play(job, resolved)
        pieces.append(weakref.ref(made.music))
        return made

    monkeypatch.setattr(kinds, "play", noted)
    bound, stop = queue.Queue(), threading.Event()
    with Runtime([BUNDLE], "onnxruntime", threads=2) as runtime:
        terms = dict(ready=bound.put, stop=stop)
        thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=terms)
        thread.start()
        gc.collect()
        gc.disable()
        try:
            with connect(bound.get(timeout=10)) as game:
                for seed in range(2):
                    game.submit({"kind": "music", "style": "menu", **WANTED, "seed": seed}).result()
                game.submit({"kind": "music", "style": "menu", **WANTED, "seed": 9}).result()
                end = time.monotonic() + 5
                while any(piece() is not None for piece in pieces[:2]) and time.monotonic() < end:
                    time.sleep(0.02)
                assert [piece() is None for piece in pieces[:2]] == [True, True]
        finally:
            gc.enable()
            stop.set()
            thread.join()


def test_parts_are_the_same_over_the_wire_and_in_process_and_without_audio_nothing_is_saved(piece, address, tmp_path):
    for place in (address, "inproc"):
        with connect(place) as game:
            light = game.submit(piece.recipe, maps=["chords", "score"]).result()
        assert (len(light.audio), set(light.stems), light.score) == (0, {"chords"}, piece.score)
        with pytest.raises(Refusal, match=r"audio: did not come with this music; ask for it"):
            _ = light.sidecar
        with pytest.raises(Refusal, match=r"audio: did not come with this music; ask for it"):
            light.save(tmp_path / "q.wav")
    assert not list(tmp_path.iterdir())


def test_the_command_replays_the_recipe_of_a_stream(home, tmp_path, capsys):
    with connect("inproc") as game, game.stream("town", seed=3, bpm=200) as music:
        next(music)
        music.close()
        list(music)
    file = tmp_path / "stream.json"
    file.write_text(json.dumps({"recipe": music.recipe, "digest": music.digest}), encoding="utf-8")
    assert run(["replay", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    file.write_text(json.dumps({"recipe": music.recipe, "digest": "0" * 64}), encoding="utf-8")
    assert run(["replay", str(file), "--json"]) == 1
