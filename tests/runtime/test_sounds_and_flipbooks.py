"""Two more kinds of assets: sounds with seconds and samples, flipbooks whose frames have normals of their own."""

import asyncio
import io
import json
import struct
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bridge"))

import kinds
import toy
from kinds import HOP, LONGEST, RATE, SHEET, write
from running import running

from cadenza.assets import manifest as manifest_format
from cadenza.assets.flipbook import Flipbook, cut, derive_sheet, laid
from cadenza.assets.manifest import Samples, Sheet
from cadenza.assets.maps import derive
from cadenza.assets.refusal import Corrupt, Refusal
from cadenza.assets.sound import Sound
from cadenza.assets.texture import MAPS
from cadenza.bridge import aio, connect
from cadenza.bridge.payload import pack
from cadenza.runtime.runtime import Runtime


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    sound, book = tmp_path_factory.mktemp("sound"), tmp_path_factory.mktemp("book")
    kinds.write_sound(sound)
    kinds.write_flipbook(book)
    return [sound, book]


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def both(request, folders, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime(folders, request.param) as runtime, running(runtime) as address, connect(address) as game:
            yield runtime, game


def test_a_sound_is_as_long_as_asked_and_the_same_over_the_socket_and_again(both, tmp_path):
    runtime, game = both
    asked = {"kind": "sound", "prompt": "wet stone", "seed": 3, "seconds": 1.1}
    near = runtime.submit(asked).wait(30)
    far = game.submit(asked).result(30)
    assert far.digest == near.digest == game.replay(far.recipe).digest
    assert (far.rate, far.audio.shape) == (RATE, (36, 2))  # 1.1 s are 35.2 samples, 9 whole cells
    assert far.seconds == 36 / RATE
    assert (far.recipe["width"], far.recipe["height"]) == (36, HOP)
    assert np.array_equal(near.audio, far.audio)
    assert runtime.submit({**asked, "seed": 4}).wait(30).digest != near.digest
    file, record = far.save(tmp_path / "wet.wav")
    data = file.read_bytes()
    assert struct.unpack_from("<HHI", data, 20) == (3, 2, RATE)
    assert b"smpl" not in data
    assert np.array_equal(np.frombuffer(data[-36 * 8 :], "<f4").reshape(36, 2), far.audio)
    assert json.loads(record.read_text(encoding="utf-8"))["digest"] == far.digest


def test_a_part_of_a_sound_can_be_made_anew_from_its_recipe(both):
    runtime, _ = both
    first = runtime.submit({"kind": "sound", "prompt": "stone", "seed": 1, "seconds": 2}).wait(30)
    other = {"kind": "sound", "prompt": "stone", "seed": 2, "seconds": 2, "image": first.recipe, "denoise": 0.5}
    assert runtime.submit(other).wait(30).digest not in (
        first.digest,
        runtime.submit({**other, "seed": 3}).wait(30).digest,
    )


def test_spans_of_a_sound_are_made_anew_and_the_rest_stays(both):
    runtime, game = both
    asked = {"kind": "sound", "prompt": "stone", "seconds": 2}
    first = runtime.submit({**asked, "seed": 1}).wait(30)
    made = game.submit({**asked, "seed": 2, "image": first.recipe, "anew": [[0.3, 0.5], [1.8, 0.1]]}).result(30)
    samples = np.arange(2 * RATE)
    anew = (
        (samples < 4) | (samples >= 56) | ((samples >= 8) & (samples < 16))
    )  # whole cells of 4 samples, across the end
    assert np.allclose(made.audio[~anew], first.audio[~anew], atol=1e-5)
    assert (np.abs(made.audio - first.audio)[anew].reshape(-1, HOP * 2).max(1) > 1e-3).all()
    assert game.replay(made).digest == made.digest


def test_a_sound_goes_on_where_a_shorter_one_ends(both):
    runtime, _ = both
    short = runtime.submit({"kind": "sound", "prompt": "stone", "seed": 1, "seconds": 1}).wait(30)
    asked = {"kind": "sound", "prompt": "stone", "seed": 2, "seconds": 2.5}
    long = runtime.submit({**asked, "image": short.recipe}).wait(30)
    assert long.audio.shape == (80, 2)
    assert np.allclose(long.audio[:32], short.audio, atol=1e-5)
    assert not np.allclose(long.audio[32:64], short.audio, atol=1e-2)
    by_seconds = {"kind": "sound", "prompt": "stone", "seed": 1, "seconds": 1}
    assert runtime.submit({**asked, "image": by_seconds}).wait(30).digest == long.digest
    with pytest.raises(Refusal, match=r"mask: keeps parts behind the image, which has 32 of 80 samples"):
        runtime.submit({**asked, "image": short.recipe, "anew": [[1.5, 2.5]]})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 64}, "size: is of pictures"),
        ({"seconds": 9.0}, "seconds: 9.0 is out of range, valid is a number from 0.125 to 8"),
        ({"seconds": -1}, "seconds: -1 is out of range, valid is a number from 0.125 to 8"),
        ({"seconds": float("nan")}, "seconds: nan is out of range"),
        ({"seconds": 1.0, "width": 32}, "stands beside width"),
        ({"height": 8}, "height: 8 is out of range, valid is 4 for a sound"),
        ({"mask": [0, 0, 8, 4]}, "image: mask is set and there is no image"),
        ({"anew": [[0.0, 1.0]]}, "anew: stands without an image; give the sound"),
        ({"anew": [[0.5, 0.5]], "seconds": 2}, "anew: .* a list of spans"),
        ({"anew": [[0.5, 2.5]], "seconds": 2}, "anew: 2.5 is out of range, valid is a number from 0 to 2"),
        ({"anew": [[0.0, 1.0]], "mask": [0, 0, 8, 4]}, "anew: stands beside mask"),
        ({"image": {"kind": "sound", "prompt": "stone", "seconds": 90}}, "image.seconds: 90 is out of range"),
        ({"seconds": "long"}, "seconds"),
    ],
)
def test_what_a_sound_cannot_be_asked_for_is_refused_in_words(both, fields, said):
    runtime, _ = both
    with pytest.raises(Refusal, match=said):
        runtime.submit({"kind": "sound", "prompt": "stone", **fields})


