"""Sana-Sprint, PixArt, FLUX.2-klein, Stable Audio, Stable Audio 3, AnimateDiff: saved, exported, equal to diffusers, served without torch."""

import json
import sys
from pathlib import Path

import diffusers
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys_more
from serving import served
from toys_more import VP

from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.opening import open_pipeline
from cadenza.exporters.diffusion.planning import Options
from cadenza.exporters.families import FAMILIES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
MULTISTEP = dict(VP, timestep_spacing="trailing")
PIPELINES = {
    "sana_sprint": (toys_more.sana_sprint, "sana_sprint"),
    "pixart_alpha": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP)), "lcm_lora"),
    "pixart_told_its_size": (
        lambda: toys_more.pixart(diffusers.DPMSolverMultistepScheduler(**MULTISTEP), told=True), "base",
    ),
    "pixart_sigma": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP), "PixArtSigmaPipeline"), "lcm_lora"),
    "klein": (toys_more.flux_2_klein, "klein"),
    "stable_audio": (toys_more.stable_audio, "stable_audio"),
    "stable_audio_3": (toys_more.stable_audio_3, "stable_audio_3"),
    "animate_diff": (lambda: toys_more.animate_diff(diffusers.LCMScheduler(**VP)), "lcm_lora"),
}  # fmt: skip
SOUNDS = ("stable_audio", "stable_audio_3")
FRAMES = 4
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_equal_to_diffusers_at_each_recommended_step_count_and_is_served(name, tmp_path, quick):
    make, family = PIPELINES[name]
    make().save_pretrained(tmp_path / "pipeline")
    options = Options(frames=FRAMES)
    made = export_pipeline(open_pipeline(str(tmp_path / "pipeline")), tmp_path / "bundle", options)
    assert made.manifest.provenance["family"] == family
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    assert {"text", *(f"latent, {n} steps" for n in FAMILIES[family].steps), "decoded", "painted"} <= set(errors)
    assert all(error <= TOLERANCE for error in errors.values()), errors
    request = {"seconds": 2.0} if name in SOUNDS else {"size": max(64, made.manifest.latent.minimum)}
    given = served(made.folder, tmp_path / "home", **request)
    assert given["again"] == given["digest"]
    if name in SOUNDS:
        assert (given["kind"], given["rate"], given["parts"]["audio"]) == ("sound", 4, [8, 2])
        assert [channel.name for channel in made.manifest.channels] == ["left", "right"]
        return
    clip = name == "animate_diff"
    side = request["size"] * (2 if clip else 1)
    assert (given["kind"], given["frames"]) == (("flipbook", FRAMES) if clip else ("texture", 1))
    assert given["parts"]["albedo"] == [side, side, 3]
