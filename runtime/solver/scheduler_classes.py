"""Schedulers of diffusers 0.42 as tables: which settings each class has, what they are by default, and what is valid of them."""

from __future__ import annotations

from typing import Any

_BETAS = "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type"
GRID = "timestep_spacing steps_offset"
_CLIP = "clip_sample clip_sample_range"
THRESHOLD = "thresholding dynamic_thresholding_ratio sample_max_value"
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
_EDM = f"sigma_min sigma_max sigma_data sigma_schedule rho final_sigmas_type num_train_timesteps prediction_type {THRESHOLD}"
_MULTISTEP = f"{_BETAS} solver_order {THRESHOLD} algorithm_type solver_type lower_order_final {_SIGMAS} {_FLOW} {GRID}"

CLASSES: dict[str, tuple[str, str]] = {
    "DDIMScheduler": ("whole", f"{_BETAS} {_CLIP} set_alpha_to_one {GRID} {THRESHOLD} rescale_betas_zero_snr"),
    "DDPMScheduler": ("whole", f"{_BETAS} variance_type {_CLIP} {GRID} {THRESHOLD} rescale_betas_zero_snr"),
    "PNDMScheduler": ("whole", f"{_BETAS} skip_prk_steps set_alpha_to_one {GRID}"),
    "EulerDiscreteScheduler": (
        "fine",
        f"{_BETAS} interpolation_type {_SIGMAS} sigma_min sigma_max {GRID} timestep_type rescale_betas_zero_snr "
        "final_sigmas_type",
    ),
    "EulerAncestralDiscreteScheduler": ("fine", f"{_BETAS} {GRID} rescale_betas_zero_snr"),
    "HeunDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {_CLIP} {GRID}"),
    "LMSDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {GRID}"),
    "KDPM2DiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {GRID}"),
    "KDPM2AncestralDiscreteScheduler": ("fine", f"{_BETAS} {_SIGMAS} {GRID}"),
    "DPMSolverSDEScheduler": ("fine", f"{_BETAS} {_SIGMAS} {GRID} noise_sampler_seed"),
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
    "LCMScheduler": ("consistency", f"{_BETAS} original_inference_steps {_CLIP} set_alpha_to_one {GRID} {THRESHOLD} "
                     "timestep_scaling rescale_betas_zero_snr"),
    "TCDScheduler": ("consistency", f"{_BETAS} original_inference_steps {_CLIP} set_alpha_to_one {GRID} {THRESHOLD} "
                     "timestep_scaling rescale_betas_zero_snr"),
    "FlowMatchEulerDiscreteScheduler": ("flow", f"{_SHIFT} stochastic_sampling"),
    "FlowMatchHeunDiscreteScheduler": ("flow", "num_train_timesteps shift"),
    "FlowMatchLCMScheduler": ("flow", f"{_SHIFT} scale_factors upscale_mode"),
    "EDMEulerScheduler": ("edm", _EDM),
    "EDMDPMSolverMultistepScheduler": ("edm", f"{_EDM} solver_order algorithm_type solver_type lower_order_final euler_at_final"),
}  # fmt: skip
"""By class: how it lays out its levels, and the settings that it has."""

DEFAULTS: dict[str, dict[str, Any]] = {
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
BETWEEN: dict[str, tuple[float, float]] = {
    "num_train_timesteps": (2, 100_000), "beta_start": (0, 1), "beta_end": (0, 1), "original_inference_steps": (1, 100_000),
    "solver_order": (1, 4), "predictor_order": (1, 4), "corrector_order": (1, 4), "DEISMultistepScheduler.solver_order": (1, 3),
}  # fmt: skip
"""What is valid of numbers, of all others up to a billion either way."""
