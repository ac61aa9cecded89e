"""Two more kinds of assets: sounds with seconds and samples, flipbooks whose frames have normals of their own."""

import json
import struct
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bridge"))

import toy
from conftest import running

from cadenza.assets.bundle import write_bundle
from cadenza.assets.flipbook import Flipbook, Sheet, cut, derive_sheet, laid
from cadenza.assets.manifest import Channel, Latent
from cadenza.assets.refusal import Corrupt, Refusal
from cadenza.assets.texture import MAPS, derive
from cadenza.bridge import connect
from cadenza.runtime.runtime import Runtime

HOP, RATE, LONGEST = 4, 32, 64
SHEET = {"frames": 4, "rows": 2, "columns": 2, "rate": 8.0}


def waveform():
    """samples (B, 2, 1, HOP L) from latent (B, C, 1, L)."""
    rng = np.random.default_rng(5)
    constants = [
        toy._weights(rng, "w", 2 * HOP, toy.CHANNELS, 1, 1),
        numpy_helper.from_array(np.array([0, 2, HOP, -1], np.int64), "parted"),
        numpy_helper.from_array(np.array([0, 2, 1, -1], np.int64), "whole"),
    ]
    nodes = [
        helper.make_node("Conv", ["latent", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "parted"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("Reshape", ["t", "whole"], ["maps"]),
    ]
    return toy._model(
        nodes, [toy._value("latent", "B", toy.CHANNELS, 1, "w")], [toy._value("maps", "B", 2, 1, "W")], constants
    )


def write(folder, kind, decode, **changes):
    manifest = msgspec.structs.replace(toy.manifest(), name=f"toy {kind}", kind=kind, **changes)
    return write_bundle(folder, manifest, {"step.onnx": toy.step_graph(), "decode.onnx": decode})


def tiled():
    """The toy's decoder, its maps side by side and below each other: a sheet of four frames."""
    import onnx

    model = onnx.load_from_string(toy.decode_graph())
    model.graph.node[-1].output[0] = "one"
    model.graph.node.append(helper.make_node("Neg", ["one"], ["minus"]))
    model.graph.node.append(helper.make_node("Exp", ["minus"], ["other"]))
    model.graph.node.append(helper.make_node("Concat", ["one", "other"], ["row"], axis=3))
    model.graph.node.append(helper.make_node("Concat", ["row", "row"], ["maps"], axis=2))
    return model.SerializeToString()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    sound = write(
        tmp_path_factory.mktemp("sound"),
        "sound",
        waveform(),
        latent=Latent(toy.CHANNELS, HOP, HOP, LONGEST * HOP, HOP),
        channels=[Channel("left"), Channel("right")],
        provenance={"sample_rate_hz": RATE},
    )
    book = write(tmp_path_factory.mktemp("book"), "flipbook", tiled(), provenance=SHEET)
    return [sound.folder, book.folder]


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
    assert json.loads(record.read_text())["digest"] == far.digest


def test_a_part_of_a_sound_can_be_made_anew_from_its_recipe(both):
    runtime, _ = both
    first = runtime.submit({"kind": "sound", "prompt": "stone", "seed": 1, "seconds": 2}).wait(30)
    other = {"kind": "sound", "prompt": "stone", "seed": 2, "seconds": 2, "image": first.recipe, "denoise": 0.5}
    assert runtime.submit(other).wait(30).digest not in (
        first.digest,
        runtime.submit({**other, "seed": 3}).wait(30).digest,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 64}, "size: is of pictures"),
        ({"seconds": 9.0}, "seconds: 9.0 is out of range, valid is a number from 0.03125 to 8"),
        ({"seconds": 1.0, "width": 32}, "stands beside width"),
        ({"height": 8}, "height: 8 is out of range, valid is 4 for a sound"),
        ({"mask": [0, 0, 8, 4]}, "mask: is of pictures"),
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
    ("kind", "provenance", "said"),
    [
        ("sound", {}, "sample_rate_hz: is None"),
        ("sound", {"sample_rate_hz": 0.5}, "sample_rate_hz"),
        ("flipbook", {"frames": 4}, "is of no flipbook"),
        ("flipbook", {**SHEET, "rows": 3}, "no full sheet"),
    ],
)
def test_a_bundle_that_does_not_say_how_to_use_what_it_makes_is_refused_when_opened(tmp_path, kind, provenance, said):
    bundle = write(tmp_path, kind, toy.decode_graph(), provenance=provenance)
    with pytest.raises(Corrupt, match=said):
        Runtime([bundle.folder], "onnxruntime")
