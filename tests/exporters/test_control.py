"""ControlNets as graphs of their own: equal to diffusers' pipeline, their weights beside the plain network's."""

import json
import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_pictures
from against import assert_painted, at_work
from hurried import hurry

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.control import controls_of, parse_control
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.runtime.engine.backends import open_backend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own


@pytest.fixture(scope="module")
def pipe():
    return toys.stable_diffusion()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_controlled_latent_is_equal_to_diffusers_and_shares_the_networks_weights(reading):
    pipe, made = reading.pipe, reading.bundle
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    stages = [f"control depth, {n} steps{rest}" for n in (2, 4) for rest in ("", ", loop graph")]
    assert set(stages) <= set(errors)
    assert all(errors[stage] <= 1e-5 for stage in stages), errors
    assert {"step_control_depth.onnx", "loop_control_depth.onnx"} <= set(made.manifest.files)
    total = sum(p.numel() for part in (pipe.unet, pipe.vae, pipe.text_encoder) for p in part.parameters())
    own = sum(file.stat().st_size for file in reading.control.parent.rglob("*.safetensors"))
    assert made.folder.joinpath("weights.bin").stat().st_size <= 4 * total + own
    plain, controlled = (open_backend("onnxruntime")(made.folder / f"step{n}.onnx", 1) for n in ("", "_control_depth"))
    rng = np.random.default_rng(0)
    given = {
        "latent": rng.standard_normal((2, 4, 8, 16), np.float32),
        "time": np.array([900.0, 20.0], np.float32),
        "condition": rng.standard_normal((2, made.condition_size), np.float32),
    }
    picture = rng.random((2, 3, 16, 32), np.float32)
    without = controlled.run({**given, "depth": picture, "depth_strength": np.zeros(2, np.float32)})["raw"]
    with_it = controlled.run({**given, "depth": picture, "depth_strength": np.array([0, 1], np.float32)})["raw"]
    raw = plain.run(given)["raw"]
    assert np.abs(without - raw).max() <= 1e-5 * np.abs(raw).max()
    assert np.abs(with_it - raw)[0].max() <= 1e-5 * np.abs(raw).max() < np.abs(with_it - raw)[1].max()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_picture_and_its_strength_over_the_socket_paint_what_diffusers_paints(reading, tmp_path):
    pipe, made = reading.pipe, reading.bundle
    picture = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    asked = {"prompt": "low wall", "seed": 3, "size": 64, "steps": 4}
    controlled = {**asked, "inputs": {"depth": picture, "depth_strength": 0.7}}
    with at_work(made.folder, tmp_path) as game:
        texture, again, plain = (game.submit(each).result(60) for each in (controlled, controlled, asked))
        assert game.replay(texture).digest == texture.digest == again.digest != plain.digest
        with pytest.raises(Refusal, match=r"inputs.depth: .an array of shape \(32, 64, 3\)"):
            game.submit({**asked, "inputs": {"depth": picture[:32]}}).result(60)
    net = diffusers.ControlNetModel.from_pretrained(reading.control)
    own = diffusers.StableDiffusionControlNetPipeline(**pipe.components, controlnet=net, requires_safety_checker=False)
    image = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    told = {"image": image, "controlnet_conditioning_scale": 0.7}
    assert_painted(pipe, toys.quiet(own), made, controlled, texture, told)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_large_network_is_controlled_as_diffusers_controls_it(tmp_path):
    pipe = toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(timestep_spacing="trailing"))
    toys_pictures.control(pipe.unet).save_pretrained(tmp_path / "net")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        options = Options(family="lightning", steps=(2,), controls=(("canny", str(tmp_path / "net")),))
        made = export_pipeline(pipe, tmp_path / "out", options)
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    assert all(errors[f"control canny, 2 steps{rest}"] <= 1e-5 for rest in ("", ", loop graph")), errors
    assert made.manifest.reads == {"step_control_canny": ["canny", "canny_strength"]}


@pytest.mark.parametrize("text", ["=folder", "depth=", "Depth=folder", "Depth", "../x=folder"])
def test_a_control_is_named_by_small_letters_and_a_folder(text):
    assert parse_control("depth=some/folder") == ("depth", "some/folder")
    with pytest.raises(Refusal, match="is no NAME=FOLDER"):
        parse_control(text)


def test_a_control_of_another_network_is_refused(pipe, tmp_path):
    other = diffusers.ControlNetModel(
        block_out_channels=(8, 16), cross_attention_dim=16, conditioning_embedding_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), layers_per_block=1, attention_head_dim=4,
    )  # fmt: skip
    other.save_pretrained(tmp_path)
    with pytest.raises(Refusal, match="has cross_attention_dim 16, the pipeline's network 32"):
        controls_of(pipe, parts_of(pipe, Options()), {"depth": str(tmp_path)})
    with pytest.raises(Refusal, match="cannot be opened"):
        controls_of(pipe, parts_of(pipe, Options()), {"depth": str(tmp_path / "nowhere")})
    flux = toys.flux()
    with pytest.raises(Refusal, match="FluxPipeline cannot be controlled"):
        controls_of(flux, parts_of(flux, Options()), {"depth": str(tmp_path)})
