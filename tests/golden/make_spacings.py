"""Writes spacings.json: timesteps and sigmas of diffusers' own schedulers, the oracle of test_spacings.py.

pip install diffusers==0.42.1 torch && python tests/golden/make_spacings.py
"""

import json
from pathlib import Path

import diffusers
from diffusers import schedulers

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CASES = [
    ("DDIMScheduler", {**SD, "timestep_spacing": "linspace"}),
    ("DDIMScheduler", {**SD, "timestep_spacing": "leading", "steps_offset": 1, "clip_sample": False}),
    ("DDIMScheduler", {**SD, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2"}),
    ("PNDMScheduler", {"skip_prk_steps": True, "timestep_spacing": "trailing"}),
    ("DEISMultistepScheduler", {**SD, "use_beta_sigmas": True}),
    ("UniPCMultistepScheduler", {**SD, "solver_order": 3}),
    ("EulerDiscreteScheduler", {**SD}),
    ("EulerDiscreteScheduler", {**SD, "timestep_spacing": "leading", "steps_offset": 1}),
    ("EulerDiscreteScheduler", {**SD, "timestep_spacing": "trailing"}),
    ("EulerDiscreteScheduler", {**SD, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    ("EulerDiscreteScheduler", {**SD, "use_karras_sigmas": True}),
    ("EulerDiscreteScheduler", {**SD, "use_exponential_sigmas": True}),
    ("EulerDiscreteScheduler", {**SD, "use_beta_sigmas": True}),
    ("EulerAncestralDiscreteScheduler", {**SD}),
    ("HeunDiscreteScheduler", {**SD, "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {**SD}),
    ("DPMSolverMultistepScheduler", {**SD, "timestep_spacing": "leading", "steps_offset": 1}),
    ("DPMSolverMultistepScheduler", {**SD, "timestep_spacing": "trailing"}),
    ("DPMSolverMultistepScheduler", {**SD, "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {**SD, "use_lu_lambdas": True}),
    ("DPMSolverMultistepScheduler", {**SD, "algorithm_type": "sde-dpmsolver++", "use_exponential_sigmas": True}),
    ("LCMScheduler", {"timestep_spacing": "trailing"}),
    ("TCDScheduler", {"timestep_spacing": "trailing"}),
    ("FlowMatchEulerDiscreteScheduler", {}),
    ("FlowMatchEulerDiscreteScheduler", {"use_karras_sigmas": True}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True}),
    ("FlowMatchHeunDiscreteScheduler", {"shift": 1.0}),
    ("EDMEulerScheduler", {"sigma_max": 120.0}),
    ("EDMDPMSolverMultistepScheduler", {"sigma_schedule": "exponential"}),
]  # fmt: skip


def once(name, values):
    """Without the repeats that two-stage schedulers have."""
    return [v for i, v in enumerate(values) if "Heun" not in name or i == 0 or v != values[i - 1]]


def case(name, config, steps):
    scheduler = getattr(schedulers, name)(**config)
    if config.get("use_dynamic_shifting"):  # as Flux's pipeline calls it, at 4096 tokens
        scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)], mu=config.get("max_shift", 1.15))
    else:
        scheduler.set_timesteps(steps)
    sigmas = getattr(scheduler, "sigmas", None)
    return {
        "config": {"_class_name": name, **config},
        "steps": steps,
        "timesteps": once(name, [float(t) for t in scheduler.timesteps]),
        "sigmas": None if sigmas is None else once(name, [float(s) for s in sigmas]),
    }


if __name__ == "__main__":
    cases = [case(name, config, steps) for name, config in CASES for steps in (4, 10, 30)]
    out = Path(__file__).with_name("spacings.json")
    out.write_text(json.dumps({"diffusers": diffusers.__version__, "cases": cases}) + "\n", encoding="utf-8")
