"""Reading a diffusers scheduler_config.json: what it means here, which of its settings did nothing there, and which do
something there that is different here. Facts are those of diffusers 0.42.

Traps that it tells of, each with a test: LCM and TCD take no notice of timestep_spacing; classes without a setting
swallow it silently (use_karras_sigmas in EulerAncestral); an unknown solver_type becomes midpoint; steps_offset counts on
the leading grid only; the k-diffusion family spans Karras' levels over what timestep_spacing left; DPM-Solver and its
kin tell the model a truncated timestep; DEIS and SA-Solver never end clean; flow matching shifts its lowest time twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...assets.refusal import OutOfRange, Refusal, Unknown, WrongType
from .compile import dials
from .names import resolve_names
from .process import Process, zero_terminal_snr

Layout = str | dict[str, Any]


@dataclass(frozen=True)
class SchedulerConfig:
    """`spacing`, `sampler`, `options` and `prediction` are `compile_plan`'s; the two tables are by setting, in words."""

    process: Process
    prediction: str
    sampler: str
    spacing: Layout
    options: dict[str, Any] = field(default_factory=dict)
    no_effect: dict[str, str] = field(default_factory=dict)
    differs: dict[str, str] = field(default_factory=dict)


_BETAS = "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type"
_GRID = "timestep_spacing steps_offset"
_CLIP = "clip_sample clip_sample_range"
_THRESHOLD = "thresholding dynamic_thresholding_ratio sample_max_value"
_SIGMAS = "use_karras_sigmas use_exponential_sigmas use_beta_sigmas"
_FLOW = "use_flow_sigmas flow_shift use_dynamic_shifting time_shift_type"
_FLAGS = (
    f"{_SIGMAS} use_lu_lambdas use_flow_sigmas use_dynamic_shifting rescale_betas_zero_snr clip_sample thresholding "
    "skip_prk_steps stochastic_sampling invert_sigmas euler_at_final"
)
_SHIFT = (
    "num_train_timesteps shift use_dynamic_shifting base_shift max_shift base_image_seq_len max_image_seq_len "
    f"invert_sigmas shift_terminal {_SIGMAS} time_shift_type"
)
_EDM = f"sigma_min sigma_max sigma_data sigma_schedule rho final_sigmas_type num_train_timesteps prediction_type {_THRESHOLD}"
_MULTISTEP = (
    f"{_BETAS} solver_order {_THRESHOLD} algorithm_type solver_type lower_order_final {_SIGMAS} {_FLOW} {_GRID}"
)