def test_a_flipbook_comes_as_sheets_whose_frames_are_textures(both):
    runtime, game = both
    asked = {"kind": "flipbook", "prompt": "brick", "seed": 5, "size": 64}
    near, far = runtime.submit(asked).wait(30), game.submit(asked).result(30)
    assert isinstance(far, Flipbook)
    assert far.digest == near.digest == game.replay(far).digest
    assert far.sheet == Sheet(**SHEET)
    assert (far.seconds, far.albedo.shape) == (0.5, (128, 128, 3))
    assert far.record["sheet"] == SHEET
    frame = far.frame(3)
    assert set(frame.maps()) == set(MAPS)
    assert np.array_equal(frame.height, far.height[64:, 64:])
    assert np.array_equal(far.frame(0).normal, far.frame(2).normal)
    assert not np.array_equal(far.frame(0).height, far.frame(1).height)
    with pytest.raises(IndexError):
        far.frame(4)


def test_maps_of_a_flipbook_can_be_chosen(both):
    _, game = both
    asked = {"kind": "flipbook", "prompt": "brick", "seed": 5, "size": 64}
    whole = game.submit(asked).result(30)
    some = game.submit(asked, maps=("albedo", "orm")).result(30)
    assert (some.digest, some.sheet) == (whole.digest, whole.sheet)
    assert set(some.maps()) == {"albedo", "orm", "facts"}
    assert np.array_equal(some.maps()["orm"], whole.packed("orm"))


def test_normals_and_occlusion_of_a_frame_know_nothing_of_its_neighbours():
    rng = np.random.default_rng(0)
    sheet = Sheet(frames=6, rows=2, columns=3, rate=12.0)
    frames = rng.random((2, 3, 16, 24, len(toy.MAPS)), np.float32)
    decoded = np.moveaxis(laid(frames), -1, 0)
    made = derive_sheet(decoded, toy.MAPS, sheet)
    for name, array in made.items():
        for row in range(2):
            for column in range(3):
                alone = derive(np.moveaxis(frames[row, column], -1, 0), toy.MAPS)[name]
                assert np.array_equal(cut(array, sheet)[row, column], alone), name


@pytest.mark.parametrize(
    ("kind", "told", "said"),
    [
        ("sound", {}, "samples: is missing"),
        ("sound", {"samples": Samples(0)}, r"samples.rate_hz: 0 is out of range, valid is 1 to 768000"),
        ("flipbook", {}, "sheet: is missing"),
        ("flipbook", {"sheet": Sheet(4, 2, 3, 8.0)}, "a full sheet: rows times columns"),
        ("flipbook", {"sheet": Sheet(4, 2, 2, 0.0)}, "a full sheet"),
        ("texture", {"samples": Samples(8)}, "samples: is of kind 'sound' only, this is 'texture'"),
    ],
)
def test_a_bundle_that_does_not_say_how_to_use_what_it_makes_is_refused(tmp_path, kind, told, said):
    with pytest.raises(Refusal, match=said):
        write(tmp_path, kind, toy.decode_graph(), **told)


@pytest.mark.parametrize(
    ("at", "provenance", "field"),
    [(0, {"sample_rate_hz": float(RATE)}, "samples"), (1, SHEET, "sheet")],
)
def test_a_bundle_that_says_it_in_its_provenance_as_older_ones_do_is_read(folders, at, provenance, field):
    data = json.loads((folders[at] / "bundle.json").read_bytes())
    new = manifest_format.read(json.dumps(data).encode())
    old = {key: value for key, value in data.items() if key != field}
    read = manifest_format.read(json.dumps({**old, "provenance": provenance}).encode())
    assert getattr(read, field) == getattr(new, field) is not None
    with pytest.raises(Corrupt, match=f"{field}: is missing"):
        manifest_format.read(json.dumps(old).encode())


