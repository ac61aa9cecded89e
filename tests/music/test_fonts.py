"""SoundFonts that a server offers: named by requests, held in recipes by digest, refused in sentences."""

import json

import pytest
from soundfont_file import soundfont

from cadenza.assets.refusal import Refusal
from cadenza.bindings.command.app import run
from cadenza.bridge import connect
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music import fonts

BUNDLE = EMBEDDED / "music"
WANTED = dict(seed=3, bars=1, bpm=180)


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """The file that is offered as "sine", alone."""
    pytest.importorskip("tinysoundfont")
    monkeypatch.setattr(fonts, "FONTS", {})
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont())
    fonts.offer_all([f"sine={path}"])
    return path


def test_a_named_soundfont_plays_and_its_recipe_replays(offered):
    with connect("inproc", bundles=[BUNDLE], threads=1) as game:
        (told,) = game.describe()["bundles"]
        assert list(told["soundfonts"]) == ["sine"]
        piece = game.music("town", soundfont="sine", **WANTED)
        assert piece.recipe["soundfont_sha256"] == told["soundfonts"]["sine"]
        assert piece.digest != game.music("town", **WANTED).digest
        assert game.replay(piece).digest == piece.digest
        with game.stream("town, 200 bpm", seed=3, soundfont="sine") as music:
            assert abs(music.next(60).audio).max() > 0.01


def test_another_file_under_the_name_is_told(offered):
    with connect("inproc", bundles=[BUNDLE], threads=1) as game:
        recipe = dict(game.music("town", soundfont="sine", **WANTED).recipe)
        offered.write_bytes(soundfont(pitch=57))
        fonts.offer("sine", offered)
        with pytest.raises(Refusal, match="another file"):
            game.submit(recipe).result()
        with pytest.raises(Refusal, match="sine"):
            game.submit({"kind": "music", "prompt": "town", "soundfont": "piano"}).result()
        with pytest.raises(Refusal, match="name the SoundFont"):
            game.submit({"kind": "music", "prompt": "town", "soundfont_sha256": "00"}).result()


def test_the_command_plays_a_file_and_replays_it(offered, tmp_path, capsys):
    out, common = tmp_path / "sine.wav", ["--bundle", str(BUNDLE), "--json"]
    made = ["make", "music", "town, 180 bpm", "--bars", "1", "--soundfont", str(offered), "--out", str(out)]
    assert run([*made, *common]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["soundfont"] == "sine"
    assert run(["replay", str(out.with_suffix(".json")), "--soundfont", f"sine={offered}", *common]) == 0


def test_what_is_no_soundfont_is_refused_in_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fonts, "FONTS", {})
    other = tmp_path / "other.sf2"
    other.write_bytes(b"RIFF, but something else")
    for words in (["make", "music", "town"], ["serve", "--bind", "tcp://127.0.0.1:*"]):
        assert run([*words, "--soundfont", f"mine={other}"]) == 2
        assert capsys.readouterr().err.startswith("cadenza: soundfont: other.sf2 is not a SoundFont")
    assert run(["make", "texture", "moss", "--soundfont", "mine"]) == 2
    assert capsys.readouterr().err.startswith("cadenza: soundfont: ")
    with pytest.raises(Refusal, match="no name"):
        fonts.offer("a/b", other)
    with pytest.raises(Refusal, match="no SoundFont is"):
        fonts.find("mine")
