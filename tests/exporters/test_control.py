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
from conftest import hurry

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.control import open_controls, parse_control
from cadenza.exporters.diffusion.export import Options, export_pipeline
from cadenza.runtime.engine.backends import open_backend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own


def control(unet):
    """A ControlNet of a toy, its zero convolutions no longer zero, as after training."""
    torch.manual_seed(1)
    net = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16))
    for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return net


@pytest.fixture(scope="module")
def pipe():
    return toys.stable_diffusion()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    control(pipe.unet).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_controlled_latent_is_equal_to_diffusers_and_shares_the_networks_weights(pipe, folder, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        made = export_pipeline(pipe, tmp_path / "out", Options(steps=(2, 4), controls=(("depth", str(folder)),)))
    errors = json.loads((made.folder / "report.json").read_text())["diffusers"]
    stages = [f"control depth, {n} steps{rest}" for n in (2, 4) for rest in ("", ", loop graph")]
    assert set(stages) <= set(errors)
    assert all(errors[stage] <= 1e-5 for stage in stages), errors
    assert {"step_control_depth.onnx", "loop_control_depth.onnx"} <= set(made.manifest.files)
    total = sum(p.numel() for part in (pipe.unet, pipe.vae, pipe.text_encoder) for p in part.parameters())
    own = sum(p.numel() for p in diffusers.ControlNetModel.from_pretrained(folder).parameters())
    assert made.folder.joinpath("weights.bin").stat().st_size <= 4 * (total + own)
    plain, controlled = (open_backend("onnxruntime")(made.folder / f"step{n}.onnx", 1) for n in ("", "_control_depth"))
    rng = np.random.default_rng(0)
    given = {
        "latent": rng.standard_normal((2, 4, 8, 16), np.float32),
        "time": np.array([900.0, 20.0], np.float32),
        "condition": rng.standard_normal((2, made.condition_size), np.float32),
    }
    picture = rng.random((2, 3, 16, 32), np.float32)
    without = controlled.run({**given, "control": picture, "strength": np.zeros(2, np.float32)})["raw"]
    with_it = controlled.run({**given, "control": picture, "strength": np.array([0, 1], np.float32)})["raw"]
    raw = plain.run(given)["raw"]
    assert np.abs(without - raw).max() <= 1e-5 * np.abs(raw).max()
    assert np.abs(with_it - raw)[0].max() <= 1e-5 * np.abs(raw).max() < np.abs(with_it - raw)[1].max()


@pytest.mark.parametrize("text", ["depth", "=folder", "depth=", "Depth=folder", "../x=folder"])
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
        open_controls(pipe, {"depth": str(tmp_path)})
    with pytest.raises(Refusal, match="cannot be opened"):
        open_controls(pipe, {"depth": str(tmp_path / "nowhere")})
    with pytest.raises(Refusal, match="LatentConsistencyModelPipeline cannot be controlled"):
        open_controls(toys.stable_diffusion(embeds_guidance=True), {"depth": str(tmp_path)})
