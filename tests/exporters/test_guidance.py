"""The strength of guidance that a distilled network is told is a dial of a request, not of an export."""

import sys
from dataclasses import replace
from pathlib import Path

import diffusers
import msgspec
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_more

from cadenza.assets.guidance import embedding
from cadenza.assets.manifest import GuidanceEmbedding
from cadenza.exporters.diffusion import export
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.parity import against_pipeline
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.runtime.runtime import Runtime

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
ASKED = {"prompt": "low wall", "seed": 7, "size": 64, "steps": 1}


@pytest.fixture(scope="module")
def lcm(tmp_path_factory):
    pipe = toys.stable_diffusion(embeds_guidance=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "SMALL", 0)
        return pipe, export_pipeline(pipe, tmp_path_factory.mktemp("out") / "lcm", Options(steps=(1, 4)))


@pytest.fixture
def runtime(lcm, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    with Runtime([lcm[1].folder], threads=1) as opened:
        yield opened


@pytest.mark.parametrize("width", [32, 33, 256])
@pytest.mark.parametrize("strength", [1.0, 3.0, 8.5, 14.7])
def test_the_embedding_is_that_of_the_pipeline(width, strength):
    """But for the last bit of a frequency, which at an angle of 10,000 is a thousandth."""
    told = GuidanceEmbedding(width, 8.5, scale=1000.0, offset=1.0)
    pipeline = diffusers.LatentConsistencyModelPipeline
    theirs = pipeline.get_guidance_scale_embedding(None, torch.tensor([strength - 1]), embedding_dim=width)[0]
    apart = np.abs(embedding(strength, told) - theirs.numpy())
    assert apart.max() < 1e-3
    assert np.median(apart) < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1.0, 3.0, 14.5])
def test_one_bundle_is_equal_to_its_pipeline_at_any_strength(lcm, strength):
    pipe, bundle = lcm
    parts = parts_of(pipe, Options())
    told = msgspec.structs.replace(parts.guidance, default=strength)
    parts = replace(parts, guidance=told, call={"guidance_scale": strength})
    errors = against_pipeline(pipe, bundle, parts).errors
    assert max(errors["latent, 1 steps"], errors["latent, 4 steps"]) <= 1e-5


@pytest.mark.slow
def test_the_strength_is_in_the_recipe_and_decides_the_bytes(runtime):
    default = runtime.submit(ASKED).wait(60)
    told = runtime.submit({**ASKED, "embedded_guidance": 8.5}).wait(60)
    other = runtime.submit({**ASKED, "embedded_guidance": 3}).wait(60)
    assert default.recipe["embedded_guidance"] == told.recipe["embedded_guidance"] == 8.5
    assert other.recipe["embedded_guidance"] == 3.0
    assert default.digest == told.digest != other.digest
    assert runtime.submit(other.recipe).wait(60).digest == other.digest
    assert runtime.describe()["bundles"][0]["embedded_guidance"] == 8.5


@pytest.mark.slow
def test_strengths_share_a_model_call_and_none_changes_another(runtime):
    wanted = [{**ASKED, "embedded_guidance": strength, "guidance": 2.0} for strength in (1.0, 4.0, 9.0)]
    alone = [runtime.submit(each).wait(60).digest for each in wanted]
    works = [runtime.submit(each) for each in wanted]
    assert [work.wait(60).digest for work in works] == alone
    assert len(set(alone)) == 3


@pytest.mark.slow
def test_a_network_that_embeds_the_number_itself_is_told_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SMALL", 0)
    pipe = toys_more.sana_sprint()
    assert isinstance(pipe, diffusers.SanaSprintPipeline)
    bundle = export_pipeline(pipe, tmp_path / "sana", Options(steps=(2,)))
    parts = parts_of(pipe, Options())
    for strength in (4.5, 9.0):
        told = msgspec.structs.replace(parts.guidance, default=strength)
        call = {**parts.call, "guidance_scale": strength}
        errors = against_pipeline(pipe, bundle, replace(parts, guidance=told, call=call)).errors
        assert errors["latent, 2 steps"] <= 1e-5
