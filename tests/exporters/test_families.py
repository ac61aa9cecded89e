"""The families' tables against the schedulers of the installed diffusers."""

import importlib
from pathlib import Path

import diffusers
import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.exporters import families
from cadenza.exporters.choosing import choose
from cadenza.exporters.diffusion.card import metadata, name_of, said_of
from cadenza.exporters.families import FAMILIES, page

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers' own, on new numpy
VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SCHEDULERS = {
    "lcm": ("LCMScheduler", dict()),
    "lcm_lora": ("LCMScheduler", dict()),
    "turbo": ("EulerAncestralDiscreteScheduler", dict(timestep_spacing="trailing")),
    "lightning": ("EulerDiscreteScheduler", dict(timestep_spacing="trailing")),
    "lightning_1": ("EulerDiscreteScheduler", dict(timestep_spacing="trailing", prediction_type="sample")),
    "hyper": ("DDIMScheduler", dict(timestep_spacing="trailing")),
    "hyper_cfg": ("DDIMScheduler", dict(timestep_spacing="trailing")),
    "hyper_unified": ("TCDScheduler", dict()),
    "tcd": ("TCDScheduler", dict()),
    "pcm": ("TCDScheduler", dict()),
    "pcm_normal": ("TCDScheduler", dict()),
    "sdxs": ("EulerDiscreteScheduler", dict(timestep_spacing="trailing")),
    "base": ("DPMSolverMultistepScheduler", dict(timestep_spacing="trailing")),
}
STATED = {"turbo_demo", "hyper_1", "dmd2", "dmd2_1"}
"""Grids that the authors give number by number and no scheduler makes by itself."""
OWN = {"klein", "sana_sprint", "stable_audio", "stable_audio_3"}
"""Families of one pipeline class, each with a test of its own below."""


def test_every_family_is_checked_here():
    others = {name for name, family in FAMILIES.items() if family.process != "vp"}
    assert set(SCHEDULERS) | STATED | others == set(FAMILIES)
    assert others == {"schnell", "z_image_turbo", "ace_step_turbo", "sd3", "qwen_lightning", *OWN}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_table_on_training_timesteps_is_the_schedulers_own(name):
    kind, settings = SCHEDULERS[name]
    scheduler = getattr(diffusers, kind)(**VP, **settings)
    for table in FAMILIES[name].tables():
        scheduler.set_timesteps(table.steps)
        np.testing.assert_array_equal(scheduler.timesteps.numpy(), table.times[: table.steps])


@pytest.mark.parametrize(("name", "shift"), [("schnell", 1.0), ("z_image_turbo", 3.0), ("ace_step_turbo", 3.0)])
def test_a_flow_table_is_what_the_scheduler_makes_of_even_sigmas(name, shift):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    for table in FAMILIES[name].tables():
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / table.steps, table.steps))
        np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), table.times, rtol=1e-6)


def test_sd3_has_the_schedulers_own_spacing():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    for table in FAMILIES["sd3"].tables():
        scheduler.set_timesteps(table.steps)
        np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), table.times, rtol=1e-5)


def test_qwen_lightning_is_the_dynamic_shift_of_log_3():
    shift = float(np.log(3))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=shift, max_shift=shift, time_shift_type="exponential"
    )
    for table in FAMILIES["qwen_lightning"].tables():
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / table.steps, table.steps), mu=shift)
        np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), table.times, rtol=1e-6)


@pytest.mark.parametrize(("side", "first"), [(512, 2.0307), (1024, 2.2912), (2048, None)])
def test_klein_is_shifted_by_the_pipelines_own_mu(side, first):
    pipeline = importlib.import_module("diffusers.pipelines.flux2.pipeline_flux2_klein")
    tokens = side * side // 256
    expected = pipeline.compute_empirical_mu(tokens, 4)
    assert families.klein_mu(tokens, 4) == pytest.approx(expected, rel=1e-12)
    if first is not None:
        assert expected == pytest.approx(first, abs=5e-5)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type="exponential")
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 0.25, 4), mu=expected)
    table = FAMILIES["klein"].tables([4], side * side)[0]
    np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), table.times, rtol=1e-6)


def test_sana_sprint_has_the_schedulers_angles_as_flow_times():
    scheduler = diffusers.SCMScheduler()
    for table in FAMILIES["sana_sprint"].tables():
        scheduler.set_timesteps(table.steps, intermediate_timesteps=1.3 if table.steps == 2 else None)
        angles = np.arctan2(table.times, 1 - np.array(table.times))
        np.testing.assert_allclose(angles, scheduler.timesteps[:-1].numpy(), rtol=1e-5)


def test_stable_audio_3_has_the_pipelines_own_breakpoints():
    pipeline = importlib.import_module("diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3")
    for table in FAMILIES["stable_audio_3"].tables():
        np.testing.assert_allclose(table.times, pipeline.logsnr_sigma_schedule(table.steps, -6.2, 2.0), rtol=1e-6)


def test_stable_audio_has_the_schedulers_noise_ratios():
    scheduler = diffusers.CosineDPMSolverMultistepScheduler()
    for table in FAMILIES["stable_audio"].tables():
        scheduler.set_timesteps(table.steps)
        np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), table.times, rtol=1e-5)


def test_licences_are_flagged_for_games_that_are_sold():
    flags = {name: family.sale for name, family in FAMILIES.items()}
    assert flags["dmd2"] == flags["dmd2_1"] == "no"
    assert flags["turbo"] == flags["hyper"] == flags["sana_sprint"] == flags["base"] == "ask"
    assert flags["schnell"] == flags["lightning"] == flags["ace_step_turbo"] == "yes"
    assert all(family.source.startswith("https://") and family.licence for family in FAMILIES.values())


