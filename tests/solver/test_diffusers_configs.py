"""Every diffusers scheduler that `read_scheduler_config` knows, under unusual settings, stepped by hand beside our plan.

Either the latents are equal to 1e-5 (diffusers holds its levels in float32), or the configuration is told to differ, and on
diffusers' own levels the sampler is equal all the same, or the reason is one of those in REASONS.
"""

import itertools
import math
import sys
import warnings

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime import compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, raw_output
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.scheduler_config import read_scheduler_config

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and torch as they are imported
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own, of numpy 2
START = np.linspace(-2.5, 2.5, 41)
DRAWS = np.random.default_rng(3).standard_normal((80, 41))
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
RATIO = ("Euler", "EulerAncestral", "Heun", "LMS", "KDPM2", "KDPM2Ancestral")
"""Classes that step in the frame of the noise ratio, as k-diffusion; the others in the process's own."""
MULTISTEP = ("DPMSolverMultistep", "UniPCMultistep")


def full(short):
    discrete = short in RATIO or short in ("FlowMatchEuler", "FlowMatchHeun")
    return f"{short}{'Discrete' if discrete else ''}Scheduler"


def made(name, steps, settings):
    """A scheduler with its timesteps set; the noise it draws is DRAWS in order."""
    scheduler = getattr(diffusers, name)(**settings)
    drawn = iter(DRAWS)
    module = sys.modules[type(scheduler).__module__]
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = lambda *args, **kwargs: torch.tensor(next(drawn))[None]
    told = {"mu": settings.get("max_shift", 1.15)} if settings.get("use_dynamic_shifting") else {}
    scheduler.set_timesteps(steps, **told)
    return scheduler


def sigma_of(scheduler, name, t):
    """The noise ratio, or the flow's time, of the evaluation that comes next."""
    if getattr(scheduler, "sigmas", None) is None:
        alpha = float(scheduler.alphas_cumprod[int(t)])
        return math.sqrt((1 - alpha) / alpha) if alpha else math.inf
    at = scheduler._step_index
    if "KDPM2" in name and not scheduler.state_in_first_order:
        return float(scheduler.sigmas_interpol[at - ("Ancestral" in name)])
    return float(scheduler.sigmas[at])


def theirs(name, steps, settings, config):
    """(the latent of START, the levels of the run with its end, where the scheduler has them)."""
    scheduler = made(name, steps, settings)
    flow, edm = config.process.kind == "flow", name.startswith("EDM")
    ratio_frame = any(name == full(short) for short in RATIO)
    first = float(scheduler.sigmas[0]) if getattr(scheduler, "sigmas", None) is not None else 0.0
    x = torch.tensor(START)[None] * (first if edm else math.hypot(1, first) if ratio_frame else 1.0)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        if getattr(scheduler, "sigmas", None) is not None and scheduler._step_index is None:
            scheduler._init_step_index(t)
        sigma = sigma_of(scheduler, name, t)
        own = seen.numpy()
        if edm:  # its output, preconditioned with sigma_data 0.5, stands for the clean estimate
            skip, out = 0.25 / (sigma**2 + 0.25), 0.5 * sigma / math.sqrt(sigma**2 + 0.25)
            raw = (LOPSIDED.denoised(x.numpy(), 1.0, sigma) - skip * x.numpy()) / out
        else:
            alpha, noise = (1 - sigma, sigma) if flow else scales(sigma)
            raw = raw_output(config.prediction, own, LOPSIDED.denoised(own, alpha, noise), alpha, noise)
        x = scheduler.step(torch.tensor(raw), t, x, return_dict=False)[0].to(torch.float64)
    end = float(scheduler.sigmas[-1]) if getattr(scheduler, "sigmas", None) is not None else 0.0
    scale = 1.0 if flow or not ratio_frame else math.hypot(1, end)
    levels = [] if getattr(scheduler, "sigmas", None) is None else scheduler.sigmas.tolist()
    return x.numpy()[0] / scale, [a for a, b in itertools.pairwise([*levels, -1.0]) if a != b]  # stages come twice


