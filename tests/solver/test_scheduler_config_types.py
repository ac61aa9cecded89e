"""A scheduler_config.json of wrong values: each is refused by its setting, whatever the class, and never by an exception."""

import json
import math
from contextlib import suppress

import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime import compile_plan
from cadenza.runtime.solver.scheduler_classes import CLASSES, DEFAULTS
from cadenza.runtime.solver.scheduler_config import read_scheduler_config

WRONG = [
    None,
    [1],
    {},
    "x",
    "0.1",
    True,
    -1,
    0,
    1.5,
    7,
    10**400,
    math.nan,
    math.inf,
    -1e300,
    [0.1, "x"],
    [],
    [2.0, 0.1],
]
OFTEN_NULL = {"trained_betas", "sigma_min", "sigma_max", "shift_terminal", "tau_func", "variance_type", "solver_p"}
"""What diffusers itself writes as null."""


def read(name, **settings):
    return read_scheduler_config({"_class_name": name, **settings})


def refusal(name, **settings):
    with pytest.raises(Refusal) as refused:
        read(name, **settings)
    return refused.value


@pytest.mark.parametrize("name", CLASSES)
def test_a_wrong_value_is_refused_or_of_no_effect(name):
    for key in CLASSES[name][1].split():
        for value in WRONG:
            with suppress(Refusal):
                read(name, **{key: value})


@pytest.mark.parametrize("name", CLASSES)
def test_a_value_of_another_type_than_its_default_is_refused_by_its_name(name):
    defaults = {**DEFAULTS[""], **DEFAULTS.get(name, {})}
    for key in CLASSES[name][1].split():
        if defaults.get(key) is not None:
            for value in ([1], {}, 1.5 if isinstance(defaults[key], str) else "1"):
                refused = refusal(name, **{key: value})
                assert (refused.code, refused.field) == ("type", key)


@pytest.mark.parametrize("name", CLASSES)
def test_a_configuration_of_defaults_means_what_an_empty_one_means(name):
    defaults = {**DEFAULTS[""], **DEFAULTS.get(name, {})}
    known = CLASSES[name][1].split()
    null = dict.fromkeys([key for key in known if key in OFTEN_NULL and key not in defaults])
    whole = read(name, **json.loads(json.dumps({key: defaults[key] for key in known if key in defaults} | null)))
    empty = read(name)
    for part in ("process", "prediction", "sampler", "spacing", "options"):
        assert getattr(whole, part) == getattr(empty, part)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("DDIMScheduler", "num_train_timesteps", 0),
        ("DDIMScheduler", "num_train_timesteps", 1.0),
        ("DDIMScheduler", "num_train_timesteps", 10**12),
        ("DDIMScheduler", "beta_start", "0.1"),
        ("DDIMScheduler", "beta_start", -1),
        ("DDIMScheduler", "beta_end", math.nan),
        ("DDIMScheduler", "beta_schedule", ["linear"]),
        ("DDIMScheduler", "trained_betas", "x"),
        ("DDIMScheduler", "trained_betas", []),
        ("DDIMScheduler", "trained_betas", [[0.1, 0.2]]),
        ("DDIMScheduler", "trained_betas", [0.1, 1.2]),
        ("DDIMScheduler", "steps_offset", None),
        ("EulerDiscreteScheduler", "use_karras_sigmas", "false"),
        ("DPMSolverMultistepScheduler", "algorithm_type", None),
        ("DPMSolverMultistepScheduler", "solver_order", [1]),
        ("DEISMultistepScheduler", "solver_order", 0),
        ("DEISMultistepScheduler", "solver_order", 4),
        ("DEISMultistepScheduler", "solver_order", 7),
        ("UniPCMultistepScheduler", "solver_order", 5),
        ("SASolverScheduler", "predictor_order", 5),
        ("SASolverScheduler", "corrector_order", 0),
        ("LCMScheduler", "original_inference_steps", None),
        ("LCMScheduler", "original_inference_steps", 0),
        ("FlowMatchEulerDiscreteScheduler", "shift", None),
        ("EDMEulerScheduler", "sigma_min", None),
        ("EDMEulerScheduler", "rho", "7"),
    ],
)
def test_a_value_that_no_run_could_be_made_by_is_refused_by_its_setting(name, field, value):
    assert refusal(name, **{field: value}).field == field


@pytest.mark.parametrize("name", [["DDIMScheduler"], {}, None, 5])
def test_a_class_that_is_no_name_is_refused(name):
    assert refusal(name).field == "_class_name"


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_order_that_is_taken_compiles(order):
    for name in ("UniPCMultistepScheduler", *(["DEISMultistepScheduler"] if order < 4 else [])):
        config = read(name, solver_order=order)
        assert config.options["order"] == order
        assert compile_plan(config.sampler, "karras", 8, config.process, config.prediction, **config.options).rows == 8


@pytest.mark.parametrize(
    ("timesteps", "noisy"),
    [(1000, True), (801, True), (802, True), (500, True), (300, True), (200, False), (100, False)],
)
def test_sa_solver_is_noisy_from_timestep_200_on_however_many_there_are(timesteps, noisy):
    config = read("SASolverScheduler", num_train_timesteps=timesteps)
    low, high = (config.options.get(key) for key in ("s_tmin", "s_tmax"))
    for time in range(timesteps):
        ratio = config.process.at(time).noise_ratio
        assert (noisy and low <= ratio <= high) == (200 <= time <= 800)
    assert (config.options.get("eta") == 0.0) == (not noisy)
    plan = compile_plan(config.sampler, "karras", 6, config.process, config.prediction, **config.options)
    assert (plan.draws[1:] >= 0).any() == noisy
