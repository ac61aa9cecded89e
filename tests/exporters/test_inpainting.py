"""Inpainting networks, and runs that start from a picture: over a socket, against diffusers' own pipelines."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch as patched

import diffusers
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_pictures
from against import assert_painted, at_work
from hurried import hurry

from cadenza.assets.manifest import Manifest, Text
from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.pipeline_call import own_result, own_text
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.exporters.families import FAMILIES
from cadenza.exporters.verify import relative
from cadenza.runtime.plans import plan_of_table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
PICTURE = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
ASKED = {"prompt": "low wall", "seed": 3, "size": 64, "steps": 4}


def tensor(picture):
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def pipe():
    return toys_pictures.inpainting()


@pytest.fixture(scope="module")
def made(pipe, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        return export_pipeline(pipe, tmp_path_factory.mktemp("inpainting") / "out", Options(steps=(4,)))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_network_that_reads_a_mask_is_equal_to_diffusers_in_graphs_and_over_the_socket(pipe, made, tmp_path):
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    assert max(errors.values()) <= 1e-5, errors
    assert made.manifest.reads == {"step": ["anew", "kept"]}
    mask = np.zeros((64, 64), bool)
    mask[16:48, 8:32] = True
    painted = {**ASKED, "image": PICTURE, "mask": mask}
    with at_work(made.folder, tmp_path) as game:
        texture, whole = (game.submit(each).result(60) for each in (painted, ASKED))
        assert game.replay(texture).digest == texture.digest != whole.digest
    told = {
        "image": tensor(PICTURE),
        "mask_image": torch.from_numpy(mask[None, None].astype(np.float32)),
        "strength": 1.0,
    }
    assert_painted(pipe, pipe, made, painted, texture, told)
    told["mask_image"] = torch.ones(1, 1, 64, 64)
    assert_painted(pipe, pipe, made, ASKED, whole, told)


@pytest.mark.parametrize("of", [toys_pictures.inpainting, toys_pictures.inpainting_xl])
def test_the_step_that_is_traced_is_the_one_of_diffusers(of):
    pipe = of()
    parts = parts_of(pipe, Options())
    manifest = Manifest(
        name="x", kind="texture", process=parts.process, prediction=parts.prediction, latent=parts.latent, channels=[],
        conditioning=Text(tokenizers=[], size=parts.size), recommended=FAMILIES["lightning"].tables((2,), 1), graphs={},
    )  # fmt: skip
    (table,) = manifest.recommended
    plan, rng = plan_of_table(manifest, table), np.random.default_rng(1)
    start = rng.standard_normal((1, 4, 16, 24)).astype(np.float32)
    text, arguments = own_text(pipe, parts, "low wall")
    given, call = parts.beside(start.shape)

    def model(x, time, conditional):
        told = [
            torch.from_numpy(each)
            for each in (x.astype(np.float32), np.full(1, time, np.float32), text, *given.values())
        ]
        with torch.no_grad():
            return parts.step(*told).numpy()

    ours = plan.run(model, start, None)
    told = replace(parts, call={**parts.call, **call})
    theirs = own_result(pipe, told, manifest, table, arguments, start, np.zeros((0, *start.shape), np.float32))
    assert relative(ours, theirs) <= 1e-5


def test_a_network_of_other_channels_than_its_pipeline_gives_is_refused():
    components = {**toys.stable_diffusion().components, "unet": toys_pictures.inpainting().unet}
    plain = diffusers.StableDiffusionPipeline(**components, requires_safety_checker=False)
    with pytest.raises(Refusal, match="save it as a StableDiffusionInpaintPipeline"):
        parts_of(plain, Options())
    with pytest.raises(Refusal, match="save it as a StableDiffusionPipeline"):
        parts_of(toys_pictures.inpainting(channels=4), Options())
    with pytest.raises(Refusal, match="reads 5 channels where latents have 4"):
        parts_of(toys_pictures.inpainting(channels=5), Options())


def from_picture(own, parts, manifest, table, arguments, start, draws, output):
    """own_result of a pipeline that starts from a picture, and draws the start's noise itself."""
    module = sys.modules[type(own).__module__]
    with patched.object(module, "randn_tensor", lambda *_, **__: torch.from_numpy(start)):
        return own_result(own, parts, manifest, table, arguments, start, draws, output=output)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("denoise", [0.5, 0.75])
def test_a_run_from_a_picture_is_equal_to_diffusers_image_to_image(reading, tmp_path, denoise):
    pipe, made = reading.pipe, reading.bundle
    own = toys.quiet(diffusers.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False))
    asked = {**ASKED, "image": PICTURE, "denoise": denoise}
    with at_work(made.folder, tmp_path) as game:
        texture = game.submit(asked).result(60)
        assert game.replay(texture).digest == texture.digest
        with pytest.raises(Refusal, match="an array of shape"):
            game.submit({**asked, "image": PICTURE[:32]}).result(60)
    told = {"image": tensor(PICTURE), "strength": denoise}
    assert_painted(pipe, own, made, asked, texture, told, from_picture)
