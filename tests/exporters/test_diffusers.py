"""Real pipeline classes at toy size: saved, exported by the same code as large ones, equal to diffusers, served."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
from hurried import hurry
from serving import served

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion import export
from cadenza.exporters.diffusion.autoencoder import replace_vae
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.opening import open_pipeline
from cadenza.exporters.diffusion.planning import Options, plan_export
from cadenza.exporters.families import FAMILIES
from cadenza.runtime.runtime import Runtime

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    toys.stable_diffusion().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(saved, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        options = Options(steps=(2, 4), seamless="xy", name="toy sd", unrolled=2)
        return export_pipeline(open_pipeline(str(saved)), tmp_path_factory.mktemp("out") / "sd", options)


def test_a_saved_pipeline_is_equal_to_diffusers_at_each_step_count(bundle):
    report = json.loads((bundle.folder / "report.json").read_text(encoding="utf-8"))
    rows = {n: [f"input of row {row} of {n}" for row in range(1, n + 1)] for n in (2, 4)}
    stages = [*rows[2], "latent, 2 steps", "unrolled, 2 steps", *rows[4], "latent, 4 steps"]
    assert list(report["diffusers"]) == ["text", *stages, "encoded", "decoded", "painted"]
    assert all(error <= 1e-5 for error in report["diffusers"].values())
    assert bundle.manifest.provenance["family"] == "lcm_lora"


VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TRAILING = dict(timestep_spacing="trailing")
OTHERS = {
    "lcm": lambda: toys.stable_diffusion(embeds_guidance=True),
    "lightning": lambda: toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(**VP, **TRAILING)),
    "turbo": lambda: toys.stable_diffusion_xl(diffusers.EulerAncestralDiscreteScheduler(**VP, **TRAILING)),
    "sd3": toys.stable_diffusion_3,
    "schnell": toys.flux,
}
"""Pipelines by what `--family auto` must choose for them."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", OTHERS)
def test_every_architecture_is_equal_to_diffusers_at_each_recommended_step_count_and_is_served(family, tmp_path, quick):
    OTHERS[family]().save_pretrained(tmp_path / "pipeline")
    made = export_pipeline(open_pipeline(str(tmp_path / "pipeline")), tmp_path / "bundle", Options())
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    assert made.manifest.provenance["family"] == family
    assert {"text", *(f"latent, {n} steps" for n in FAMILIES[family].steps), "decoded", "painted"} <= set(errors)
    assert all(error <= 1e-5 for error in errors.values())
    given = served(made.folder, tmp_path / "home", size=64)
    assert given["again"] == given["digest"]
    assert given["parts"]["albedo"] == [64, 64, 3]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("precision", "latent", "share"),
    [
        ("fp16", 1e-3, 0.51),
        ("bf16", 5e-3, 0.51),
        ("int8_weights", 0.03, 0.5),
        ("int4_weights", 0.05, 0.45),
        ("int8", 0.05, 0.5),
    ],
)
def test_a_precision_takes_fewer_bytes_and_stays_near_diffusers(
    saved, bundle, tmp_path, monkeypatch, precision, latent, share
):
    monkeypatch.setattr(export, "SMALL", 0)
    options = Options(steps=(4,), precision=precision, seamless="xy")
    made = export_pipeline(open_pipeline(str(saved)), tmp_path / "out", options)
    errors = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    assert 1e-6 < errors["latent, 4 steps"] <= latent
    assert {p.name for p in (made.folder / "measured").iterdir()} == {
        "measured.json",
        "pictures.png",
        "plots.png",
        "report.md",
    }
    sizes = [(each.folder / "weights.bin").stat().st_size for each in (made, bundle)]
    assert sizes[0] <= share * sizes[1]