_CLASSES: dict[str, tuple[str, str]] = {
    "DDIMScheduler": ("whole", f"{_BETAS} {_CLIP} set_alpha_to_one {_GRID} {_THRESHOLD} rescale_betas_zero_snr"),
    "DDPMScheduler": ("whole", f"{_BETAS} variance_type {_CLIP} {_GRID} {_THRESHOLD} rescale_betas_zero_snr"),
    "PNDMScheduler": ("whole", f"{_BETAS} skip_prk_steps set_alpha_to_one {_GRID}"),
    "EulerDiscreteScheduler": (
        "fine",
        f"{_BETAS} interpolation_type {_SIGMAS} sigma_min sigma_max {_GRID} timestep_type rescale_betas_zero_snr "
        "final_sigmas_type",
    ),
    "EulerAncestralDiscreteScheduler": ("fine", f"{_BETAS} {_GRID} rescale_betas_zero_snr"),
    "HeunDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_CLIP} {_GRID}"),
    "LMSDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_GRID}"),
    "KDPM2DiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_GRID}"),
    "KDPM2AncestralDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_GRID}"),
    "DPMSolverSDEScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_GRID} noise_sampler_seed"),
    "DPMSolverMultistepScheduler": (
        "multistep",
        f"{_MULTISTEP} euler_at_final use_lu_lambdas final_sigmas_type lambda_min_clipped variance_type "
        "rescale_betas_zero_snr",
    ),
    "DPMSolverSinglestepScheduler": ("multistep", f"{_MULTISTEP} final_sigmas_type lambda_min_clipped variance_type"),
    "DEISMultistepScheduler": ("multistep", _MULTISTEP),
    "UniPCMultistepScheduler": (
        "multistep",
        f"{_MULTISTEP} predict_x0 disable_corrector solver_p final_sigmas_type rescale_betas_zero_snr sigma_min "
        "sigma_max shift_terminal",
    ),
    "SASolverScheduler": (
        "multistep",
        f"{_MULTISTEP} predictor_order corrector_order tau_func lambda_min_clipped variance_type",
    ),
    "LCMScheduler": ("consistency", f"{_BETAS} original_inference_steps {_CLIP} set_alpha_to_one {_GRID} {_THRESHOLD} "
                     "timestep_scaling rescale_betas_zero_snr"),
    "TCDScheduler": ("consistency", f"{_BETAS} original_inference_steps {_CLIP} set_alpha_to_one {_GRID} {_THRESHOLD} "
                     "timestep_scaling rescale_betas_zero_snr"),
    "FlowMatchEulerDiscreteScheduler": ("flow", f"{_SHIFT} stochastic_sampling"),
    "FlowMatchHeunDiscreteScheduler": ("flow", "num_train_timesteps shift"),
    "FlowMatchLCMScheduler": ("flow", f"{_SHIFT} scale_factors upscale_mode"),
    "EDMEulerScheduler": ("edm", _EDM),
    "EDMDPMSolverMultistepScheduler": ("edm", f"{_EDM} solver_order algorithm_type solver_type lower_order_final euler_at_final"),
}  # fmt: skip
"""By class: how it lays out its levels, and the settings that it has."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "": {
        "num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "steps_offset": 0,
        "prediction_type": "epsilon", "timestep_spacing": "linspace", "solver_order": 2, "original_inference_steps": 50,
        "shift": 1.0, "base_shift": 0.5, "max_shift": 1.15, "rho": 7.0, "time_shift_type": "exponential",
        "sigma_schedule": "karras", "algorithm_type": "dpmsolver++", "solver_type": "midpoint", "flow_shift": 1.0,
        "set_alpha_to_one": True, "final_sigmas_type": "zero", "predict_x0": True, "lower_order_final": True,
        "interpolation_type": "linear", "timestep_type": "discrete", **dict.fromkeys(_FLAGS.split(), False),
    },
    "DDIMScheduler": {"timestep_spacing": "leading", "clip_sample": True},
    "DDPMScheduler": {"timestep_spacing": "leading", "clip_sample": True},
    "PNDMScheduler": {"timestep_spacing": "leading", "set_alpha_to_one": False},
    "HeunDiscreteScheduler": {"beta_start": 0.00085, "beta_end": 0.012},
    "KDPM2DiscreteScheduler": {"beta_start": 0.00085, "beta_end": 0.012},
    "KDPM2AncestralDiscreteScheduler": {"beta_start": 0.00085, "beta_end": 0.012},
    "DPMSolverSDEScheduler": {"beta_start": 0.00085, "beta_end": 0.012},
    "LCMScheduler": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    "TCDScheduler": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    "UniPCMultistepScheduler": {"solver_type": "bh2"},
    "SASolverScheduler": {"predictor_order": 2, "corrector_order": 2},
    "EDMEulerScheduler": {"sigma_min": 0.002, "sigma_max": 80.0},
    "EDMDPMSolverMultistepScheduler": {"sigma_min": 0.002, "sigma_max": 80.0},
}  # fmt: skip
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_BETWEEN: dict[str, tuple[float, float]] = {
    "num_train_timesteps": (2, 100_000), "beta_start": (0, 1), "beta_end": (0, 1), "original_inference_steps": (1, 100_000),
    "solver_order": (1, 4), "predictor_order": (1, 4), "corrector_order": (1, 4), "DEISMultistepScheduler.solver_order": (1, 3),
}  # fmt: skip
"""What is valid of numbers, of all others up to a billion either way."""
PREDICTION_TYPES = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0", "flow_prediction": "flow"}


def read_scheduler_config(config: Mapping[str, Any]) -> SchedulerConfig:
    """A scheduler_config.json, as the mapping it holds: `_class_name` and settings; what it leaves out has its default."""
    name = config.get("_class_name")
    if not isinstance(name, str) or name not in _CLASSES:
        raise Unknown("_class_name", name, _CLASSES)
    layout, settings = _CLASSES[name]
    asked = {key: value for key, value in config.items() if not key.startswith("_")}
    known = settings.split()
    values = _values(name, {key: asked[key] for key in asked if key in known})
    flow = layout == "flow" or bool(values.get("use_flow_sigmas"))
    process = _process(name, layout, values, flow)
    sampler, options = _sampler(name, values)
    spacing = _spacing(layout, values)
    no_effect = {key: f"{name} has no such setting" for key in asked if key not in known}
    no_effect |= {key: why for key, why in _idle(name, layout, values).items() if key in asked and key not in no_effect}
    differs = {
        key: why for key, why in _otherwise(name, layout, values, asked).items() if key in (*known, "_class_name")
    }
    return SchedulerConfig(
        process,
        "flow" if flow else _one_of(PREDICTION_TYPES, "prediction_type", values),
        sampler,
        spacing,
        options,
        no_effect,
        differs,
    )


def _values(name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting, as asked or by default, whose type it has; of those that are null by default only trained_betas is used."""
    defaults = {**_DEFAULTS[""], **_DEFAULTS.get(name, {})}
    for key, value in asked.items():
        default = defaults.get(key)
        unused = default is False or (key in ("base_shift", "max_shift") and not asked.get("use_dynamic_shifting"))
        if default is None or (value is None and unused):  # a flag that is null is off there too
            continue
        if type(value) is not type(default) and (type(default), type(value)) != (float, int):
            raise WrongType(key, value, _KINDS[type(default)])
        low, high = _BETWEEN.get(f"{name}.{key}", _BETWEEN.get(key, (-1e9, 1e9)))
        if not isinstance(value, bool | str) and not low <= value <= high:  # NaN fails here too
            raise OutOfRange(key, value, f"{_KINDS[type(default)]} from {low:g} to {high:g}")
    betas = asked.get("trained_betas")
    numbers = isinstance(betas, list | tuple) and all(type(each) in (int, float) and 0 < each < 1 for each in betas)
    if betas is not None and not (numbers and len(betas) > 1):
        raise WrongType("trained_betas", betas, "a list of at least two numbers strictly between 0 and 1, or null")
    return {**defaults, **asked}