@pytest.mark.parametrize(
    ("scheduler", "embeds", "card", "family"),
    [
        ({"_class_name": "LCMScheduler"}, True, "", "lcm"),
        ({"_class_name": "LCMScheduler"}, False, "", "lcm_lora"),
        ({"_class_name": "TCDScheduler"}, False, "", "tcd"),
        ({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}, False, "", "lightning"),
        ({"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}, False, "", "turbo"),
        ({"_class_name": "LCMScheduler"}, False, "somebody/DMD2-sdxl", "dmd2"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, False, "", "sd3"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}, False, "", "klein"),
        ({"_class_name": "SCMScheduler"}, False, "", "sana_sprint"),
        ({"_class_name": "CosineDPMSolverMultistepScheduler"}, False, "", "stable_audio"),
        ({"_class_name": "PNDMScheduler"}, False, "", "base"),
    ],
)
def test_auto_says_which_family_and_why(scheduler, embeds, card, family):
    name, why = choose("auto", scheduler, embeds, {"its name": card})
    assert name == family
    assert ("its name says" if card else "scheduler") in why


EULER = {"_class_name": "EulerDiscreteScheduler"}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}


@pytest.mark.parametrize(
    ("scheduler", "said", "family"),
    [
        (EULER, "ByteDance/SDXL-Lightning", "lightning"),
        (EULER, "sdxl_lightning_1step_unet_x0", "lightning_1"),
        (FLOW, "lightx2v/Qwen-Image-Lightning", "qwen_lightning"),
        (EULER, "Hyper-SDXL-8steps-lora", "hyper"),
        (EULER, "Hyper-SDXL-1step-lora", "hyper_unified"),
        (EULER, "Hyper-SDXL-1step-Unet", "hyper_1"),
        (EULER, "Hyper-SD15-12steps-CFG-lora", "hyper_cfg"),
        (EULER, "dmd2_sdxl_4step_lora", "dmd2"),
        (EULER, "dmd2_sdxl_1step_unet_fp16", "dmd2_1"),
        (EULER, "pcm_sdxl_smallcfg_4step_converted", "pcm"),
        (EULER, "pcm_sd15_normalcfg_8step", "pcm_normal"),
        (EULER, "h1t/TCD-SDXL-LoRA", "tcd"),
        (EULER, "latent-consistency/lcm-lora-sdv1-5", "lcm_lora"),
        (EULER, "IDKiro/sdxs-512-0.9", "sdxs"),
        (EULER, "stabilityai/sdxl-turbo", "turbo"),
        (FLOW, "stabilityai/stable-diffusion-3.5-large-turbo", "sd3"),
        (FLOW, "Tongyi-MAI/Z-Image-Turbo", "z_image_turbo"),
        (FLOW, "ACE-Step/acestep-v15-xl-turbo-diffusers", "ace_step_turbo"),
        (FLOW, "black-forest-labs/FLUX.2-klein-4B", "klein"),
        (FLOW, "black-forest-labs/FLUX.1-schnell", "schnell"),
        (FLOW, "stabilityai/stable-audio-open-small", "stable_audio_3"),
        ({"_class_name": "SCMScheduler"}, "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers", "sana_sprint"),
        ({**FLOW, "stochastic_sampling": True}, "", "stable_audio_3"),
        ({**FLOW, "use_dynamic_shifting": True, "base_shift": 1.0986, "max_shift": 1.0986}, "", "qwen_lightning"),
    ],
)
def test_auto_knows_the_published_names(scheduler, said, family):
    assert choose("auto", scheduler, False, {"its name": said})[0] == family


def test_a_lora_says_more_than_the_model_it_is_for_and_the_card_less(tmp_path):
    model = tmp_path / "sdxl-turbo"
    model.mkdir()
    (model / "README.md").write_text(
        "---\nbase_model: a/b\ntags: [text-to-image, lcm]\n---\nBetter than SDXS.\n", encoding="utf-8"
    )
    scheduler = {"_class_name": "PNDMScheduler"}
    for loras, family, why in (
        (["x/tcd-lora.safetensors"], "tcd", "the name of the LoRA tcd-lora.safetensors says 'tcd'"),
        ([], "turbo", "its name says 'turbo'"),
    ):
        assert choose("auto", scheduler, False, dict(said_of(str(model), loras))) == (family, why)
    plain = model.rename(tmp_path / "wall")
    assert choose("auto", scheduler, False, dict(said_of(str(plain)))) == ("lcm_lora", "its model card says 'lcm'")
    assert choose("auto", scheduler, True, dict(said_of(str(plain))))[0] == "lcm"
    (plain / "README.md").write_text("---\ntags: [\n---\n", encoding="utf-8")
    assert metadata(str(plain)) == {}


def test_a_pipeline_made_in_python_says_nothing_wherever_it_is_made(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("---\ntags: [turbo]\n---\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert said_of("") == ()
    assert said_of("", ["x/lcm.safetensors"]) == (("the name of the LoRA lcm.safetensors", "lcm"),)


def test_a_folder_of_the_hubs_cache_has_the_name_of_its_model(tmp_path):
    snapshot = tmp_path / "turbo" / "models--someone--wall" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    assert name_of(str(snapshot)) == "someone/wall"


def test_an_unknown_family_or_step_count_is_refused_by_name():
    with pytest.raises(Refusal, match="lightning"):
        choose("lightnin", {}, False)
    with pytest.raises(Refusal, match="2, 4, 8"):
        FAMILIES["lightning"].tables([3])


def test_the_documented_table_is_the_one_in_code():
    assert page() in (Path(families.__file__).parent / "EXPORT.md").read_text(encoding="utf-8")
