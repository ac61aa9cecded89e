"""What of a scheduler's settings did nothing in diffusers, and what is done another way here, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .scheduler_classes import GRID, THRESHOLD


def flagged(values: Mapping[str, Any]) -> str | None:
    """The setting that takes the place of timestep_spacing."""
    flags = ("use_flow_sigmas", "use_karras_sigmas", "use_lu_lambdas", "use_exponential_sigmas", "use_beta_sigmas")
    return next((flag for flag in flags if values.get(flag)), None)


def idle(name: str, layout: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Settings that the class has and does not use as the others are set."""
    unused: dict[str, str] = {}
    flag = flagged(values)
    if layout == "consistency":
        unused |= dict.fromkeys(GRID.split(), "the grid is made from original_inference_steps alone")
    elif flag is not None and (layout == "multistep" or values["timestep_spacing"] == "linspace"):
        unused |= dict.fromkeys(GRID.split(), f"{flag} lays the levels out")
    elif values["timestep_spacing"] != "leading":
        unused["steps_offset"] = "it is added to the leading grid only"
    if not values.get("thresholding"):
        unused |= dict.fromkeys(THRESHOLD.split()[1:], "thresholding is off")
    if not values.get("clip_sample"):
        unused["clip_sample_range"] = "clip_sample is off"
    if values.get("trained_betas") is not None or values.get("use_flow_sigmas"):
        why = "use_flow_sigmas replaces the schedule" if values.get("use_flow_sigmas") else "trained_betas are given"
        unused |= dict.fromkeys(("beta_start", "beta_end", "beta_schedule"), why)
    if layout == "multistep" and not values.get("use_flow_sigmas"):
        unused["flow_shift"] = "use_flow_sigmas is off"
    if layout == "flow" and values.get("use_dynamic_shifting"):
        unused["shift"] = "use_dynamic_shifting replaces it by the resolution's"
    elif layout == "flow":
        dynamic = ["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "time_shift_type"]
        unused |= dict.fromkeys(dynamic, "use_dynamic_shifting is off")
    if name == "DEISMultistepScheduler":
        unused |= {"algorithm_type": "it is always deis", "solver_type": "it is always logrho"}
    if name == "DPMSolverMultistepScheduler" and values["solver_type"] in ("logrho", "bh1", "bh2"):
        unused["solver_type"] = "it is silently replaced by midpoint"
    if name == "LCMScheduler":
        unused["set_alpha_to_one"] = "the last step returns the clean estimate"
    return unused


_WHOLE_CLASS = {
    "DEISMultistepScheduler": "ends at its lowest level, runs here end clean",
    "SASolverScheduler": "ends at its lowest level, runs here end clean; from order 2 on it shortens the second weight",
    "TCDScheduler": "ends at the level of timestep 0, runs here end clean",
    "LMSDiscreteScheduler": "integrates its polynomials to 1e-4, here they are integrated exactly",
    "DPMSolverSinglestepScheduler": "a step is an evaluation there, with others as its middle; here one of this order",
}
"""What a class does differently whatever its settings are."""


def otherwise(name: str, layout: str, values: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
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
        if layout in ("fine", "multistep") and asked.get(key) is not None and flagged(values):
            other[key] = f"narrows {flagged(values)} there; here the training's whole range is spanned"
    for key in ("clip_sample", "thresholding"):
        if values.get(key):
            other[key] = "clamps the clean estimate, which is not affine and so in no table; latent models do without"
    if not values["set_alpha_to_one"] and layout == "whole":
        other["set_alpha_to_one"] = "the last step ends at the level of timestep 0 there, clean here"
    if not values["skip_prk_steps"]:
        other["skip_prk_steps"] = "its Runge-Kutta start is not run here"
    if values["final_sigmas_type"] == "sigma_min":
        other["final_sigmas_type"] = "runs end clean here, not at the lowest level"
    if layout == "fine" and flagged(values) and values["timestep_spacing"] != "linspace":
        other["timestep_spacing"] = f"it narrows the range of {flagged(values)} there; here the whole range is spanned"
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
