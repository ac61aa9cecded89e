"""Height, roughness and metallic from colour: the stated method, by numpy, and what a game gets of it."""

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

sys.path.insert(0, str(Path(__file__).resolve().parent))

import onnx
import toy
import toys
from onnx import helper

from cadenza.assets.bundle import write_bundle
from cadenza.assets.manifest import Channel
from cadenza.exporters.diffusion.export import _provenance
from cadenza.exporters.diffusion.maps import maps_of as decoder_of
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.exporters.graph import trace
from cadenza.exporters.materials import CHANNELS, LUMINANCE, RADIUS, ROUGH, Flat, Materials
from cadenza.runtime.runtime import Runtime

SIDE = 48


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(0).random((2, 3, SIDE, SIDE), np.float32)


def maps_of(made, colours):
    with torch.no_grad():
        return made(torch.nn.Identity())(torch.from_numpy(colours)).numpy()


def mean_around(field):
    """Over a square of 15 pixels on the torus, as the page says, by rolling."""
    span = range(-RADIUS, RADIUS + 1)
    return np.mean([np.roll(field, (dy, dx), (1, 2)) for dy in span for dx in span], 0)


def test_the_guess_is_the_method_that_is_stated(colours):
    maps = maps_of(Materials, colours)
    light = np.einsum("bchw,c->bhw", colours.astype(np.float64), LUMINANCE)
    detail = light - mean_around(light)
    deviation = np.sqrt((detail**2).mean((1, 2), keepdims=True)) + 1e-3
    broad = mean_around(light) - light.mean((1, 2), keepdims=True)
    assert np.array_equal(maps[:, :3], colours)
    np.testing.assert_allclose(maps[:, 3], np.clip(0.5 + 0.2 * detail / deviation + 0.5 * broad, 0, 1), atol=2e-5)
    rough = ROUGH - 0.25 * light + 0.5 * mean_around(np.abs(detail))
    np.testing.assert_allclose(maps[:, 4], np.clip(rough, 0, 1), atol=2e-5)
    assert not maps[:, 5].any()


def test_height_rises_with_light_and_does_not_care_how_bright_all_is(colours):
    maps, darker = maps_of(Materials, colours), maps_of(Materials, 0.5 * colours)
    light = np.einsum("bchw,c->bhw", colours, np.array(LUMINANCE, np.float32))
    assert np.corrcoef(light.ravel(), maps[:, 3].ravel())[0, 1] > 0.95
    np.testing.assert_allclose(darker[:, 3], maps[:, 3], atol=0.02)


def test_what_is_dark_is_rough_and_what_is_still_is_level():
    greys = np.broadcast_to(np.array([0.2, 0.8], np.float32).reshape(2, 1, 1, 1), (2, 3, SIDE, SIDE))
    maps = maps_of(Materials, np.ascontiguousarray(greys))
    np.testing.assert_allclose(maps[:, 4], ROUGH - 0.25 * greys[:, 0], atol=1e-5)
    np.testing.assert_allclose(maps[:, 3], 0.5, atol=0.01)


def test_the_guess_moves_with_the_picture(colours):
    """So it adds no seam to a picture that has none."""
    there = maps_of(Materials, np.roll(colours, (5, -9), (2, 3)))
    np.testing.assert_allclose(there, np.roll(maps_of(Materials, colours), (5, -9), (2, 3)), atol=2e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("option", "made", "said"), [(True, Materials, "are guessed"), (False, Flat, "the same every")]
)
def test_the_option_chooses_the_guess_or_a_flat_surface_and_the_manifest_says_so(option, made, said):
    options = Options(materials=option)
    parts = parts_of(toys.stable_diffusion(), options)
    assert type(decoder_of(parts)) is made
    assert said in _provenance(toys.stable_diffusion(), parts, "lcm_lora", "asked for", options)["materials"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("made", [Materials, Flat])
def test_a_bundle_of_colour_is_served_with_normals_of_the_guess_or_flat(made, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    field = {0: "batch", 2: "height", 3: "width"}
    guess = trace(made(torch.nn.Identity()), {"latent": torch.rand(2, 3, 20, 24)}, ["maps"], {"latent": field})
    decode = onnx.load_from_string(toy.decode_graph())
    names = [channel.name for channel in toy.manifest().channels]
    decode.graph.node[-1].output[0] = "painted"
    colour = helper.make_tensor("colour", onnx.TensorProto.INT64, [3], [names.index(name) for name in CHANNELS[:3]])
    decode.graph.initializer.append(colour)
    decode.graph.node.append(helper.make_node("Gather", ["painted", "colour"], ["latent_of_guess"], axis=1))
    del decode.graph.output[:]
    decode.graph.output.append(helper.make_tensor_value_info("latent_of_guess", onnx.TensorProto.FLOAT, None))
    guess = onnx.compose.add_prefix(guess, "guess_")
    for model in (decode, guess):
        model.ir_version = 10
    decode.opset_import[0].version = guess.opset_import[0].version
    joined = onnx.compose.merge_models(decode, guess, [("latent_of_guess", "guess_latent")])
    for node in joined.graph.node:
        node.output[:] = ["maps" if name == "guess_maps" else name for name in node.output]
    joined.graph.output[0].name = "maps"
    channels = [Channel(name, "srgb" if name.startswith("albedo") else "linear") for name in CHANNELS]
    manifest = msgspec.structs.replace(toy.manifest(), channels=channels)
    files = {"step.onnx": toy.step_graph(), "decode.onnx": joined.SerializeToString()}
    bundle = write_bundle(tmp_path / "bundle", manifest, files)
    with Runtime([bundle.folder], "onnxruntime", threads=1) as runtime:
        texture = runtime.submit({"prompt": "stone", "seed": 3, "size": 64}).wait(60)
        assert runtime.submit(texture.recipe).wait(60).digest == texture.digest
    flat = np.broadcast_to(np.array([128, 128, 255], np.uint8), texture.normal.shape)
    assert (np.abs(texture.normal.astype(int) - flat).max() <= 1) == (made is Flat)
    assert (texture.height.std() > 10) == (texture.roughness.std() > 0.5) == (made is Materials)
    assert not texture.metallic.any()
