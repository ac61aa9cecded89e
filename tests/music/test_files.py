"""Files: what other programs read back, where they loop, and the same bytes each time."""

import hashlib
import io
import json
import struct
import sys

import numpy as np
import pytest
import soundfile
from riff import chunks
from scipy.io import wavfile

from cadenza.assets.music.files import encode, facts, save
from cadenza.assets.music.render import render
from cadenza.assets.music.score import STREAMS
from cadenza.assets.refusal import Refusal


@pytest.mark.filterwarnings("ignore:Chunk .* not understood")
@pytest.mark.parametrize("bits", [32, 24, 16])
def test_wav_is_read_back_by_two_readers_and_loops_over_the_whole(rendered, bits):
    music = rendered("menu")
    data = encode(music.audio, music.rate, "wav", bits)
    read, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == music.rate
    step = {32: 0, 24: 0.51 * 2.0**-23, 16: 1.51 * 2.0**-15}[bits]
    assert np.abs(read.astype(np.float64) - music.audio).max() <= step
    other = wavfile.read(io.BytesIO(data))[1].astype(np.float64) / {32: 1, 24: 2.0**31, 16: 2.0**15}[bits]
    assert np.abs(other - music.audio).max() <= step
    sampler = struct.unpack("<9I6I", chunks(data)[b"smpl"])
    assert sampler[7] == 1
    assert sampler[9:] == (0, 0, 0, music.frames - 1, 0, 0)


def test_dither_keeps_the_quiet_end_free_of_distortion(rendered):
    """The error of 16 bits does not follow the signal."""
    quiet = rendered("menu").audio * np.float32(0.002)
    data = encode(quiet, 48000, "wav", 16)
    error = soundfile.read(io.BytesIO(data), dtype="float64")[0] - quiet
    assert abs(np.corrcoef(error[:, 0], quiet[:, 0])[0, 1]) < 0.01
    assert abs(error.mean()) < 1e-6
    assert data == encode(quiet, 48000, "wav", 16)


@pytest.mark.parametrize("bits", [24, 16])
def test_flac_is_lossless_and_tagged(rendered, bits):
    music = rendered("menu")
    data = encode(music.audio, music.rate, "flac", bits, music.score.bpm)
    as_wav = encode(music.audio, music.rate, "wav", bits)
    same = [soundfile.read(io.BytesIO(d), dtype="int32")[0] for d in (data, as_wav)]
    assert np.array_equal(*same)
    assert b"LOOPSTART=0" in data
    assert f"LOOPLENGTH={music.frames}".encode() in data
    assert data == encode(music.audio, music.rate, "flac", bits, music.score.bpm)


def test_ogg_has_every_sample_the_tags_and_the_same_bytes_again(rendered):
    music = rendered("menu")
    data = encode(music.audio, music.rate, "ogg", None, music.score.bpm)
    read, rate = soundfile.read(io.BytesIO(data))
    assert (len(read), rate) == (music.frames, music.rate)
    error = read - music.audio
    assert (error**2).mean() < 0.02 * (music.audio.astype(np.float64) ** 2).mean()
    assert b"LOOPSTART=0" in data
    assert f"LOOPLENGTH={music.frames}".encode() in data
    assert b"BPM=90" in data
    assert data == encode(music.audio, music.rate, "ogg", None, music.score.bpm)
    assert len(data) < music.frames


def test_the_json_file_says_where_everything_is(rendered, tmp_path):
    music = rendered("menu")
    paths = save(music, tmp_path / "deep" / "loop.wav", stems=True)
    assert {p.name for p in paths} == {"loop.wav", "loop.json", *(f"loop.{s}.wav" for s in STREAMS)}
    said = json.loads((tmp_path / "deep" / "loop.json").read_text(encoding="utf-8"))
    sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths[:-1]}
    assert said == {**json.loads(json.dumps(facts(music, "loop.wav", said["stems"]))), "sha256": sums}
    assert said["frames"] == music.frames == len(soundfile.read(tmp_path / "deep" / "loop.wav")[0])
    assert len(said["beats"]) == 16
    assert said["downbeats"] == said["beats"][::4]
    assert said["key"] == {
        "tonic": ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"][music.score.tonic],
        "scale": "dorian",
    }
    assert abs(said["loudness_lufs"] + 23) < 0.1
    assert said["digest"] == music.digest
    total = sum(soundfile.read(tmp_path / "deep" / said["stems"][s], dtype="float64")[0] for s in STREAMS)
    assert np.abs(total - music.audio).max() < 1e-6
    for chord, made in zip(said["chords"], music.score.chords, strict=True):
        assert len(chord["pitches"]) == len(made.pitches)
        assert chord["at"] in said["downbeats"]


def test_files_that_cannot_be_written_are_refused_and_nothing_is_left(rendered, tmp_path, monkeypatch):
    music = rendered("menu")
    for name, options, field in (
        ("a.mp3", {}, "format"),
        ("a.wav", {"bits": 8}, "bits"),
        ("a.flac", {"bits": 32}, "bits"),
        ("a.ogg", {"bits": 16}, "bits"),
    ):
        with pytest.raises(Refusal) as caught:
            save(music, tmp_path / name, **options)
        assert caught.value.field == field
    with pytest.raises(Refusal, match="does not fit"):
        encode(music.audio * np.float32(20), 48000, "wav", 16)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(Refusal, match=r"pip install 'cadenza\[audio\]'"):
        save(music, tmp_path / "a.ogg")
    assert not list(tmp_path.iterdir())


def test_pictures_are_drawn(rendered, tmp_path):
    from PIL import Image

    from cadenza.assets.music.pictures import levels_of, picture

    music = rendered("menu")
    path = picture(music, tmp_path / "look" / "loop.png")
    with Image.open(path) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 500
    levels, times, frequencies = levels_of(music.audio, music.rate)
    assert levels.shape == (len(frequencies), len(times))
    tone = np.sin(2 * np.pi * 86 / 4096 * np.arange(40960)).astype(np.float32)
    levels, _, frequencies = levels_of(np.stack([tone, 0 * tone], axis=1), 48000)
    assert abs(frequencies[levels.mean(axis=1).argmax()] - 86 / 4096 * 48000) < 1
    assert abs(levels.max()) < 0.2


def test_pictures_without_matplotlib_are_refused_in_a_sentence(rendered, tmp_path, monkeypatch):
    from cadenza.assets.music.pictures import picture

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Refusal, match="plots"):
        picture(rendered("menu"), tmp_path / "loop.png")


def test_the_digest_is_of_what_is_heard(rendered):
    music = rendered("menu")
    assert render(music.score).digest == music.digest
    assert render(music.score, loudness="game").digest != music.digest


def test_without_a_sidecar_a_file_of_its_name_does_no_harm(rendered, tmp_path):
    (tmp_path / "c.json").write_text("[]", encoding="utf-8")
    assert save(rendered("town"), tmp_path / "c.wav", sidecar=False) == [tmp_path / "c.wav"]
    with pytest.raises(Refusal, match=r"c\.json"):
        save(rendered("town"), tmp_path / "c.wav")
    assert (tmp_path / "c.json").read_text(encoding="utf-8") == "[]"