def test_an_exported_pipeline_is_served_tiles_and_tells_what_it_did_not_read(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    request = {"prompt": "low wall " + "of stones " * 4 + "zebra", "seed": 7, "size": 64, "negative": "low"}
    with Runtime([bundle.folder]) as runtime:
        texture = runtime.submit({**request, "guidance": 2.0}).wait(30)
        again = runtime.submit(texture.recipe).wait(30)
        other = runtime.submit({**request, "prompt": "low"}).wait(30)
    assert texture.digest == again.digest != other.digest
    assert texture.ignored
    assert texture.ignored[0].endswith("zebra")
    assert other.ignored == ()
    assert texture.maps()["normal"].shape == (64, 64, 3)
    for axis in (0, 1):
        field = texture.albedo.astype(float)
        inside = np.abs(np.diff(field, axis=axis)).mean()
        wrap = np.abs(np.take(field, 0, axis) - np.take(field, -1, axis)).mean()
        assert wrap <= 1.3 * inside


def test_the_commands_make_from_an_exported_pipeline_where_torch_is_not_installed(bundle, tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'diffusers', 'transformers', 'onnx'))); "
        "from cadenza.bindings.command.app import run; "
        f"sys.exit(run(['make', 'texture', 'low wall', '--size', '64', '--bundle', {str(bundle.folder)!r}, "
        f"'--out', {str(tmp_path / 'wall.png')!r}]))"
    )
    home = {**os.environ, "CADENZA_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, env=home)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "wall.png").is_file()


def test_a_dry_run_says_what_would_be_made_and_why(saved):
    said = plan_export(open_pipeline(str(saved)), Options(precision="fp16"))
    assert (said["family"], said["why"]) == ("lcm_lora", "its scheduler is LCMScheduler")
    assert said["bytes"] == 2 * sum(said["graphs"].values())


def test_a_family_of_another_process_is_refused(saved):
    with pytest.raises(Refusal, match="is for flow models"):
        plan_export(open_pipeline(str(saved)), Options(family="schnell"))


def test_a_family_for_networks_that_embed_guidance_is_refused_for_one_that_does_not(saved):
    with pytest.raises(Refusal, match="takes no embedding of guidance; take lcm_lora"):
        plan_export(open_pipeline(str(saved)), Options(family="lcm"))


def test_a_hub_id_is_opened_offline_from_the_cache(saved, tmp_path):
    model = tmp_path / "hub" / "models--someone--toy"
    shutil.copytree(saved, model / "snapshots" / "0123abcd")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("0123abcd", encoding="utf-8")
    code = (
        "from cadenza.exporters.diffusion.opening import open_pipeline; "
        "print(type(open_pipeline('someone/toy')).__name__)\n"
        "try: open_pipeline('someone/else')\n"
        "except ValueError as refusal: print(refusal)"
    )
    home = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, env=home)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("StableDiffusionPipeline\n")
    assert "someone/else cannot be opened as a pipeline" in ended.stdout


def test_a_tiny_autoencoder_takes_the_place_of_the_pipelines(saved, tmp_path):
    tiny = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1), latent_channels=4,
    )  # fmt: skip
    tiny.save_pretrained(tmp_path / "tiny")
    pipe = open_pipeline(str(saved))
    replace_vae(pipe, str(tmp_path / "tiny"))
    assert type(pipe.vae).__name__ == "AutoencoderTiny"
    wide = diffusers.AutoencoderTiny(
        latent_channels=8,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    wide.save_pretrained(tmp_path / "wide")
    with pytest.raises(Refusal, match="makes 8 channels"):
        replace_vae(pipe, str(tmp_path / "wide"))
    with pytest.raises(Refusal, match="vae"):
        replace_vae(pipe, str(tmp_path / "nowhere"))


def test_what_is_no_pipeline_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(Refusal, match=r"model_index\.json"):
        open_pipeline(str(tmp_path))


def test_a_full_disk_is_told_with_what_is_needed_and_leaves_nothing_behind(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "trace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left on device")))
    with pytest.raises(Refusal, match=r"no space left; the bundle takes about \d+ MB"):
        export_pipeline(open_pipeline(str(saved)), tmp_path / "out", Options())
    assert list(tmp_path.iterdir()) == []
