"""Every sampler of the registry: order, exactness, variance, noise, guidance; one list feeds all tests."""

import inspect
import math

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, Mixture, raw_output
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.process import coefficients
from cadenza.runtime.solver.samplers import SAMPLERS
from cadenza.runtime.solver.spacings import SPACINGS

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
PROCESSES = {
    "vp": (Process.vp(ALPHAS), "epsilon"),
    "ve": (Process.ve(), "x0"),
    "flow": (Process.flow(), "flow"),
}
STOCHASTIC = [name for name in SAMPLERS if "noise" in inspect.signature(SAMPLERS[name].run).parameters]


def units(process, time):
    """(alpha, sigma) in the process's own units for what the model is told."""
    level = process.at(time)
    return level.alpha * level.scale, level.sigma * level.scale


def exact_model(process, prediction, mixture=LOPSIDED):
    def model(x, time, conditional):
        alpha, sigma = units(process, time)
        return raw_output(prediction, x, mixture.denoised(x, alpha, sigma), alpha, sigma)

    return model


def silent(k):
    raise AssertionError("a deterministic plan asked for noise")


def run(name, kind, levels, start, noise=silent, mixture=LOPSIDED, **dials):
    process, prediction = PROCESSES[kind]
    plan = compile_plan(name, levels, len(levels) - 1, process, prediction, **dials)
    return plan.run(exact_model(process, prediction, mixture), start, noise)