def scales(ratio):
    alpha = 0.0 if math.isinf(ratio) else 1 / math.hypot(1, ratio)
    return alpha, 1.0 if math.isinf(ratio) else alpha * ratio


def ours(config, steps, spacing=None, **options):
    process = config.process
    plan = compile_plan(
        config.sampler, spacing or config.spacing, steps, process, config.prediction, **{**config.options, **options}
    )

    def model(x, time, conditional):
        level = process.at(time)
        alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
        return raw_output(config.prediction, x, LOPSIDED.denoised(x, alpha, sigma), alpha, sigma)

    return plan.run(model, START, lambda k: DRAWS[k])


def apart(short, settings, steps, own_levels=False, **options):
    name = full(short)
    config = read_scheduler_config({"_class_name": name, **settings})
    latent, levels = theirs(name, steps, settings, config)
    spacing = None
    if own_levels:
        spacing = {"times": levels} if config.process.kind == "flow" else levels
        steps = len(levels) - 1
    return np.abs(ours(config, steps, spacing, **options) - latent).max() / np.abs(latent).max()


KARRAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
GRIDS = (
    {"timestep_spacing": "linspace"},
    {"timestep_spacing": "leading", "steps_offset": 0},
    {"timestep_spacing": "leading", "steps_offset": 1},
    {"timestep_spacing": "trailing"},
)
ZERO = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
V, X0 = {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}
UNCLIPPED = {"clip_sample": False}
EQUAL = [
    *(("DDIM", SD | UNCLIPPED | each) for each in (GRIDS[1], GRIDS[2], GRIDS[1] | V, GRIDS[2] | X0)),
    *(("DDPM", SD | UNCLIPPED | each) for each in (*GRIDS, V, X0, ZERO)),
    *(("DDPM", UNCLIPPED | {"beta_schedule": each}) for each in ("linear", "squaredcos_cap_v2")),
    ("PNDM", SD | {"skip_prk_steps": True, "set_alpha_to_one": True, "timestep_spacing": "leading"}),
    *((name, SD | grid) for name in RATIO if name != "LMS" for grid in GRIDS),
    *((name, SD | {flag: True}) for name in ("Euler", "Heun", "KDPM2", "KDPM2Ancestral") for flag in KARRAS),
    *((name, SD | V) for name in ("Euler", "EulerAncestral", "Heun", "KDPM2", "KDPM2Ancestral")),
    *((name, SD | ZERO) for name in ("Euler", "EulerAncestral", *MULTISTEP)),
    ("Euler", SD | {"use_karras_sigmas": True, "timestep_type": "continuous", "prediction_type": "v_prediction"}),
    *((name, SD | grid) for name in MULTISTEP for grid in GRIDS),
    *((name, SD | {flag: True}) for name in MULTISTEP for flag in KARRAS),
    *((name, SD | each) for name in MULTISTEP for each in (V, X0, {"solver_order": 1}, {"solver_order": 2})),
    ("DPMSolverMultistep", SD | {"use_lu_lambdas": True}),
    *(("DPMSolverMultistep", SD | {"lower_order_final": False, "solver_type": each}) for each in ("midpoint", "bh2")),
    ("DPMSolverMultistep", SD | {"solver_type": "heun"}),
    ("DPMSolverMultistep", SD | {"euler_at_final": True}),
    *(
        ("DPMSolverMultistep", SD | {"algorithm_type": "sde-dpmsolver++", "solver_type": kind, "solver_order": order})
        for kind, order in (("midpoint", 1), ("midpoint", 2), ("heun", 2))
    ),
    ("UniPCMultistep", SD | {"solver_order": 3}),
    *(
        ("LCM", UNCLIPPED | each)
        for each in ({}, V, X0, {"original_inference_steps": 100}, {"set_alpha_to_one": False}, ZERO)
    ),
    *(("FlowMatchEuler", each) for each in ({}, {"stochastic_sampling": True}, *({flag: True} for flag in KARRAS))),
    ("FlowMatchHeun", {}),
    ("FlowMatchLCM", {}),
    *(
        (name, each)
        for name in ("EDMEuler", "EDMDPMSolverMultistep")
        for each in ({}, {"sigma_schedule": "exponential"}, {"rho": 5.0}, {"sigma_min": 0.1, "sigma_max": 50.0})
    ),
    *(("EDMDPMSolverMultistep", {"solver_type": "heun", "solver_order": order}) for order in (1, 2)),
    ("EDMDPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++"}),
]


