"""IP-Adapters as variants of a step: equal to diffusers' pipeline, the picture given as pixels or as its embedding."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_pictures
from against import assert_painted, at_work

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.adapter import adapters_of, parse_adapter, shared
from cadenza.exporters.diffusion.planning import Options, parts_of, plan_export

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
PICTURE = np.random.default_rng(5).integers(0, 256, (40, 56, 3), np.uint8)
ASKED = {"prompt": "low wall", "seed": 3, "size": 64, "steps": 2}


@pytest.fixture(scope="module")
def pipe():
    return toys.stable_diffusion()


@pytest.fixture(scope="module")
def file(pipe, tmp_path_factory):
    return toys_pictures.adapter(pipe.unet, tmp_path_factory.mktemp("adapter"))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_an_adapted_latent_is_equal_to_diffusers_in_graphs_and_over_the_socket(reading, tmp_path):
    pipe, file, made = reading.pipe, reading.adapter, reading.bundle
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    stages = [f"adapter style, {what}" for what in ("2 steps", "2 steps, loop graph", "embedding", "unconditional")]
    assert all(errors[stage] <= 1e-5 for stage in stages), errors
    own = type(pipe)(**{**pipe.components, "unet": shared(pipe.unet)}, requires_safety_checker=False)
    folder = str(file.parent / "image_encoder")
    own.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, image_encoder_folder=folder)
    own.set_ip_adapter_scale(0.7)
    picture = Image.fromarray(PICTURE)
    (embedding,) = own.prepare_ip_adapter_image_embeds(picture, None, "cpu", 1, False)
    shown = {**ASKED, "inputs": {"style": PICTURE, "style_strength": 0.7}}
    told = {**ASKED, "inputs": {"style": embedding[0, 0].detach().numpy(), "style_strength": 0.7}}
    with at_work(made.folder, tmp_path) as game:
        by_picture, by_numbers, plain = (game.submit(each).result(60) for each in (shown, told, ASKED))
        off = game.submit({**shown, "inputs": {"style": PICTURE, "style_strength": 0.0}}).result(60)
        assert game.replay(by_picture).digest == by_picture.digest
    assert np.abs(off.albedo.astype(int) - plain.albedo).max() <= 1
    assert np.abs(by_picture.albedo.astype(int) - plain.albedo).max() > 1
    call = {"ip_adapter_image": picture}
    assert_painted(pipe, toys.quiet(own), made, shown, by_picture, call)
    assert_painted(pipe, own, made, told, by_numbers, call)


def test_a_pipeline_is_what_it_was_after_an_adapter_was_read(pipe, file):
    before = dict(pipe.unet.attn_processors)
    (variant,) = adapters_of(pipe, parts_of(pipe, Options()), {"style": str(file)})
    assert pipe.unet.attn_processors == before
    assert pipe.unet.encoder_hid_proj is None
    theirs = {p.data_ptr() for p in variant.own.unet.parameters()}
    assert {p.data_ptr() for p in pipe.unet.parameters()} <= theirs, "the weights are shared"
    encoder = sum(p.numel() for p in variant.own.image_encoder.parameters())
    added = sum(p.numel() for p in variant.own.unet.parameters()) - sum(p.numel() for p in pipe.unet.parameters())
    planned = plan_export(pipe, Options(adapters=(("style", str(file)),)))
    assert planned["graphs"]["step_adapter_style"] == encoder + added


def test_what_is_no_adapter_of_this_pipeline_is_refused(pipe, file, tmp_path):
    parts = parts_of(pipe, Options())
    with pytest.raises(Refusal, match="is no file"):
        adapters_of(pipe, parts, {"style": str(tmp_path / "nothing.safetensors")})
    alone = tmp_path / "a" / "b" / file.name
    alone.parent.mkdir(parents=True)
    alone.write_bytes(file.read_bytes())
    with pytest.raises(Refusal, match="no folder image_encoder beside"):
        adapters_of(pipe, parts, {"style": str(alone)})
    with pytest.raises(Refusal, match="is no NAME=FOLDER"):
        parse_adapter("adapter.safetensors")
