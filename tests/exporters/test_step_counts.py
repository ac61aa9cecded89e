"""Every pipeline at every step count that its family recommends, by torch: plans against diffusers' own loop.

The graphs are not traced here, which takes the time; `test_diffusers.py` and `test_more_pipelines.py` hold those (slow).
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_more

from cadenza.exporters.diffusion.parity import PROMPT, noise_of
from cadenza.exporters.diffusion.pipeline_call import own_result, own_text
from cadenza.exporters.diffusion.planning import Options, family_of, parts_of
from cadenza.exporters.families import FAMILIES
from cadenza.exporters.verify import relative
from cadenza.runtime.plans import plan_of_table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TRAILING = dict(VP, timestep_spacing="trailing")
TOLERANCE = 1e-5
PIPELINES = {
    "sd15": (toys.stable_diffusion, "lcm_lora"),
    "sd15_tcd": (lambda: toys.stable_diffusion(diffusers.TCDScheduler(**VP)), "tcd"),
    "sd15_base": (lambda: toys.stable_diffusion(diffusers.PNDMScheduler(**VP, skip_prk_steps=True)), "base"),
    "lcm": (lambda: toys.stable_diffusion(embeds_guidance=True), "lcm"),
    "sdxl_lightning": (lambda: toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(**TRAILING)), "lightning"),
    "sdxl_lightning_1": (
        lambda: toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(**TRAILING, prediction_type="sample")),
        "lightning_1",
    ),
    "sdxl_turbo": (lambda: toys.stable_diffusion_xl(diffusers.EulerAncestralDiscreteScheduler(**TRAILING)), "turbo"),
    "sd3": (toys.stable_diffusion_3, "sd3"),
    "flux_schnell": (toys.flux, "schnell"),
    "flux_2_klein": (toys_more.flux_2_klein, "klein"),
    "sana_sprint": (toys_more.sana_sprint, "sana_sprint"),
    "pixart_alpha": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP)), "lcm_lora"),
    "pixart_sigma": (lambda: toys_more.pixart(diffusers.LCMScheduler(**VP), "PixArtSigmaPipeline"), "lcm_lora"),
    "stable_audio_3": (toys_more.stable_audio_3, "stable_audio_3"),
    "animate_diff": (lambda: toys_more.animate_diff(diffusers.LCMScheduler(**VP)), "lcm_lora"),
}
MANY = {"tcd": (4, 8, 50)}
"""Of families with a table for every step count, these."""


def largest(pipe, parts, family):
    """The largest error by step count; the step is the module that would be traced."""
    manifest = SimpleNamespace(
        process=parts.process, prediction=FAMILIES[family].prediction or parts.prediction, latent=parts.latent
    )
    text, arguments = own_text(pipe, parts, PROMPT)
    condition = torch.from_numpy(np.hstack([text, parts.told.numpy()]))
    errors = {}
    for table in FAMILIES[family].tables(MANY.get(family, ())):
        plan = plan_of_table(manifest, table)
        start, draws = noise_of(parts, plan, 7)

        def model(x, time, conditional):
            given = torch.from_numpy(x.astype(np.float32)), torch.tensor([time], dtype=torch.float32)
            return parts.step(*given, condition).numpy()

        ours = plan.run(model, start, lambda k, draws=draws: draws[k])
        theirs = own_result(pipe, parts, manifest, table, arguments, start, draws)
        assert theirs is not None, table.steps
        errors[table.steps] = relative(ours, theirs)
    return errors


@pytest.mark.parametrize("name", PIPELINES)
@torch.no_grad()
def test_a_plan_is_the_pipelines_own_loop_at_every_recommended_step_count(name):
    make, family = PIPELINES[name]
    pipe = make()
    parts = parts_of(pipe, Options(frames=4))
    chosen, why = family_of(pipe, parts, Options())
    assert (chosen, bool(why)) == (family, True)
    errors = largest(pipe, parts, family)
    assert set(errors) == set(MANY.get(family, FAMILIES[family].steps))
    assert all(error <= TOLERANCE for error in errors.values()), errors