@pytest.mark.parametrize(("short", "settings"), EQUAL)
def test_a_configuration_makes_the_same_latent_as_its_scheduler(short, settings):
    config = read_scheduler_config({"_class_name": full(short), **settings})
    options = {"boundary": True} if short == "LCM" else {}
    for steps in (6, 20):
        assert (steps == 1 and short == "PNDM") or apart(short, settings, steps, **options) < 1e-5, (
            steps
        )  # one step: none
    assert not {key for key in config.differs if key not in ("euler_at_final", "timestep_type")}


ON_THEIR_LEVELS = [
    *(
        (name, SD | grid | {flag: True}, "timestep_spacing")
        for name in ("Euler", "Heun", "KDPM2", "KDPM2Ancestral")
        for flag in KARRAS
        for grid in GRIDS[2:]
    ),
    ("Euler", SD | {"final_sigmas_type": "sigma_min"}, "final_sigmas_type"),
    ("Euler", SD | {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0}, "sigma_min"),
    ("DPMSolverMultistep", SD | {"final_sigmas_type": "sigma_min", "lower_order_final": False}, "final_sigmas_type"),
    ("UniPCMultistep", SD | {"final_sigmas_type": "sigma_min"}, "final_sigmas_type"),
    *(
        (
            "UniPCMultistep",
            SD | {"final_sigmas_type": "sigma_min", "solver_type": "bh1", "solver_order": order},
            "final_sigmas_type",
        )
        for order in (1, 2, 3)
    ),
    *(("DEISMultistep", SD | {"solver_order": 1} | grid, "_class_name") for grid in GRIDS),
    *(("DEISMultistep", SD | {"solver_order": 1, flag: True}, "_class_name") for flag in KARRAS),
    ("FlowMatchEuler", {"shift": 3.0}, "shift"),
    ("FlowMatchHeun", {"shift": 3.0}, "shift"),
    ("FlowMatchLCM", {"shift": 3.0}, "shift"),
    ("FlowMatchEuler", {"use_dynamic_shifting": True}, "use_dynamic_shifting"),
    ("FlowMatchEuler", {"use_dynamic_shifting": True, "shift_terminal": 0.1}, "shift_terminal"),
    ("FlowMatchEuler", {"use_dynamic_shifting": True, "time_shift_type": "linear"}, "time_shift_type"),
]


@pytest.mark.parametrize(("short", "settings", "told"), ON_THEIR_LEVELS)
def test_where_the_levels_are_others_it_is_told_and_on_theirs_the_sampler_is_equal(short, settings, told):
    config = read_scheduler_config({"_class_name": full(short), **settings})
    assert told in config.differs
    assert apart(short, settings, 8) > 1e-5
    assert apart(short, settings, 8, own_levels=True) < 2e-5


