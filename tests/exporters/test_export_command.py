"""`cadenza export` on Stable Diffusion with an LCM-LoRA at toy size: what is printed, written, reported, and served."""

import json
import sys
from pathlib import Path

import diffusers
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
from serving import served

from cadenza.assets.bundle import load_bundle
from cadenza.bindings.command import app
from cadenza.exporters.diffusion import export
from cadenza.exporters.families import FAMILIES
from cadenza.runtime.solver.samplers import SAMPLERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
STEPS = FAMILIES["lcm_lora"].steps


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder of the bundle, what the command printed)."""
    folder = tmp_path_factory.mktemp("export")
    pipe = toys.stable_diffusion(diffusers.PNDMScheduler(**VP, skip_prk_steps=True))
    pipe.save_pretrained(folder / "sd15")
    lora = Path(toys.save_lora(folder / "lora", 1)) / "pytorch_lora_weights.safetensors"
    lora = lora.rename(folder / "lcm-lora-sdv1-5.safetensors")
    words = ["export", folder / "sd15", "--lora", f"{lora}:0.9", "--out", folder / "wall", "--seamless", "x", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "SAMPLERS", {name: SAMPLERS[name] for name in ("euler", "dpmpp_2m")})
        told = []
        patch.setattr("typer.echo", told.append)
        assert app.run([str(word) for word in words]) == 0
    return folder / "wall", json.loads(told[-1])


def test_the_family_is_taken_from_the_name_of_the_lora(made):
    _, told = made
    assert (told["family"], told["steps"], told["sale"]) == ("lcm_lora", list(STEPS), "yes")
    assert told["why"] == "the name of the LoRA lcm-lora-sdv1-5.safetensors says 'lcm'"


def test_it_is_equal_to_diffusers_at_every_recommended_step_count_on_both_backends(made):
    report = json.loads((made[0] / "report.json").read_text(encoding="utf-8"))
    latents = [f"latent, {n} steps{more}" for n in STEPS for more in ("", ", openvino")]
    assert {"text", *latents, "encoded", "decoded", "painted", "decoded, openvino"} <= set(report["diffusers"])
    assert all(error <= 1e-5 for error in report["diffusers"].values()), report["diffusers"]
    assert set(report["diffusers_mean"]) == set(report["diffusers"])
    assert all(report["diffusers_mean"][stage] <= report["diffusers"][stage] for stage in report["diffusers"])
    assert len(report["seeds"]) == 3


def test_the_report_has_seconds_precisions_and_pictures_on_one_page(made):
    folder = made[0] / "measured"
    assert {path.name for path in folder.iterdir()} == {"measured.json", "report.md", "plots.png", "pictures.png"}
    numbers = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
    stages = ["denoiser", "decoder", "picture encoder", "text encoder", "against diffusers", "verify"]
    assert list(numbers["export_seconds"])[:6] == stages
    assert all(seconds > 0 for seconds in numbers["export_seconds"].values())
    assert {"step", "decode", "encode_text", "loop", "host_loop"} <= set(numbers["seconds"]["openvino"])
    figures = numbers["precisions"]
    assert list(figures) == ["fp32", "fp16", "bf16", "int8", "int8_weights", "int4_weights"]
    assert figures["fp32"]["latent"] == 0 < figures["fp16"]["latent"] < figures["bf16"]["latent"] < 0.01
    assert figures["int8"]["latent"] < 0.1
    assert all(set(row["seconds"]) == {"onnxruntime", "openvino"} for row in figures.values())
    assert figures["int4_weights"]["bytes"] < figures["int8"]["bytes"] < figures["fp16"]["bytes"]
    page = (folder / "report.md").read_text(encoding="utf-8")
    for heading in ("Seconds of the export", "Seconds of the graphs", "Precisions", "Against diffusers' own pipeline"):
        assert f"## {heading}" in page
    for name in ("plots.png", "pictures.png"):
        assert f"({name})" in page
        with Image.open(folder / name) as picture:
            assert min(picture.size) >= 256


def test_the_bundle_is_served_without_torch(made, tmp_path):
    given = served(made[0], tmp_path, size=64, steps=4)
    assert given["again"] == given["digest"]
    assert given["parts"]["normal"] == [64, 64, 3]
    assert load_bundle(made[0]).digest == made[1]["digest"]
