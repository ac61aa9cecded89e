"""The families' tables against the schedulers of the installed diffusers."""

from pathlib import Path

import diffusers
import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.exporters import families
from cadenza.exporters.families import FAMILIES, choose, page

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


def test_every_family_is_checked_here():
    flow = {name for name, family in FAMILIES.items() if family.flow}
    assert set(SCHEDULERS) | STATED | flow == set(FAMILIES)


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
        ({"_class_name": "PNDMScheduler"}, False, "", "base"),
    ],
)
def test_auto_says_which_family_and_why(scheduler, embeds, card, family):
    name, why = choose("auto", scheduler, embeds, card)
    assert name == family
    assert why


def test_an_unknown_family_or_step_count_is_refused_by_name():
    with pytest.raises(Refusal, match="lightning"):
        choose("lightnin", {}, False)
    with pytest.raises(Refusal, match="2, 4, 8"):
        FAMILIES["lightning"].tables([3])


def test_the_documented_table_is_the_one_in_code():
    assert page() in (Path(families.__file__).parent / "EXPORT.md").read_text()