def eager(name, kind, levels, start, noise, **settings):
    """The sampler's own function on arrays, without a plan."""
    process, prediction = PROCESSES[kind]
    levels = [process.level(r) for r in levels]
    model = exact_model(process, prediction)
    counter = iter(range(10**6))

    def denoise(x, level):
        a, b = coefficients(prediction, level)
        own = x * level.scale
        return a * own + b * model(own, level.time, True)

    given = {"noise": lambda here, there: noise(next(counter)), "process": process}
    wanted = inspect.signature(SAMPLERS[name].run).parameters
    given = {k: v for k, v in given.items() if k in wanted}
    x = SAMPLERS[name].run(denoise, process.start_scale(levels[0]) * start, levels, **given, **settings)
    return x * levels[-1].scale


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_traced_plan_equals_the_function_it_was_traced_from(name, kind):
    rng = np.random.default_rng(1)
    start, draws = rng.standard_normal((3, 5)), rng.standard_normal((20, 3, 5))
    levels = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0]
    traced = run(name, kind, levels, start, lambda k: draws[k])
    np.testing.assert_allclose(traced, eager(name, kind, levels, start, lambda k: draws[k]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", [name for name, sampler in SAMPLERS.items() if sampler.order])
def test_the_order_of_convergence_is_at_least_what_is_claimed(name, kind):
    start = np.linspace(-2.5, 2.5, 41)
    settings = {"eta": 0.0} if "eta" in dials(name) else {}
    counts = (20, 40, 80)
    fine = run("dopri5", kind, np.geomspace(8, 0.15, 801), start)
    errors = [np.abs(run(name, kind, np.geomspace(8, 0.15, n + 1), start, **settings) - fine).mean() for n in counts]
    order = math.log2(errors[-2] / errors[-1])
    assert order >= SAMPLERS[name].order - 0.3, f"{name} on {kind}: order {order:.2f}, errors {errors}"


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_stochastic_sampler_ends_with_the_variance_of_the_data(name, kind):
    data = Mixture((1.0,), (0.3,), (0.8,))
    rng = np.random.default_rng(5)
    levels = np.append(np.geomspace(14, 0.02, 80), 0.0)
    if kind == "flow":
        levels = np.insert(levels, 0, np.inf)
    draws = np.random.default_rng(6)
    settings = {"eta": 1.0} if name not in ("tcd", "lcm") else {}
    result = run(
        name, kind, levels, rng.standard_normal(40000), lambda k: draws.standard_normal(40000), data, **settings
    )
    if name in ("lcm", "tcd"):  # these end on an estimate of the mean given little noise: all but its small variance
        assert 0.4 < result.std() < 0.9
    else:
        assert result.std() == pytest.approx(0.8, rel=0.05)
    assert result.mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_matters_exactly_when_the_plan_has_a_noise_column(name, kind):
    process, prediction = PROCESSES[kind]
    for settings in ({}, {"eta": 0.0} if "eta" in dials(name) else {}):
        plan = compile_plan(name, "sgm_uniform", 6, process, prediction, **settings)
        rng = np.random.default_rng(2)
        start, draws = rng.standard_normal(7), rng.standard_normal((2, 20, 7))
        one, two = (plan.run(exact_model(process, prediction), start, lambda k, d=d: d[k]) for d in draws)
        assert np.array_equal(one, two) ^ plan.stochastic
        assert plan.stochastic == bool(plan.noise_draws)


@pytest.mark.parametrize("name", SAMPLERS)
def test_guidance_of_one_costs_nothing_and_more_is_the_weighted_difference(name):
    process, prediction = PROCESSES["vp"]
    free, guided = (compile_plan(name, "karras", 5, process, prediction, guidance=g) for g in (1.0, 4.0))
    assert guided.evaluations == 2 * free.evaluations == 2 * free.rows
    other = Mixture((1.0,), (0.1,), (1.0,))
    models = {True: exact_model(process, prediction), False: exact_model(process, prediction, other)}

    def model(x, time, conditional):
        return models[conditional](x, time, conditional)

    def combined(x, time, conditional):
        assert conditional
        return models[False](x, time, False) + 4.0 * (models[True](x, time, True) - models[False](x, time, False))

    start, draws = np.random.default_rng(3).standard_normal(6), np.random.default_rng(4).standard_normal((20, 6))
    expected = free.run(combined, start, lambda k: draws[k])
    np.testing.assert_allclose(guided.run(model, start, lambda k: draws[k]), expected, atol=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("kind", PROCESSES)
def test_every_spacing_falls_to_clean_on_every_process(kind, spacing):
    process, prediction = PROCESSES[kind]
    for steps in (1, 2, 4, 9, 30):
        plan = compile_plan("euler", spacing, steps, process, prediction)
        assert plan.rows == steps
        assert np.all(np.diff(plan.time) < 0)


def test_known_grids_of_few_step_families():
    process, _ = PROCESSES["vp"]
    grids = {"lcm": [999, 759, 499, 259], "trailing": [999, 749, 499, 249], "ddim_uniform": [751, 501, 251, 1]}
    for spacing, grid in grids.items():
        np.testing.assert_allclose(compile_plan("ddim", spacing, 4, process, "epsilon").time, grid, atol=1e-9)
    times = [999, 749, 499, 249]
    np.testing.assert_allclose(compile_plan("lcm", {"times": times}, 4, process, "epsilon").time, times)
    flow = compile_plan("lcm", {"times": [1.0, 0.75, 0.5, 0.25, 0.0]}, 4, Process.flow(), "flow")
    np.testing.assert_allclose(flow.time, [1.0, 0.75, 0.5, 0.25])


def test_slots_are_given_up_when_they_are_needed_no_more():
    process, prediction = PROCESSES["ve"]
    slots = {name: compile_plan(name, "karras", 12, process, prediction).slots for name in SAMPLERS}
    assert slots["euler"] == 1
    assert slots["dpmpp_2m"] == 2
    assert slots["heun"] <= 3
    assert max(slots.values()) == slots["dopri5"] <= 9  # a slope is kept as the two symbols it is made of


def test_image_to_image_starts_from_the_image_at_the_right_level():
    for kind, (process, prediction) in PROCESSES.items():
        plan = compile_plan("euler", "sgm_uniform", 6, process, prediction, denoise=0.5)
        alpha, sigma = units(process, plan.time[0])
        first = plan.read[0] @ plan.head[:, :2]
        np.testing.assert_allclose(first, [sigma, alpha], atol=1e-12, err_msg=kind)


def test_where_the_mask_keeps_the_image_it_comes_back_unchanged():
    rng = np.random.default_rng(8)
    image, start, draws = rng.standard_normal((4, 4)), rng.standard_normal((4, 4)), rng.standard_normal((20, 4, 4))
    mask = (rng.random((4, 4)) < 0.5).astype(float)
    for name in SAMPLERS:
        for process, prediction in PROCESSES.values():
            plan = compile_plan(name, "sgm_uniform", 5, process, prediction)
            result = plan.run(exact_model(process, prediction), start, lambda k: draws[k], image, mask)
            np.testing.assert_allclose(result[mask == 0], image[mask == 0], atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("sampler", {"sampler": "eulerr"}),
        ("spacing", {"spacing": "karas"}),
        ("spacing", {"spacing": [3.0, 2.0]}),
        ("spacing", {"spacing": [3.0, 2.0, float("nan"), 1.0, 0.0]}),
        ("spacing", {"spacing": [1.0, 2.0, 0.5, 0.2, 0.0]}),
        ("steps", {"steps": 0}),
        ("steps", {"steps": 4.0}),
        ("prediction", {"prediction": "eps"}),
        ("guidance", {"guidance": float("nan")}),
        ("eta", {"eta": 0.5}),
        ("s_churn", {"s_churn": 1.0}),
        ("denoise", {"denoise": 0.0}),
    ],
)
def test_a_wrong_dial_is_refused_by_its_name(field, change):
    asked = {"sampler": "euler", "spacing": "karras", "steps": 4, "process": Process.ve(), "prediction": "x0"}
    with pytest.raises(Refusal) as refused:
        compile_plan(**{**asked, **change})
    assert refused.value.field == field
