"""Every sampler of the registry: order, exactness, variance, noise, guidance; one list feeds all tests."""

import numpy as np
import pytest
from measured import (
    CFG_PP,
    ENDLESS,
    ESTIMATING,
    PROCESSES,
    STOCHASTIC,
    eager,
    exact_model,
    moments,
    run,
    units,
)

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import Mixture
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.measure import measured_order
from cadenza.runtime.solver.samplers import SAMPLERS
from cadenza.runtime.solver.spacings import SPACINGS


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_traced_plan_equals_the_function_it_was_traced_from(name, kind):
    rng = np.random.default_rng(1)
    start, draws = rng.standard_normal((3, 5)), rng.standard_normal((40, 3, 5))
    levels = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0]
    traced = run(name, kind, levels, start, lambda k: draws[k])
    np.testing.assert_allclose(traced, eager(name, kind, levels, start, lambda k: draws[k]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
@pytest.mark.parametrize("name", [name for name, sampler in SAMPLERS.items() if sampler.order])
def test_the_order_of_convergence_is_at_least_what_is_claimed(name, kind):
    assert measured_order(name, *PROCESSES[kind]) >= SAMPLERS[name].order - 0.3


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_stochastic_sampler_tends_to_the_mean_and_variance_of_the_data(name, kind):
    noisy = {"eta": 1.0} if "eta" in dials(name) and name not in ESTIMATING else {}
    noisy |= {"s_churn": 20.0} if "s_churn" in dials(name) else {}
    process, prediction = PROCESSES[kind]

    def ended(steps):
        ratios = np.append(np.geomspace(14, 0.02, steps - (kind in ENDLESS)), 0.0)
        ratios = np.insert(ratios, 0, np.inf) if kind in ENDLESS else ratios
        plan = compile_plan(name, ratios, steps, process, prediction, **noisy)
        return moments(plan, process, prediction, 0.3, 0.8)

    few, many = ended(40), ended(80)
    assert many[0] == pytest.approx(0.3, abs=0.03)
    if name in ESTIMATING:
        assert 0.4 < many[1] < 0.9
    else:
        assert abs(many[1] - 0.8) < max(0.65 * abs(few[1] - 0.8), 0.002), (few, many)
        assert many[1] == pytest.approx(0.8, rel=0.1)


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_matters_exactly_when_the_plan_has_a_noise_column(name, kind):
    process, prediction = PROCESSES[kind]
    for settings in ({}, {"eta": 0.0}, {"s_churn": 3.0}, {"s_noise": 0.0}):
        if not settings.keys() <= dials(name).keys():
            continue
        plan = compile_plan(name, "sgm_uniform", 6, process, prediction, **settings)
        rng = np.random.default_rng(2)
        start, draws = rng.standard_normal(7), rng.standard_normal((2, 60, 7))
        one, two = (plan.run(exact_model(process, prediction), start, lambda k, d=d: d[k]) for d in draws)
        assert np.array_equal(one, two) ^ plan.stochastic
        assert plan.stochastic == bool(plan.noise_draws)
        if settings in ({"eta": 0.0}, {"s_noise": 0.0}):
            assert not plan.stochastic or (name == "restart" and settings != {"s_noise": 0.0})


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in CFG_PP])
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

    start, draws = np.random.default_rng(3).standard_normal(6), np.random.default_rng(4).standard_normal((60, 6))
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
    assert slots["ipndm"] <= 5
    assert slots["dopri5"] <= 7  # the latent, five slopes and what the model reads
    assert max(slots.values()) <= 9


def test_image_to_image_starts_from_the_image_at_the_right_level():
    for kind, (process, prediction) in PROCESSES.items():
        plan = compile_plan("euler", "sgm_uniform", 6, process, prediction, denoise=0.5)
        alpha, sigma = units(process, plan.time[0])
        first = plan.read[0] @ plan.head[:, :2]
        np.testing.assert_allclose(first, [sigma, alpha], atol=1e-12, err_msg=kind)


def test_where_the_mask_keeps_the_image_it_comes_back_unchanged():
    rng = np.random.default_rng(8)
    image, start, draws = rng.standard_normal((4, 4)), rng.standard_normal((4, 4)), rng.standard_normal((40, 4, 4))
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
        ("s_churn", {"s_churn": -1.0}),
        ("s_noise", {"sampler": "lms", "s_noise": 1.0}),
        ("order", {"sampler": "lms", "order": 5}),
        ("iterations", {"sampler": "implicit_euler", "iterations": 2.5}),
        ("eta", {"sampler": "tcd", "eta": 1.5}),
        ("inner", {"sampler": "restart", "inner": "restart"}),
        ("corrector", {"corrector": "unik"}),
        ("corrector", {"sampler": "euler_ancestral", "corrector": "unic"}),
        ("corrector", {"sampler": "euler_cfg_pp", "corrector": "unic"}),
        ("corrector", {"sampler": "dpm_fast", "corrector": "unic"}),
        ("denoise", {"denoise": 0.0}),
    ],
)
def test_a_wrong_dial_is_refused_by_its_name(field, change):
    asked = {"sampler": "euler", "spacing": "karras", "steps": 4, "process": Process.ve(), "prediction": "x0"}
    with pytest.raises(Refusal) as refused:
        compile_plan(**{**asked, **change})
    assert refused.value.field == field
