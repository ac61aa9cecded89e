"""The embedded sound bundle as a game meets it: loops without a seam, the same bytes in any company, parts made anew."""

import numpy as np
import pytest

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.exporters.sound.codec import CELL, PERIOD
from cadenza.exporters.sound.signal import RATE
from cadenza.exporters.sound.vocabulary import LOOPS, SHOTS
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.inputs import given
from cadenza.runtime.runtime import Runtime

FOLDER = EMBEDDED / "sound"
LIMIT = 16_000_000
"""Bytes in the repository."""
REACH = 1
"""Cells on each side that a frame of the decoder reaches into."""
TWO = 2.048
"""Seconds, 64 cells."""


@pytest.fixture(scope="module")
def runtime():
    with Runtime([EMBEDDED / "texture", FOLDER], "onnxruntime", threads=2) as runtime:
        yield runtime


def made(runtime, *requests):
    works = [runtime.submit({"kind": "sound", "seconds": TWO, **request}) for request in requests]
    return [work.wait(240) for work in works]


def waves(runtime, prompts, seeds=range(1), **dials):
    requests = [{"prompt": prompt, "seed": seed, **dials} for prompt in prompts for seed in seeds]
    return [sound.audio[:, 0] for sound in made(runtime, *requests)]


def test_the_bundle_is_small_and_whole():
    bundle = load_bundle(FOLDER)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LIMIT
    assert bundle.manifest.samples.rate_hz == RATE
    assert {table.steps for table in bundle.manifest.recommended} == {4, 8}
    assert {table.sampler for table in bundle.manifest.recommended} == {"pingpong"}


@pytest.mark.parametrize("steps", [4, 8])
def test_the_wrap_of_an_ambience_is_a_border_of_cells_like_any_other(runtime, steps):
    stack = np.stack(waves(runtime, LOOPS, range(4), steps=steps))
    change = np.abs(np.roll(stack, -1, 1) - stack)
    wrap, inside = change[:, -1:], change[:, CELL - 1 : -1 : CELL]
    assert 0.3 < (inside >= wrap).mean() < 0.7
    bend = np.abs(np.roll(stack, -1, 1) - 2 * stack + np.roll(stack, 1, 1))
    assert 0.3 < (bend[:, CELL - 1 : -1 : CELL] >= bend[:, -1:]).mean() < 0.7


def test_a_sound_has_the_same_bits_alone_and_among_textures_and_other_sounds(runtime):
    asked = {"prompt": "bright bell", "seed": 3}
    (alone,) = made(runtime, asked)
    others = [runtime.submit({"kind": "texture", "prompt": p, "seed": 1, "size": 64}) for p in ("stone", "wet brick")]
    more = [{"prompt": p, "seed": s, "steps": n} for p in ("wind", "glass") for s, n in ((1, 4), (2, 8))]
    *_, among = made(runtime, *more, {**asked, "variation_seed": 0, "negative": ""})
    assert among.digest == alone.digest
    assert all(other.wait(240).albedo.shape == (64, 64, 3) for other in others)
    with Runtime([FOLDER], "onnxruntime", threads=1) as later:
        assert later.submit(alone.recipe).wait(240).digest == alone.digest
    assert made(runtime, {**asked, "seed": 4})[0].digest != alone.digest


@pytest.mark.parametrize("cells", [32, 40, 128])
def test_lengths_are_whole_turns_of_the_oscillators(runtime, cells):
    (sound,) = made(runtime, {"prompt": "drone", "seconds": (cells * CELL - 100) / RATE})
    assert sound.audio.shape == (cells * CELL, 1)
    assert cells % PERIOD == 0
    assert sound.audio.std() > 1e-3


def test_a_length_that_cannot_be_made_is_refused_and_not_made_longer(runtime):
    (told,) = (each for each in runtime.describe()["bundles"] if each["kind"] == "sound")
    shortest = told["seconds"]["minimum"]
    assert (
        made(runtime, {"prompt": "rain", "seconds": shortest - 0.01})[0].seconds == shortest
    )  # rounded up to whole cells
    with pytest.raises(Refusal, match=f"seconds: 0.3 is out of range, valid is a number from {shortest:g} to"):
        made(runtime, {"prompt": "rain", "seconds": 0.3})


@pytest.mark.parametrize("gain_db", [float("nan"), float("inf"), 1000, -121, True, "6"])
def test_a_gain_that_is_none_is_refused_before_a_file_is_written(runtime, tmp_path, gain_db):
    (sound,) = made(runtime, {"prompt": "rain", "seconds": TWO})
    for name in ("a.wav", "a.flac", "a.ogg"):
        with pytest.raises(Refusal, match="gain_db"):
            sound.save(tmp_path / name, gain_db=gain_db)
    with pytest.raises(Refusal, match=r"gain_db: a peak of .* does not fit into OGG; write a WAV of 32 bits"):
        sound.save(tmp_path / "b.ogg", gain_db=40)
    assert not list(tmp_path.iterdir())
    assert sound.save(tmp_path / "new" / "b.wav", gain_db=np.float32(40))[0].is_file()


