"""Sana-Sprint, PixArt, FLUX.2-klein, Stable Audio and AnimateDiff: saved, exported, equal to diffusers, served."""

import json
import sys
from pathlib import Path

import diffusers
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys_more
from toys_more import VP

from cadenza.assets.bundle import load_bundle
from cadenza.exporters.diffusion import export
from cadenza.exporters.diffusion.export import Options, export_pipeline, open_pipeline
from cadenza.runtime.runtime import Runtime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
MULTISTEP = dict(VP, timestep_spacing="trailing")
PIPELINES = {
    "sana_sprint": (toys_more.sana_sprint, (1, 2, 4), "sana_sprint"),
    "pixart_alpha": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP)), (2, 4), "lcm_lora"),
    "pixart_told_its_size": (
        lambda: toys_more.pixart(diffusers.DPMSolverMultistepScheduler(**MULTISTEP), told=True), (20,), "base",
    ),
    "pixart_sigma": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP), "PixArtSigmaPipeline"), (4,), "lcm_lora"),
    "klein": (toys_more.flux_2_klein, (4,), "klein"),
    "stable_audio": (toys_more.stable_audio, (50,), "stable_audio"),
    "animate_diff": (lambda: toys_more.animate_diff(diffusers.LCMScheduler(**VP)), (4,), "lcm_lora"),
}  # fmt: skip
FRAMES = 4
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_equal_to_diffusers_at_each_step_count_and_is_served(name, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SMALL", 0)
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    make, steps, family = PIPELINES[name]
    make().save_pretrained(tmp_path / "pipeline")
    options = Options(steps=steps, frames=FRAMES)
    made = export_pipeline(open_pipeline(str(tmp_path / "pipeline")), tmp_path / "bundle", options)
    assert made.manifest.provenance["family"] == family
    errors = json.loads((made.folder / "report.json").read_text())["diffusers"]
    assert {"text", *(f"latent, {n} steps" for n in steps), "decoded", "painted"} <= set(errors)
    assert all(error <= TOLERANCE for error in errors.values()), errors
    if made.manifest.kind == "sound":
        assert [channel.name for channel in load_bundle(made.folder).manifest.channels] == ["left", "right"]
        return  # the runtime serves no sound of a model yet
    side = max(64, made.manifest.latent.minimum)
    with Runtime([made.folder]) as runtime:
        texture = runtime.submit({"prompt": "low wall", "seed": 1, "size": side}).wait(60)
    sheet = 2 if name == "animate_diff" else 1
    assert texture.albedo.shape[:2] == (sheet * side, sheet * side)
