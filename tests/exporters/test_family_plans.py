"""Every family's tables run as plans, against diffusers' scheduler of that family stepped by hand over its own grid.

The network is a smooth function of latent and time; both sides draw the same noise. A scheduler is set up as the family's
model card or pipeline sets it up, never from our table, so grid and steps are proven together.
"""

import importlib
import math
import sys
from unittest.mock import patch

import diffusers
import numpy as np
import pytest
import torch

from cadenza.exporters.families import FAMILIES
from cadenza.runtime import Process, compile_plan

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
VP = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TOLERANCE = 1e-4
"""Of the largest value: schedulers keep their tables in float32."""
START = np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)
LONG = (4, 8, 20, 50)
"""Of families with a table for every step count, so many are run."""
SD = 0.5
"""Sana-Sprint's deviation of data."""


def network(x, t):
    """Any smooth function: x an array or a tensor, t the time as the model is told it."""
    return 0.4 * x - 0.2 * x * x / (1.0 + x * x) + 0.1 * math.sin(t)


def draws(count):
    return np.random.default_rng(1).standard_normal((count, *START.shape)).astype(np.float32)


def of_vp(kind, settings, made=lambda scheduler, n: scheduler.set_timesteps(n), start=1.0, **step):
    """A variance-preserving scheduler over its timesteps; `start` 0: in units of noise ratios, begins at unit variance."""

    def run(n, noise):
        scheduler = getattr(diffusers, kind)(**VP, **settings)
        made(scheduler, n)
        x = torch.from_numpy(START)
        if not start:
            x = x * float((1 + scheduler.sigmas[0] ** 2) ** 0.5)
        with drawing(scheduler, noise):
            for t in scheduler.timesteps:
                raw = network(scheduler.scale_model_input(x, t), float(t))
                x = scheduler.step(raw, t, x, **step).prev_sample
        return x

    return run


def of_flow(sigmas, settings=(), **more):
    """A flow scheduler over sigmas(n), with further arguments of set_timesteps by n."""

    def run(n, noise):
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**dict(settings))
        told = {name: value(n) if callable(value) else value for name, value in more.items()}
        if sigmas is None:
            scheduler.set_timesteps(n)
        else:
            scheduler.set_timesteps(sigmas=sigmas(n), **told)
        x = torch.from_numpy(START)
        with drawing(scheduler, noise):
            for t in scheduler.timesteps:
                time = float(t) / scheduler.config.num_train_timesteps
                x = scheduler.step(network(x, time), t, x).prev_sample
        return x

    return run


def drawing(scheduler, noise):
    """Its module's randn_tensor hands out this noise in order, and zeros after it."""
    left = iter(noise)
    module = sys.modules[type(scheduler).__module__]

    def drawn(*_, **__):
        return torch.from_numpy(next(left, np.zeros_like(START)))

    return patch.object(module, "randn_tensor", drawn, create=True)


def even(n):
    return np.linspace(1.0, 1 / n, n)


def explicit(*times):
    return lambda scheduler, n: scheduler.set_timesteps(timesteps=list(times[:n]))


def demo(scheduler, n):
    """The authors' SubstepSampler: noise levels 0, 100, 200 and 300 of the thousand, from the noisiest."""
    scheduler.set_timesteps(1000)
    kept = [0, 100, 200, 300][:n]
    scheduler.timesteps = scheduler.timesteps[kept]
    scheduler.sigmas = torch.cat([scheduler.sigmas[kept], torch.zeros(1)])


def ace_step(n):
    pipeline = importlib.import_module("diffusers.pipelines.ace_step.pipeline_ace_step").AceStepPipeline
    return pipeline._get_timestep_schedule(None, n, 3.0).tolist()


def stable_audio_3(n):
    return importlib.import_module("diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3").logsnr_sigma_schedule(
        n, -6.2, 2.0
    )