REASONS = [
    (
        "Euler",
        SD | {"interpolation_type": "log_linear"},
        "interpolation_type",
        None,
    ),  # ends at its lowest level, unsaid
    ("LMS", SD, "_class_name", 1e-4),  # it integrates to 1e-4: near, and not equal
    ("LMS", SD | {"timestep_spacing": "trailing"}, "_class_name", 1e-4),
    ("DDIM", SD | UNCLIPPED | {"timestep_spacing": "linspace"}, "timestep_spacing", None),
    (
        "DDIM",
        SD | UNCLIPPED | ZERO,
        "timestep_spacing",
        1e-5,
    ),  # told, as 1,000 may not divide by the steps; here it does
    ("PNDM", SD | {"skip_prk_steps": True, "timestep_spacing": "trailing"}, "timestep_spacing", None),
    ("PNDM", SD | {"skip_prk_steps": True, "timestep_spacing": "leading"}, "set_alpha_to_one", None),
    ("PNDM", SD | V | {"skip_prk_steps": True}, "prediction_type", None),
    ("DPMSolverMultistep", SD | {"solver_order": 3}, "solver_order", None),
    ("EDMDPMSolverMultistep", {"solver_order": 3}, "solver_order", None),
    (
        "DPMSolverMultistep",
        SD | {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
        "use_flow_sigmas",
        None,
    ),
    ("DPMSolverSinglestep", SD, "_class_name", None),
    ("DPMSolverSinglestep", SD | {"solver_order": 3}, "_class_name", None),
    ("DEISMultistep", SD | {"solver_order": 3}, "_class_name", None),
    ("SASolver", SD, "_class_name", None),
    ("TCD", UNCLIPPED, "_class_name", None),
    ("LCM", {"clip_sample": True}, "clip_sample", None),
]


@pytest.mark.parametrize(("short", "settings", "told", "within"), REASONS)
def test_what_differs_for_another_reason_is_told(short, settings, told, within):
    config = read_scheduler_config({"_class_name": full(short), **settings})
    assert told in config.differs
    distance = apart(short, settings, 8, **({"boundary": True} if short == "LCM" else {}))
    assert distance < within if within else distance > 1e-4
    assert set(config.options) <= set(dials(config.sampler))


TRAPS = [
    ("Euler", SD | {"timestep_spacing": "linspace"}, 1),
    ("DDPM", SD | UNCLIPPED | {"timestep_spacing": "linspace"}, 1),
    ("EDMEuler", {"sigma_schedule": "exponential"}, 1),
    ("UniPCMultistep", SD | {"solver_type": "bh1"}, 8),
    ("UniPCMultistep", SD | {"lower_order_final": False}, 8),
]
"""What goes wrong in diffusers and not here: one step of linspace or exponential starts at the *least* noisy level, and two
settings of UniPC end in NaN."""


@pytest.mark.parametrize(("short", "settings", "steps"), TRAPS)
def test_trap_a_run_of_diffusers_that_is_no_estimate_and_ours_is(short, settings, steps):
    config = read_scheduler_config({"_class_name": full(short), **settings})
    latent, _ = theirs(full(short), steps, settings, config)
    mine = ours(config, steps)
    assert np.isnan(latent).any() or np.abs(latent - mine).mean() > 0.5 * np.abs(mine).mean()
    plan = compile_plan(config.sampler, config.spacing, steps, config.process, config.prediction, **config.options)
    assert config.process.at(plan.time[0]).noise_ratio > 10
    assert np.abs(mine).max() < 4  # within the data


@pytest.mark.parametrize(
    ("short", "settings", "field"),
    [
        ("DPMSolverMultistep", {"algorithm_type": "dpmsolver"}, "algorithm_type"),
        ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver"}, "algorithm_type"),
        ("DPMSolverMultistep", {"solver_order": 4}, "solver_order"),
        ("DPMSolverSinglestep", {"algorithm_type": "sde-dpmsolver++"}, "algorithm_type"),
        ("DPMSolverSinglestep", {"solver_order": 4}, "solver_order"),
        ("Euler", {"timestep_spacing": "ending"}, "timestep_spacing"),
        ("EDMEuler", {"sigma_schedule": "linear"}, "sigma_schedule"),
    ],
)
def test_what_no_sampler_here_does_is_refused(short, settings, field):
    with pytest.raises(Refusal) as refused:
        read_scheduler_config({"_class_name": full(short), **settings})
    assert refused.value.field == field


def test_thresholding_is_told_to_be_left_out():
    told = read_scheduler_config({"_class_name": "DPMSolverMultistepScheduler", **SD, "thresholding": True}).differs
    assert "not affine" in told["thresholding"]
    with pytest.raises(Refusal, match="no weighted sum"):
        compile_plan("dpmpp_2m", "karras", 4, read_scheduler_config({"_class_name": "LMSDiscreteScheduler"}).process,
                     "epsilon", thresholding=True)  # fmt: skip
