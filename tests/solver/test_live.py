"""Samplers that choose their steps while they run: error control, the plan that they leave, the published formula."""

import math

import numpy as np
import pytest
from measured import PROCESSES, exact_model, silent

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, Mixture
from cadenza.runtime.solver.live import run_live

START = np.linspace(-2.5, 2.5, 41)


def adaptive(kind, start=START, noise=silent, spacing="karras", mixture=LOPSIDED, **options):
    process, prediction = PROCESSES[kind]
    model = exact_model(process, prediction, mixture)
    return run_live("dpm_adaptive", spacing, process, prediction, model, start, noise, **options)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("kind", PROCESSES)
def test_the_plan_of_a_live_run_gives_its_result_again(kind, order):
    draws = np.random.default_rng(2).standard_normal((400, 41))
    for eta in (0.0, 0.7):
        live, plan = adaptive(kind, noise=lambda k: draws[k], order=order, eta=eta)
        process, prediction = PROCESSES[kind]
        again = plan.run(exact_model(process, prediction), START, lambda k: draws[k])
        np.testing.assert_allclose(live, again, rtol=0, atol=1e-9)
        assert plan.stochastic == (eta > 0)
        assert np.all(plan.intervals[:, 0] > plan.intervals[:, 1])


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_a_tighter_tolerance_costs_more_and_errs_less(kind, order):
    """Over levels that end noisy, against a fine fixed-step run."""
    ratios = [8.0, 2.0, 0.15]
    process, prediction = PROCESSES[kind]
    fine = compile_plan("dopri5", np.geomspace(8, 0.15, 301), 300, process, prediction)
    exact = fine.run(exact_model(process, prediction), START, silent)
    runs = [adaptive(kind, spacing=ratios, order=order, rtol=t, atol=t / 5) for t in (0.1, 0.01, 0.001)]
    errors = [np.abs(latent - exact).mean() for latent, _ in runs]
    costs = [plan.evaluations for _, plan in runs]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert costs[0] < costs[1] < costs[2]


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_it_accepts_the_steps_that_k_diffusion_accepts(eta):
    """The same formulas over sigma and the same control: growth 1 + atan(error^(-1/3) - 1), accepted from 0.81.

    With fresh noise the exponent is 1 / 1.5, and no step goes below the end before its noise takes it up again.
    """
    draws = np.random.default_rng(5).standard_normal((100, 41))

    def eps(x, s):
        return (x - LOPSIDED.denoised(x, 1.0, s)) / s

    x, s, h, end, levels = 8.0 * START, -math.log(8.0), 0.05, -math.log(0.15), [8.0]
    previous = x
    while s < end - 1e-5:
        t = min(end, s + h)
        a, to = math.exp(-s), math.exp(-t)
        up = min(to, eta * math.sqrt(to**2 * (a**2 - to**2)) / a)
        b = max(math.sqrt(to**2 - up**2), 0.15) if eta else to
        step = math.log(a / b)
        e0, s1, s2, r2 = eps(x, a), a * math.exp(-step / 3), a * math.exp(-2 * step / 3), 2 * step / 3
        e1 = eps(x - s1 * math.expm1(step / 3) * e0, s1)
        e2 = eps(x - s2 * math.expm1(r2) * e0 - 2 * s2 * (math.expm1(r2) / r2 - 1) * (e1 - e0), s2)
        low = x - b * math.expm1(step) * (e0 + 1.5 * (e1 - e0))
        high = x - b * math.expm1(step) * e0 - 1.5 * b * (math.expm1(step) / step - 1) * (e2 - e0)
        allowed = np.maximum(0.0078, 0.05 * np.maximum(np.abs(low), np.abs(previous)))
        error = np.sqrt((((low - high) / allowed) ** 2).mean())
        growth = 1 + math.atan(1 / (error + 1e-8) ** (1 / (1.5 if eta else 3)) - 1)
        h *= growth
        if growth >= 0.81:
            x, previous, s = high + math.sqrt(max(to**2 - b**2, 0.0)) * draws[len(levels) - 1], low, t
            levels.append(to)
    latent, plan = adaptive("ve", spacing=[8.0, 0.15], eta=eta, noise=lambda k: draws[k])
    np.testing.assert_allclose(plan.time[::3], levels[:-1], rtol=1e-4)
    np.testing.assert_allclose(latent, x, rtol=1e-4, atol=1e-5)


def test_guidance_evaluates_the_unconditional_model_too():
    process, prediction = PROCESSES["ve"]
    models = {
        True: exact_model(process, prediction),
        False: exact_model(process, prediction, Mixture((1.0,), (0.1,), (1.0,))),
    }
    asked = []

    def model(x, time, conditional):
        asked.append(conditional)
        return models[conditional](x, time, conditional)

    latent, plan = run_live("dpm_adaptive", "karras", process, prediction, model, START, silent, guidance=3.0)
    assert plan.evaluations == 2 * plan.rows
    assert asked.count(False) == asked.count(True) >= plan.rows  # rejected stages are not in the plan
    np.testing.assert_allclose(plan.run(model, START, silent), latent, atol=1e-9)


def test_a_step_count_is_refused_by_saying_what_it_used():
    with pytest.raises(Refusal, match=r"cannot take 20; on the reference mixture it used \d+ evaluations") as refused:
        compile_plan("dpm_adaptive", "karras", 20, Process.ve(), "x0")
    assert refused.value.field == "steps"


@pytest.mark.parametrize(
    ("field", "options"), [("rtol", {"rtol": 0.0}), ("order", {"order": 4}), ("steps", {"steps": 20})]
)
def test_a_wrong_dial_of_a_live_sampler_is_refused_by_name(field, options):
    with pytest.raises(Refusal) as refused:
        adaptive("ve", **options)
    assert refused.value.field == field


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_the_fast_form_with_fresh_noise_asks_for_no_level_below_its_end(eta):
    plan = compile_plan("dpm_fast", np.geomspace(12, 0.1, 7), 6, Process.ve(), "x0", eta=eta)
    assert plan.time.min() >= 0.1 - 1e-12
    assert plan.stochastic


@pytest.mark.parametrize("kind", PROCESSES)
def test_a_spacing_of_one_level_is_one_step(kind):
    time = 1.0 if kind == "flow" else 0.5
    latent, plan = adaptive(kind, spacing={"times": [time]})
    assert plan.rows == 1
    assert np.isfinite(latent).all()


@pytest.mark.parametrize(
    "spacing", [[], {"times": []}, {"times": 5}, {"times": "x"}, {"times": [None]}, 5, None, [3.0]]
)
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(Refusal, match="spacing"):
        adaptive("ve", spacing=spacing)


@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_a_model_that_says_no_numbers_ends_the_run(kind):
    process, prediction = PROCESSES[kind]
    with pytest.raises(Refusal, match="not finite"):
        run_live("dpm_adaptive", "karras", process, prediction, lambda x, t, c: x * np.nan, START, silent)