def klein_mu(n):
    pipeline = importlib.import_module("diffusers.pipelines.flux2.pipeline_flux2_klein")
    return pipeline.compute_empirical_mu(1024 * 1024 // 256, n)


def sana_sprint(n, noise):
    """The loop of SanaSprintPipeline around SCMScheduler, in its own units."""
    scheduler = diffusers.SCMScheduler(sigma_data=SD)
    scheduler.set_timesteps(n, intermediate_timesteps=1.3 if n == 2 else None)
    x, clean = SD * torch.from_numpy(START), None
    with drawing(scheduler, noise):
        for angle in scheduler.timesteps[:-1]:
            t = float(torch.sin(angle) / (torch.cos(angle) + torch.sin(angle)))
            norm = math.sqrt(t * t + (1 - t) ** 2)
            given = x / SD * norm
            raw = ((1 - 2 * t) * given + (1 - 2 * t + 2 * t * t) * network(given, t)) / norm
            x, clean = scheduler.step(SD * raw, angle, x, return_dict=False)
    return clean / SD


def stable_audio(n, noise):
    """Stable Audio's scheduler with its EDM preconditioning; the plan's model answers with the clean latent."""
    scheduler = diffusers.CosineDPMSolverMultistepScheduler(sigma_data=1.0)
    scheduler.set_timesteps(n)
    x = torch.from_numpy(START) * float(scheduler.sigmas[0])
    left = iter(noise)
    with patch.object(
        sys.modules[type(scheduler).__module__],
        "BrownianTreeNoiseSampler",
        lambda *_, **__: lambda *_, **__: torch.from_numpy(next(left, np.zeros_like(START))),
    ):
        for t, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
            raw = network(x / math.sqrt(1 + float(sigma) ** 2), float(sigma))
            x = scheduler.step(raw, t, x).prev_sample
    return x


TRAILING = dict(timestep_spacing="trailing")
DDIM = dict(TRAILING, set_alpha_to_one=True, clip_sample=False)
LOG_3 = float(np.log(3))
QWEN = dict(use_dynamic_shifting=True, base_shift=LOG_3, max_shift=LOG_3, time_shift_type="exponential")
RUNS = {
    "lcm": of_vp("LCMScheduler", {}),
    "lcm_lora": of_vp("LCMScheduler", {}),
    "turbo": of_vp("EulerAncestralDiscreteScheduler", TRAILING, start=0),
    "turbo_demo": of_vp("EulerAncestralDiscreteScheduler", TRAILING, demo, start=0),
    "lightning": of_vp("EulerDiscreteScheduler", TRAILING, start=0),
    "lightning_1": of_vp("EulerDiscreteScheduler", dict(TRAILING, prediction_type="sample"), start=0),
    "hyper": of_vp("DDIMScheduler", DDIM),
    "hyper_unified": of_vp("TCDScheduler", {}, eta=1.0),
    "hyper_1": of_vp("LCMScheduler", {}, explicit(800)),
    "hyper_cfg": of_vp("DDIMScheduler", DDIM),
    "tcd": of_vp("TCDScheduler", {}, eta=0.3),
    "pcm": of_vp("TCDScheduler", {}, eta=0.0),
    "pcm_normal": of_vp("TCDScheduler", {}, eta=0.0),
    "dmd2": of_vp("LCMScheduler", {}, explicit(999, 749, 499, 249)),
    "dmd2_1": of_vp("LCMScheduler", {}, explicit(399)),
    "sdxs": of_vp("EulerDiscreteScheduler", TRAILING, start=0),
    "base": of_vp("DPMSolverMultistepScheduler", dict(TRAILING, final_sigmas_type="zero")),
    "schnell": of_flow(even),
    "sd3": of_flow(None, {"shift": 3.0}),
    "z_image_turbo": of_flow(even, {"shift": 3.0}),
    "qwen_lightning": of_flow(even, QWEN, mu=LOG_3),
    "ace_step_turbo": of_flow(ace_step, {"num_train_timesteps": 1}),
    "klein": of_flow(even, dict(use_dynamic_shifting=True, time_shift_type="exponential"), mu=klein_mu),
    "stable_audio_3": of_flow(stable_audio_3, {"stochastic_sampling": True}),
    "sana_sprint": sana_sprint,
    "stable_audio": stable_audio,
}
UNEQUAL = {("hyper_cfg", 12)}
"""diffusers' DDIM steps to t - 1000 // 12 there, not to the next of its own timesteps; ours takes the timesteps."""


def process_of(family):
    if family.process == "flow":
        return Process.flow()
    if family.process == "ve":
        return Process.ve(0.3, 500.0)
    return Process.vp([float(a) for a in diffusers.LCMScheduler(**VP).alphas_cumprod])


def prediction_of(name, family):
    return family.prediction or {"flow": "flow", "ve": "x0"}.get(family.process, "epsilon")


def told(name):
    """The network as the plan's model: where ours stands inside the preconditioning, so does this."""
    if name != "stable_audio":
        return lambda x, time, conditional: network(x, time)

    def denoised(x, time, conditional):
        scale = 1 / math.sqrt(1 + time * time)
        return scale * scale * x - time * scale * network(x * scale, time)

    return denoised


def test_every_family_is_run_here():
    assert set(RUNS) == set(FAMILIES)


CASES = [
    (name, table.steps)
    for name, family in FAMILIES.items()
    for table in family.tables()
    if len(family.steps) < 9 or table.steps in LONG
]


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_a_family_is_its_scheduler(name, steps):
    family = FAMILIES[name]
    table = next(each for each in family.tables() if each.steps == steps)
    plan = compile_plan(
        table.sampler, {"times": table.times}, steps, process_of(family), prediction_of(name, family), eta=table.eta,
        **table.options,
    )  # fmt: skip
    assert plan.rows == plan.evaluations == steps
    noise = draws(plan.noise_draws)
    ours = plan.run(told(name), START, lambda k: noise[k])
    theirs = RUNS[name](steps, noise).double().numpy()
    apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert (apart <= TOLERANCE) == ((name, steps) not in UNEQUAL), apart
