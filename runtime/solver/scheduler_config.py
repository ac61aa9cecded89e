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
from .scheduler_classes import BETWEEN, CLASSES, DEFAULTS
from .scheduler_differences import flagged, idle, otherwise

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


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
PREDICTION_TYPES = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0", "flow_prediction": "flow"}


def read_scheduler_config(config: Mapping[str, Any]) -> SchedulerConfig:
    """A scheduler_config.json, as the mapping it holds: `_class_name` and settings; what it leaves out has its default."""
    name = config.get("_class_name")
    if not isinstance(name, str) or name not in CLASSES:
        raise Unknown("_class_name", name, CLASSES)
    layout, settings = CLASSES[name]
    asked = {key: value for key, value in config.items() if not key.startswith("_")}
    known = settings.split()
    values = _values(name, {key: asked[key] for key in asked if key in known})
    flow = layout == "flow" or bool(values.get("use_flow_sigmas"))
    process = _process(name, layout, values, flow)
    sampler, options = _sampler(name, values)
    spacing = _spacing(layout, values)
    no_effect = {key: f"{name} has no such setting" for key in asked if key not in known}
    no_effect |= {key: why for key, why in idle(name, layout, values).items() if key in asked and key not in no_effect}
    differs = {
        key: why for key, why in otherwise(name, layout, values, asked).items() if key in (*known, "_class_name")
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
    defaults = {**DEFAULTS[""], **DEFAULTS.get(name, {})}
    for key, value in asked.items():
        default = defaults.get(key)
        unused = default is False or (key in ("base_shift", "max_shift") and not asked.get("use_dynamic_shifting"))
        if default is None or (value is None and unused):  # a flag that is null is off there too
            continue
        if type(value) is not type(default) and (type(default), type(value)) != (float, int):
            raise WrongType(key, value, _KINDS[type(default)])
        low, high = BETWEEN.get(f"{name}.{key}", BETWEEN.get(key, (-1e9, 1e9)))
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


def _spacing(layout: str, values: Mapping[str, Any]) -> Layout:
    by_flag: dict[str | None, Layout] = {
        "use_flow_sigmas": "sgm_uniform",
        "use_karras_sigmas": "karras",
        "use_lu_lambdas": "log_snr",
        "use_exponential_sigmas": "exponential",
        "use_beta_sigmas": {"name": "beta", "over": "sigmas"},
    }
    flag = flagged(values)
    chosen: Layout
    if layout == "consistency":
        chosen = {"name": "lcm", "original": values["original_inference_steps"]}
    elif layout == "edm":
        schedules = {"karras": {"name": "karras", "rho": float(values["rho"])}, "exponential": "exponential"}
        chosen = _one_of(schedules, "sigma_schedule", values)
    elif flag is not None:
        chosen = by_flag[flag]
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


def _one_of(valid: Mapping[str, Any], key: str, values: Mapping[str, Any]) -> Any:
    if values[key] not in valid:
        raise Unknown(key, values[key], valid)
    return valid[values[key]]