def alphas_cumprod(values: Mapping[str, Any]) -> np.ndarray:
    """(T,) of a beta schedule: linear, scaled_linear, squaredcos_cap_v2, or `trained_betas`."""
    steps, start, end = (values[key] for key in ("num_train_timesteps", "beta_start", "beta_end"))
    if values.get("trained_betas") is not None:
        betas = np.asarray(values["trained_betas"], np.float64)
    else:
        t = np.arange(steps + 1) / steps
        bar = np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = _one_of(
            {
                "linear": np.linspace(start, end, steps),
                "scaled_linear": np.linspace(start**0.5, end**0.5, steps) ** 2,
                "squaredcos_cap_v2": np.minimum(1 - bar[1:] / bar[:-1], 0.999),
            },
            "beta_schedule",
            values,
        )
    products = np.cumprod(1.0 - betas)
    return zero_terminal_snr(products) if values.get("rescale_betas_zero_snr") else products


PURE = 2.0**-40
"""Stands for the last alphas_cumprod of DDIM, DDPM, LCM and TCD under rescale_betas_zero_snr, 0 there: a noise ratio of a million."""


def _process(name: str, layout: str, values: Mapping[str, Any], flow: bool) -> Process:
    if flow:
        fixed = 1.0 if values.get("use_dynamic_shifting") else values["shift" if layout == "flow" else "flow_shift"]
        return Process.flow(float(fixed))
    if layout == "edm":
        return Process.ve(values["sigma_min"], values["sigma_max"])
    alphas = alphas_cumprod(values)
    if layout in ("whole", "consistency") and values.get("rescale_betas_zero_snr"):
        alphas[-1] = PURE
    return Process.vp(alphas)


