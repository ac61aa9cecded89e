"""A SoundFont that the user names. The player is not in the test extra, because its requirement pyaudio has to be built on Linux."""

import sys

import numpy as np
import pytest
from sound_scores import score
from soundfont_file import soundfont

from cadenza.assets.music.instruments import INSTRUMENTS
from cadenza.assets.music.render import font_bank, render
from cadenza.assets.music.signal import hertz
from cadenza.assets.music.soundfont import PROGRAMS
from cadenza.assets.music.stream import Stream
from cadenza.assets.refusal import Corrupt, Refusal


def test_every_instrument_has_a_program():
    assert PROGRAMS.keys() == INSTRUMENTS.keys()
    assert all(0 <= program < 128 for program in PROGRAMS.values())


def test_a_file_that_is_no_soundfont_is_refused_in_a_sentence(tmp_path):
    for name, data in (("a.sf2", b"RIFF\0\0\0\0WAVEfmt "), ("b.sf2", b""), ("c.sf2", b"MThd" * 9)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Corrupt, match="is not a SoundFont"):
            render(score(bars=1), soundfont=str(tmp_path / name))


def test_a_missing_player_is_one_sentence_with_the_command(tmp_path, monkeypatch):
    (tmp_path / "real.sf2").write_bytes(soundfont())
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(Refusal, match="pip install --no-deps tinysoundfont"):
        render(score(bars=1), soundfont=str(tmp_path / "real.sf2"))


@pytest.fixture
def font(tmp_path):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    (tmp_path / "real.sf2").write_bytes(soundfont())
    return str(tmp_path / "real.sf2")


def test_a_broken_soundfont_is_refused(tmp_path):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    (tmp_path / "cut.sf2").write_bytes(soundfont()[:400])
    with pytest.raises(Corrupt, match="cannot be read"):
        render(score(bars=1), soundfont=str(tmp_path / "cut.sf2"))


def test_its_notes_are_in_tune_and_end(font):
    bank = font_bank(font)
    for pitch in (45, 69, 80):
        sound = bank.note("flute", pitch, 1, 24000, 48000).whole
        strength = np.abs(np.fft.rfft(sound[0, :24000] * np.hanning(24000), 1 << 18))
        assert abs(1200 * np.log2(strength.argmax() * 48000 / (1 << 18) / hertz(pitch))) < 5
        assert sound.shape[1] < 24000 + 48000
        assert abs(sound[:, -1]).max() < 1e-3 * abs(sound).max()


def test_a_loop_played_by_it_has_the_same_bits_each_time_and_streamed(font):
    piece = score(1, "town", 2)
    music, again = (render(piece, soundfont=font) for _ in range(2))
    assert music.digest == again.digest != render(piece).digest
    assert abs(music.loudness + 23) < 0.1
    stream = Stream(piece, soundfont=font, gain_db=music.gain_db)
    assert np.concatenate(list(stream)).tobytes() == music.audio.tobytes()
    assert np.array_equal(
        music.stems["drums"] != 0, render(piece).stems["drums"] != 0
    )  # it has no percussion: the built-in plays


def test_percussion_of_the_soundfont_is_used_when_it_has_some(tmp_path):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    (tmp_path / "kit.sf2").write_bytes(soundfont(drums=True))
    bank = font_bank(str(tmp_path / "kit.sf2"))
    sound = bank.stroke("acoustic", 69, 1, 0, 48000).whole
    strength = np.abs(np.fft.rfft(sound[0, :8000] * np.hanning(8000), 1 << 17))
    assert abs(strength.argmax() * 48000 / (1 << 17) - 440) < 5