def test_the_header_of_a_result_says_how_to_play_it(both):
    runtime, _ = both
    sound = runtime.submit({"kind": "sound", "prompt": "stone", "seconds": 1}).wait(30)
    book = runtime.submit({"kind": "flipbook", "prompt": "stone", "size": 64}).wait(30)
    headers = [msgspec.to_builtins(pack("r", made)[0]) for made in (sound, book)]
    assert (headers[0]["sample_rate_hz"], "sheet" in headers[0]) == (RATE, False)
    assert (headers[1]["sheet"], "sample_rate_hz" in headers[1]) == (SHEET, False)


def test_a_description_says_rates_and_lengths(both):
    told = {each["kind"]: each for each in both[1].describe()["bundles"]}
    assert told["sound"]["sample_rate_hz"] == RATE
    assert told["sound"]["seconds"] == {"minimum": HOP / RATE, "maximum": LONGEST * HOP / RATE}
    assert told["flipbook"]["sheet"] == SHEET


def test_a_game_asks_for_both_by_name_and_so_does_asyncio(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))

    async def ask(address):
        async with await aio.connect(address) as game:
            return await game.sound("stone", seed=3, seconds=1), await game.flipbook("stone", seed=3, size=64)

    with Runtime(folders, "onnxruntime") as runtime, running(runtime) as address, connect(address) as game:
        near = game.sound("stone", seed=3, seconds=1), game.flipbook("stone", seed=3, size=64)
        far = asyncio.run(ask(address))
        usual = game.sound("stone")
    assert [made.digest for made in near] == [made.digest for made in far]
    assert (near[0].seconds, near[1].sheet.frames) == (1.0, 4)
    assert usual.seconds == LONGEST * HOP / RATE  # shorter than the usual 10 s


@pytest.mark.parametrize(("ending", "bits", "error"), [("wav", 16, 1e-4), ("flac", None, 1e-6), ("ogg", None, None)])
def test_a_sound_is_written_as_files_that_others_read(ending, bits, error, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rate = 8000
    wave = 0.4 * np.sin(np.arange(4000) / rate * 2 * np.pi * np.array([[220.0], [330.0]])).T.astype(np.float32)
    for channels in (2, 1):
        made = Sound(np.ascontiguousarray(wave[:, :channels]), rate, {}, "id")
        file, record = made.save(tmp_path / f"{channels}.{ending}", bits)
        read, its = soundfile.read(file)
        assert (its, read.reshape(4000, -1).shape) == (rate, (4000, channels))
        if error is not None:
            assert np.abs(read.reshape(4000, -1) - made.audio).max() <= error
        assert json.loads(record.read_text(encoding="utf-8"))["rate_hz"] == rate
        assert b"LOOPSTART" not in file.read_bytes()


def test_a_peak_that_a_file_cannot_hold_is_refused_and_nothing_is_clipped(tmp_path):
    loud = Sound(np.full((8, 1), 1.5, np.float32), 8000, {}, "id")
    with pytest.raises(Refusal, match=r"peak of 1\.500 does not fit into 16 bits; .* set gain_db to -3\.7"):
        loud.save(tmp_path / "x.wav", 16)
    assert list(tmp_path.iterdir()) == []
    file, _ = loud.save(tmp_path / "x.wav", 16, gain_db=-3.7)
    assert np.frombuffer(file.read_bytes()[-16:], "<i2").max() <= 32767


@pytest.mark.parametrize("format", ["gif", "apng"])
def test_a_flipbook_plays_in_order_for_as_long_as_it_says(format):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 0, 0), (255, 255, 255)]
    albedo = laid(np.broadcast_to(np.array(colours, np.uint8).reshape(2, 3, 1, 1, 3), (2, 3, 4, 4, 3)))
    book = Flipbook(Sheet(6, 2, 3, 12.0), {"albedo": albedo}, {}, "id")
    with Image.open(io.BytesIO(book.animation(format))) as image:
        shown, total = [], 0.0
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(image.convert("RGB").getpixel((1, 2)))
            total += image.info["duration"]
    assert shown == colours
    assert total == pytest.approx(500, abs=1)  # milliseconds
    assert book.animation(format) == book.animation(format)


def test_a_gif_of_more_frames_a_second_than_viewers_show_is_refused():
    book = Flipbook(Sheet(1, 1, 1, 60.0), {"albedo": np.zeros((4, 4, 3), np.uint8)}, {}, "id")
    with pytest.raises(Refusal, match="write apng for 60"):
        book.animation("gif")
