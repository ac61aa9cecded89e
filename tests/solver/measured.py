"""What the tests of samplers share: exact models on every process, runs of plans, and the same functions run eagerly."""

import inspect
import math

import numpy as np

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, Mixture, exact_model
from cadenza.runtime.solver.process import coefficients
from cadenza.runtime.solver.samplers import SAMPLERS
from cadenza.runtime.solver.samplers.unipc import unic

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
PROCESSES = {
    "vp": (Process.vp(ALPHAS), "epsilon"),
    "ve": (Process.ve(), "x0"),
    "flow": (Process.flow(), "flow"),
    "trig": (Process.trig(), "v"),
}
ESTIMATING = ("lcm", "tcd", "pingpong", "scm")
"""Few-step samplers, which end on an estimate of the mean given little noise: all but its small variance."""
CFG_PP = [name for name in SAMPLERS if name.endswith("_cfg_pp")]
ENDLESS = ("flow", "trig")
"""Processes that start from pure noise, an infinite noise ratio."""
STOCHASTIC = [name for name in SAMPLERS if "noise" in inspect.signature(SAMPLERS[name].run).parameters]


def units(process, time):
    """(alpha, sigma) in the process's own units for what the model is told."""
    level = process.at(time)
    return level.alpha * level.scale, level.sigma * level.scale


def silent(k):
    raise AssertionError("a deterministic plan asked for noise")


def run(name, kind, levels, start, noise=silent, mixture=LOPSIDED, **dials):
    process, prediction = PROCESSES[kind]
    plan = compile_plan(name, levels, len(levels) - 1, process, prediction, **dials)
    return plan.run(exact_model(process, prediction, mixture), start, noise)


def eager(name, kind, levels, start, noise, guidance=1.0, models=None, corrector=None, **settings):
    """The sampler's own function on arrays, without a plan. `models` are the conditional and the unconditional one."""
    process, prediction = PROCESSES[kind]
    levels = [process.level(r) for r in levels]
    models = models or [exact_model(process, prediction)] * 2
    counter = iter(range(10**6))

    def estimates(x, level):
        a, b = coefficients(prediction, level)
        own = x * level.scale
        given, free = (a * own + b * model(own, level.time, model is models[0]) for model in models)
        return free + guidance * (given - free), free

    given = {
        "noise": lambda higher, lower: noise(next(counter)),
        "process": process,
        "keep": lambda value: value,
        "estimates": estimates,
    }
    function = SAMPLERS[name].run
    wanted = inspect.signature(function).parameters
    given = {k: v for k, v in given.items() if k in wanted}
    function = unic(function, SAMPLERS[name].order or 1, lambda value: value) if corrector else function
    start = process.start_scale(levels[0]) * start
    x = function(lambda x, level: estimates(x, level)[0], start, levels, **given, **settings)
    return x * levels[-1].scale


def moments(plan, process, prediction, mean, deviation):
    """(mean, deviation) of what a plan makes of Gaussian data, exactly: the model is then affine, so the result is a
    weighted sum of the start, every draw and a constant, and a run on unit vectors gives the weights."""
    exact = exact_model(process, prediction, Mixture((1.0,), (mean,), (deviation,)))
    unit = np.eye(plan.noise_draws + 2)

    def model(x, time, conditional):
        offset, one = exact(np.array([0.0, 1.0]), time, conditional)
        return (one - offset) * x + offset * unit[-1]

    weights = plan.run(model, unit[0], lambda k: unit[k + 1])
    return weights[-1], math.sqrt((weights[:-1] ** 2).sum())
