"""The whole loop: its length, its bits, its seam, its level, and what it refuses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import fftconvolve, resample_poly
from sound_scores import STYLES, score

from cadenza.assets.music.bank import Bank
from cadenza.assets.music.grid import beats_of, loop_samples, sample_of
from cadenza.assets.music.kits import KITS
from cadenza.assets.music.loudness import loudness
from cadenza.assets.music.render import render
from cadenza.assets.music.reverb import response
from cadenza.assets.music.score import STREAMS, Note
from cadenza.assets.music.stage import Stage
from cadenza.assets.refusal import Refusal

pytestmark = pytest.mark.filterwarnings("ignore:Possible clipped samples:UserWarning")


@pytest.mark.parametrize("bpm", [60, 97.3, 120, 133.33, 179.9])
@pytest.mark.parametrize("rate", [48000, 44100])
def test_the_loop_is_rounded_once_and_no_beat_drifts(bpm, rate):
    piece = score(bars=64, bpm=bpm)
    exact = Fraction(64 * 4 * 60 * rate) / Fraction(bpm)
    assert abs(loop_samples(piece, rate) - exact) <= Fraction(1, 2)
    for number, at in enumerate(beats_of(piece, rate)):
        assert abs(at - exact * number / 256) <= 1
    assert sample_of(piece.frames, piece, rate) == loop_samples(piece, rate)


def test_stems_added_in_order_are_the_mix_to_the_last_bit(rendered):
    music = rendered("combat")
    assert list(music.stems) == list(STREAMS)
    total = np.zeros_like(music.audio)
    for stem in music.stems.values():
        assert stem.dtype == np.float32
        assert stem.shape == (music.frames, 2)
        total = total + stem
    assert total.tobytes() == music.mix.tobytes()
    assert music.limited_db == 0
    assert music.audio.tobytes() == music.mix.tobytes()


def test_bits_depend_neither_on_the_bank_nor_on_threads(rendered):
    piece = score(1, "town", 2)
    with ThreadPoolExecutor(3) as pool:
        together = [bytes(s.tobytes()) for s in pool.map(lambda k: _fresh(piece), range(3))]
    alone = _fresh(piece).tobytes()
    assert set(together) == {alone}
    assert Stage(piece, 48000).stem("chords", 0, loop_samples(piece, 48000)).tobytes() == alone


def _fresh(piece):
    stage = Stage(piece, 48000, bank=Bank())
    return stage.stem("chords", 0, stage.samples)


@pytest.mark.parametrize("style", STYLES)
def test_the_seam_is_no_rougher_than_the_inside(rendered, style):
    audio = rendered(style).audio.astype(np.float64)
    for channel in audio.T:
        first = np.abs(np.diff(channel, append=channel[0]))
        second = np.abs(np.diff(first, append=first[0]))
        assert first[-1] <= np.percentile(first[:-1], 99)
        assert max(second[-2:]) <= np.percentile(second[:-2], 99)


@pytest.mark.parametrize("style", STYLES)
def test_levels_are_sound(rendered, style):
    """Loud as asked, no silence, no clipping, nothing near 0 Hz, both ears, and dynamics of music."""
    music = rendered(style)
    audio = music.audio.astype(np.float64)
    assert abs(music.loudness + 23) < 0.1
    assert np.abs(audio).max() < 0.8
    assert np.abs(audio.mean(axis=0)).max() < 2e-4  # 74 dB below full scale
    level = np.sqrt((audio[: len(audio) // 4800 * 4800] ** 2).reshape(-1, 4800, 2).mean(axis=(1, 2)))
    assert level.min() > 1e-4
    crest = 20 * np.log10(np.abs(audio).max() / np.sqrt((audio**2).mean()))
    assert 9 < crest < 20
    left, right = (audio**2).mean(axis=0)
    assert abs(10 * np.log10(left / right)) < 2.5
    for name, stem in music.stems.items():
        share = loudness(np.ascontiguousarray(stem.T), music.rate) - music.loudness
        assert -20 < share < -1, f"{name} is {share:.1f} LU against the mix"


def test_a_tail_goes_around_the_end():
    piece = score(bars=2)
    last = replace(piece, notes=(Note(4, piece.frames - 1, 1, 72, 110),), style="ambient")
    music = render(last)
    start = sample_of(piece.frames - 1, last, 48000)
    assert np.abs(music.audio[: music.frames // 8]).max() > 0.02 * np.abs(music.audio[start:]).max()
    assert np.abs(music.audio[start - 9600 : start - 2400]).max() < 1e-3 * np.abs(music.audio[start:]).max()


@pytest.mark.parametrize("style", ["ambient", "combat"])
def test_the_loop_is_what_a_long_performance_comes_to(style):
    """Oracle: the notes of many turns laid end to end in float64, the room by one plain convolution; the last turn is the loop."""
    piece = score(2, style, bars=1, bpm=130.7)
    stage = Stage(piece, 48000)
    loop, stream = stage.samples, "arpeggio"
    made = stage.stem(stream, 0, loop)
    turns = 6
    dry = np.zeros((2, (turns + 4) * loop))
    for turn in range(turns):
        for event in stage._events[stream]:
            sound, at = event.tone().whole, event.at + turn * loop
            for side, gain in ((0, event.left), (1, event.right)):
                skip = max(0, -at)
                dry[side, at + skip : at + sound.shape[1]] += sound[side, skip:].astype(np.float64) * gain
    duck = stage._ducked(stage.kit.parts[stream].duck, 0, loop) if stage.kit.parts[stream].duck else np.ones(loop)
    dry *= np.tile(duck, turns + 4)
    sent = dry.sum(axis=0) * stage.kit.parts[stream].send * 0.5
    last = slice((turns - 1) * loop, turns * loop)
    for side in (0, 1):
        whole = dry[side] + fftconvolve(sent, response(KITS[style].room, 48000)[side])[: dry.shape[1]]
        assert np.abs(whole[last] - made[side]).max() < 2e-5 * np.abs(made).max() + 1e-7


@pytest.mark.parametrize("name", ["broadcast", "game", "loud"])
def test_loudness_is_as_asked_by_an_independent_meter(rendered, name):
    music = rendered("boss", loudness=name)
    wanted = {"broadcast": -23, "game": -16, "loud": -14}[name]
    around = np.concatenate([music.audio] * 4).astype(np.float64)
    assert abs(pyloudnorm.Meter(music.rate).integrated_loudness(around) - wanted) < 0.3
    assert abs(music.loudness - wanted) < 0.15


@pytest.mark.parametrize(("rate", "seed"), [(48000, 3), (44100, 4)])
def test_the_meter_agrees_with_pyloudnorm_also_where_the_gate_matters(rate, seed):
    draw = np.random.default_rng(seed)
    time = np.arange(7 * rate) / rate
    sound = np.stack([np.sin(2 * np.pi * 180 * time), np.sin(2 * np.pi * 3100 * time)]) * np.where(time < 3, 0.2, 0.002)
    sound = (sound + 0.01 * draw.standard_normal(sound.shape) * (time < 5)).astype(np.float32)
    other = pyloudnorm.Meter(rate).integrated_loudness(np.tile(sound, 6).T.astype(np.float64))
    assert abs(loudness(sound, rate) - other) < 0.1


def test_the_limiter_keeps_true_peaks_under_the_ceiling_around_the_loop(rendered):
    for style in ("boss", "menu"):
        music = rendered(style, loudness=-11.0)
        assert music.limited_db < -1
        wide = np.concatenate([music.audio[-4800:], music.audio, music.audio[:4800]]).astype(np.float64)
        assert 20 * np.log10(np.abs(resample_poly(wide, 8, 1)).max()) < -1
        assert music.true_peak < -1
        assert abs(20 * np.log10(np.abs(resample_poly(wide, 8, 1)).max()) - music.true_peak) < 0.15


def test_stems_keep_their_balance_at_every_loudness(rendered):
    quiet, loud = rendered("boss"), rendered("boss", loudness="loud")
    ratio = 10 ** ((loud.gain_db - quiet.gain_db) / 20)
    for name in STREAMS:
        assert np.allclose(loud.stems[name], quiet.stems[name] * ratio, rtol=1e-5, atol=1e-7)


def test_one_stream_alone_is_its_stem_and_muting_takes_it_out(rendered):
    whole = rendered("victory")
    alone = rendered("victory", only=("lead",), gain_db=whole.gain_db)
    rest = rendered("victory", mute=("lead",), gain_db=whole.gain_db)
    assert list(alone.stems) == ["lead"]
    assert alone.audio.tobytes() == whole.stems["lead"].tobytes()
    assert list(rest.stems) == [s for s in STREAMS if s != "lead"]
    for name, stem in rest.stems.items():
        assert stem.tobytes() == whole.stems[name].tobytes()


def test_kicks_push_the_bass_down():
    piece = score(1, "combat", 1)
    held = replace(piece, notes=(Note(1, 0, 16, 40, 100), Note(0, 8, 1, 36, 100)))
    free = replace(piece, notes=(Note(1, 0, 16, 40, 100),))
    pressed, plain = (Stage(p, 48000).stem("bass", 0, loop_samples(p, 48000)) for p in (held, free))
    kick = sample_of(8, piece, 48000)
    under, before = (np.s_[:, kick + 500 : kick + 1500], np.s_[:, kick - 2000 : kick])
    assert np.abs(pressed[under]).max() < 0.8 * np.abs(plain[under]).max()
    assert pressed[before].tobytes() == plain[before].tobytes()


def test_a_closed_hat_stops_the_open_one():
    piece = score(1, "combat", 1)
    open_hat, closed = Note(0, 0, 1, 46, 100), Note(0, 2, 1, 42, 1)
    rings, stopped = (
        Stage(replace(piece, notes=n), 48000).stem("drums", 0, 20000) for n in ((open_hat,), (open_hat, closed))
    )
    at = sample_of(2, piece, 48000) + 600
    assert np.abs(rings[:, at : at + 2000]).max() > 5 * np.abs(stopped[:, at : at + 2000]).max()


BAD = {
    "rate": (dict(rate=22050), {}),
    "loudness": (dict(loudness=-3), {}),
    "ceiling_db": (dict(ceiling_db=1), {}),
    "only": (dict(only=("strings",)), {}),
    "mute": (dict(mute=("everything",)), {}),
    "score.bpm": ({}, dict(bpm=0)),
    "score.bars": ({}, dict(bars=0)),
    "score.tonic": ({}, dict(tonic=12)),
    "score.scale": ({}, dict(scale="blues")),
    "score.style": ({}, dict(style="disco")),
    "score.notes": ({}, dict(notes=())),
    "score.notes[0].pitch": ({}, dict(notes=(Note(0, 0, 1, 20, 100),))),
    "score.notes[0].start": ({}, dict(notes=(Note(1, 64, 1, 40, 100),))),
    "score.notes[0].length": ({}, dict(notes=(Note(1, 0, 0, 40, 100),))),
    "score.notes[0].velocity": ({}, dict(notes=(Note(1, 0, 1, 40, 128),))),
    "score.notes[0].stream": ({}, dict(notes=(Note(5, 0, 1, 40, 100),))),
    "soundfont": (dict(soundfont="/nowhere.sf2"), {}),
}


@pytest.mark.parametrize("field", BAD)
def test_what_cannot_be_played_is_refused_by_name(field):
    options, changes = BAD[field]
    with pytest.raises(Refusal) as caught:
        render(replace(score(bars=4), **changes), **options)
    assert caught.value.field == field
    assert caught.value.remedy or "valid is" in str(caught.value)


def test_a_stream_without_notes_is_refused_alone_but_silent_in_company():
    piece = score(bars=1)
    drums = replace(piece, notes=tuple(n for n in piece.notes if n.stream == 0))
    assert not render(drums).stems["lead"].any()
    with pytest.raises(Refusal, match="lead"):
        render(drums, only=("lead",))


@pytest.mark.slow
@pytest.mark.parametrize("style", ["combat", "exploration", "menu"])
def test_a_loop_of_eight_bars_is_made_much_faster_than_it_plays(style):
    """Processor time of this process, so that a busy machine does not count: 20 times real time once the notes are in the bank."""
    import time

    piece = score(1, style)
    render(piece)
    start = time.process_time()
    music = render(piece)
    assert music.seconds / (time.process_time() - start) > 20