def _sampler(name: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    called = name
    if name in ("DPMSolverMultistepScheduler", "EDMDPMSolverMultistepScheduler"):
        algorithm = values["algorithm_type"].replace("deis", "dpmsolver++")
        order = {1: "DDIM", 2: "DPM++ 2M", 3: "DPM++ 3M"}
        orders = {"dpmsolver++": order, "sde-dpmsolver++": {1: "Euler a", 2: "DPM++ 2M SDE", 3: "DPM++ 3M SDE"}}
        if algorithm not in orders:
            sentence = f"{algorithm!r} solves for the noise estimate, which no sampler here does"
            raise Refusal("unknown", "algorithm_type", sentence, f"valid: {', '.join(orders)}")
        if values["solver_order"] not in order:
            raise Unknown("solver_order", values["solver_order"], map(str, order))
        called = orders[algorithm][values["solver_order"]]
        if (called, values["solver_type"]) == ("DPM++ 2M", "heun"):
            called = "RES 2M"
    elif name == "DPMSolverSinglestepScheduler":
        singly = {1: "DDIM", 2: "DPM++ 2S", 3: "DPM++ 3S"}
        if values["solver_order"] not in singly:
            raise Unknown("solver_order", values["solver_order"], map(str, singly))
        if values["algorithm_type"] != "dpmsolver++":
            sentence = f"{values['algorithm_type']!r} of single steps is no sampler here"
            raise Refusal(
                "unknown", "algorithm_type", sentence, "valid: dpmsolver++; of multiple steps also sde-dpmsolver++"
            )
        called = singly[values["solver_order"]]
    elif name == "FlowMatchEulerDiscreteScheduler" and values.get("stochastic_sampling"):
        called = "pingpong"
    elif name == "UniPCMultistepScheduler":
        called = {"bh1": "uni_pc"}.get(values["solver_type"], "uni_pc_bh2")
    named = resolve_names(called)
    options = dict(named.options)
    if "order" in dials(named.sampler) and name in ("DEISMultistepScheduler", "UniPCMultistepScheduler"):
        options["order"] = values["solver_order"]
    if "solver_type" in dials(named.sampler) and values["solver_type"] == "heun":
        options["solver_type"] = "heun"
    if name == "SASolverScheduler":
        options |= {key: values[key] for key in ("predictor_order", "corrector_order")} | _noisy(values)
    return named.sampler, options


def _noisy(values: Mapping[str, Any]) -> dict[str, float]:
    """Where SA-Solver draws noise: from timestep 200 to 800, or to the last one of a shorter training; nowhere before 200."""
    ratios = np.sqrt(1 / alphas_cumprod(values) - 1)
    halfway = np.sqrt(ratios[:-1] * ratios[1:])  # to the next timestep: on one, rounding would decide
    highest = halfway[800] if len(ratios) > 801 else 2 * ratios[-1]
    return {"s_tmin": float(halfway[199]), "s_tmax": float(highest)} if len(ratios) > 200 else {"eta": 0.0}


def _flagged(values: Mapping[str, Any]) -> str | None:
    """The setting that takes the place of timestep_spacing."""
    flags = ("use_flow_sigmas", "use_karras_sigmas", "use_lu_lambdas", "use_exponential_sigmas", "use_beta_sigmas")
    return next((flag for flag in flags if values.get(flag)), None)


def _spacing(layout: str, values: Mapping[str, Any]) -> Layout:
    flagged: dict[str | None, Layout] = {
        "use_flow_sigmas": "sgm_uniform",
        "use_karras_sigmas": "karras",
        "use_lu_lambdas": "log_snr",
        "use_exponential_sigmas": "exponential",
        "use_beta_sigmas": {"name": "beta", "over": "sigmas"},
    }
    flag = _flagged(values)
    chosen: Layout
    if layout == "consistency":
        chosen = {"name": "lcm", "original": values["original_inference_steps"]}
    elif layout == "edm":
        schedules = {"karras": {"name": "karras", "rho": float(values["rho"])}, "exponential": "exponential"}
        chosen = _one_of(schedules, "sigma_schedule", values)
    elif flag is not None:
        chosen = flagged[flag]
    elif layout == "flow":
        dynamic = {"name": "dynamic_shift", "base": values["base_shift"], "most": values["max_shift"]}
        chosen = dynamic if values.get("use_dynamic_shifting") else "normal"
    else:
        grids = {
            "linspace": {"whole": "linspace", "fine": "normal"}.get(layout, {"name": "sgm_uniform", "whole": True}),
            "leading": {"name": "ddim_uniform", "offset": values["steps_offset"], "spare": layout == "multistep"},
            "trailing": "trailing",
        }
        chosen = _one_of(grids, "timestep_spacing", values)
    return chosen


def _idle(name: str, layout: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Settings that the class has and does not use as the others are set."""
    idle: dict[str, str] = {}
    flag = _flagged(values)
    if layout == "consistency":
        idle |= dict.fromkeys(_GRID.split(), "the grid is made from original_inference_steps alone")
    elif flag is not None and (layout == "multistep" or values["timestep_spacing"] == "linspace"):
        idle |= dict.fromkeys(_GRID.split(), f"{flag} lays the levels out")
    elif values["timestep_spacing"] != "leading":
        idle["steps_offset"] = "it is added to the leading grid only"
    if not values.get("thresholding"):
        idle |= dict.fromkeys(_THRESHOLD.split()[1:], "thresholding is off")
    if not values.get("clip_sample"):
        idle["clip_sample_range"] = "clip_sample is off"
    if values.get("trained_betas") is not None or values.get("use_flow_sigmas"):
        why = "use_flow_sigmas replaces the schedule" if values.get("use_flow_sigmas") else "trained_betas are given"
        idle |= dict.fromkeys(("beta_start", "beta_end", "beta_schedule"), why)
    if layout == "multistep" and not values.get("use_flow_sigmas"):
        idle["flow_shift"] = "use_flow_sigmas is off"
    if layout == "flow" and values.get("use_dynamic_shifting"):
        idle["shift"] = "use_dynamic_shifting replaces it by the resolution's"
    elif layout == "flow":
        dynamic = ["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "time_shift_type"]
        idle |= dict.fromkeys(dynamic, "use_dynamic_shifting is off")
    if name == "DEISMultistepScheduler":
        idle |= {"algorithm_type": "it is always deis", "solver_type": "it is always logrho"}
    if name == "DPMSolverMultistepScheduler" and values["solver_type"] in ("logrho", "bh1", "bh2"):
        idle["solver_type"] = "it is silently replaced by midpoint"
    if name == "LCMScheduler":
        idle["set_alpha_to_one"] = "the last step returns the clean estimate"
    return idle


_WHOLE_CLASS = {
    "DEISMultistepScheduler": "ends at its lowest level, runs here end clean",
    "SASolverScheduler": "ends at its lowest level, runs here end clean; from order 2 on it shortens the second weight",
    "TCDScheduler": "ends at the level of timestep 0, runs here end clean",
    "LMSDiscreteScheduler": "integrates its polynomials to 1e-4, here they are integrated exactly",
    "DPMSolverSinglestepScheduler": "a step is an evaluation there, with others as its middle; here one of this order",
}
"""What a class does differently whatever its settings are."""


def _otherwise(name: str, layout: str, values: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
    """Settings that do something there which is left out, or done another way, here."""
    other: dict[str, str] = {}
    if name in _WHOLE_CLASS:
        other["_class_name"] = _WHOLE_CLASS[name]
    if name in ("DDIMScheduler", "PNDMScheduler") and values["timestep_spacing"] != "leading":
        other["timestep_spacing"] = (
            "steps to t - T // n there, which may be no timestep of the run; here to the next one"
        )
    if name == "PNDMScheduler" and values["prediction_type"] != "epsilon":
        other["prediction_type"] = "averages the outputs of several levels as they are, here the noise they stand for"
    if name.startswith(("DPMSolverMultistep", "EDMDPMSolver")) and values["solver_order"] == 3:
        other["solver_order"] = "order 3 takes half of the parabola's integral there, all of it here"
    if name == "UniPCMultistepScheduler" and values["solver_type"] == "bh1" and values["final_sigmas_type"] == "zero":
        other["solver_type"] = "bh1 divides infinity by infinity in the step to no noise there; here it ends clean"
    if name == "UniPCMultistepScheduler" and asked.get("lower_order_final") is False:
        other["lower_order_final"] = "divides zero by zero in the last step there; here orders fall towards the end"
    for key in ("sigma_min", "sigma_max"):
        if layout in ("fine", "multistep") and asked.get(key) is not None and _flagged(values):
            other[key] = f"narrows {_flagged(values)} there; here the training's whole range is spanned"
    for key in ("clip_sample", "thresholding"):
        if values.get(key):
            other[key] = "clamps the clean estimate, which is not affine and so in no table; latent models do without"
    if not values["set_alpha_to_one"] and layout == "whole":
        other["set_alpha_to_one"] = "the last step ends at the level of timestep 0 there, clean here"
    if not values["skip_prk_steps"]:
        other["skip_prk_steps"] = "its Runge-Kutta start is not run here"
    if values["final_sigmas_type"] == "sigma_min":
        other["final_sigmas_type"] = "runs end clean here, not at the lowest level"
    if layout == "fine" and _flagged(values) and values["timestep_spacing"] != "linspace":
        other["timestep_spacing"] = f"it narrows the range of {_flagged(values)} there; here the whole range is spanned"
    if layout == "flow" and not values.get("use_dynamic_shifting") and values["shift"] != 1.0:
        other["shift"] = "shifts the lowest time twice there, which moves the levels by less than 0.01; once here"
    if values.get("use_flow_sigmas"):
        other["use_flow_sigmas"] = "starts at t = 0.999 there, at t = 1 here"
    if layout == "flow" and values.get("use_dynamic_shifting"):
        other["use_dynamic_shifting"] = "set_timesteps alone goes down to 1 / 1000; here to 1 / n, as its pipelines do"
    if values.get("use_dynamic_shifting") and values.get("time_shift_type") == "linear":
        other["time_shift_type"] = "shifts by mu there, by e^mu here"
    for key in ("shift_terminal", "invert_sigmas", "euler_at_final", "tau_func"):
        if values.get(key):
            other[key] = "is not carried over"
    if not values["predict_x0"]:
        other["predict_x0"] = "solves for the noise estimate there, for the clean estimate here"
    if values.get("interpolation_type") == "log_linear" or values.get("timestep_type") == "continuous":
        other["interpolation_type" if values.get("interpolation_type") == "log_linear" else "timestep_type"] = (
            "is not carried over"
        )
    return other


def _one_of(valid: Mapping[str, Any], key: str, values: Mapping[str, Any]) -> Any:
    if values[key] not in valid:
        raise Unknown(key, values[key], valid)
    return valid[values[key]]