def test_words_are_heard_and_unknown_ones_are_told(runtime):
    sound, plain = made(runtime, {"prompt": "howling gale"}, {"prompt": "wind"})
    assert sound.ignored == ("howling",)
    assert sound.digest == plain.digest or np.array_equal(sound.audio, plain.audio)
    with pytest.raises(Refusal, match="has no word that this bundle knows"):
        runtime.submit({"kind": "sound", "prompt": "symphony"})


def test_what_is_made_is_in_range_without_an_offset_and_not_silent(runtime):
    for prompt, wave in zip(LOOPS + SHOTS, waves(runtime, LOOPS + SHOTS), strict=True):
        assert np.isfinite(wave).all()
        assert (np.abs(wave) > 1).mean() < 1e-3, prompt
        assert abs(wave.mean()) < 5e-3, prompt
        assert np.abs(wave).max() > 0.05, prompt


def test_a_one_shot_is_loudest_at_its_beginning_and_its_end_is_silent(runtime):
    ends = [np.abs(wave[-CELL:]).max() / np.abs(wave).max() for wave in waves(runtime, SHOTS, range(2))]
    assert np.median(ends) < 0.02
    early = [(wave[: len(wave) // 2] ** 2).sum() / (wave**2).sum() for wave in waves(runtime, SHOTS, range(2))]
    assert np.median(early) > 0.9


def test_spans_are_made_anew_and_the_rest_of_a_sound_stays(runtime):
    asked = {"prompt": "rain", "seconds": 4.096}
    (first,) = made(runtime, {**asked, "seed": 1})
    (second,) = made(runtime, {**asked, "seed": 2, "image": first.recipe, "anew": [[0.8, 1.1], [2.4, 2.6]]})
    difference = np.abs(second.audio - first.audio).reshape(-1, CELL).mean(1)  # by cell
    anew = np.zeros(len(difference), bool)
    anew[25:35] = anew[75:82] = True  # whole cells
    reached = np.array([np.roll(anew, by) for by in range(-REACH, REACH + 1)]).any(0)
    assert not reached.all()
    assert difference[~reached].max() < 1e-4  # noise and all
    assert difference[anew].mean() > 0.3 * np.abs(first.audio).mean()
    assert runtime.submit(second.recipe).wait(240).digest == second.digest


def test_a_sound_goes_on_with_a_shorter_one(runtime):
    (short,) = made(runtime, {"prompt": "ocean", "seed": 2, "seconds": 1.024})
    (long,) = made(runtime, {"prompt": "ocean", "seed": 3, "seconds": 3.072, "image": short.recipe})
    assert len(long.audio) == 3 * len(short.audio)
    rest = long.audio[len(short.audio) + 2 * CELL :]
    assert rest.std() > 0.1 * short.audio.std()


def test_a_sound_that_starts_from_another_is_nearer_to_it_the_less_it_is_denoised(runtime):
    (first,) = made(runtime, {"prompt": "fire", "seed": 5})
    apart = []
    for denoise in (0.25, 0.9):
        asked = {"prompt": "fire", "seed": 6, "image": first.recipe, "denoise": denoise, "sampler": "euler", "steps": 8}
        (other,) = made(runtime, asked)
        levels = [np.log(1e-4 + (s.audio.reshape(-1, 512) ** 2).mean(1)) for s in (first, other)]
        apart.append(np.abs(levels[0] - levels[1]).mean())
    assert apart[0] < apart[1]


def test_a_network_is_told_what_is_held_and_nothing_without_a_mask(runtime):
    latent = np.random.default_rng(0).standard_normal((112, 1, 64)).astype(np.float32)
    asked = {"kind": "sound", "prompt": "rain", "seconds": TWO, "seed": 2}
    plain = given(runtime.resolve(asked), None, None)
    assert plain["mask"] is None
    assert plain["given"]["held"].shape == (2, 113, 1, 64)
    assert not plain["given"]["held"].any()
    image = {"prompt": "rain", "seed": 1, "seconds": TWO}
    told = given(runtime.resolve({**asked, "image": image, "anew": [[1.0, 1.5], [2.0, 0.1]]}), None, latent)
    anew = np.zeros(64)
    anew[31:47] = anew[62:] = anew[:4] = 1.0
    assert np.array_equal(told["mask"][0, 0], anew)
    assert np.array_equal(told["given"]["held"][0, 0, 0], 1 - anew)
    assert np.array_equal(told["given"]["held"][1, 1:, 0], latent[:, 0] * (1 - anew).astype(np.float32))
