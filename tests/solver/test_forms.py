"""What turns one sampler into another: the UniC corrector, restart, churn, noise scale; and what each evaluation is for."""

import math

import numpy as np
import pytest
from measured import CFG_PP, PROCESSES, eager, exact_model, moments, run, silent

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import Mixture
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.measure import measured_order
from cadenza.runtime.solver.samplers import SAMPLERS

START = np.linspace(-2.5, 2.5, 41)
OWN_CORRECTOR = ("uni_pc", "uni_pc_bh2", "sa_solver", "sa_solver_pece")


def quiet(name):
    """The dials that make a sampler deterministic."""
    return {"eta": 0.0} if "eta" in dials(name) else {}


def correctable(name):
    plan = compile_plan(name, "karras", 8, Process.ve(), "x0", **quiet(name))
    return not plan.stochastic and not plan.guided.any() and name != "dpm_fast" and SAMPLERS[name].order


@pytest.mark.parametrize("kind", ["ve", "flow"])
@pytest.mark.parametrize("name", [n for n in SAMPLERS if correctable(n) and n not in OWN_CORRECTOR])
def test_unic_raises_the_order_by_one_without_another_evaluation(name, kind):
    process, prediction = PROCESSES[kind]
    assert measured_order(name, process, prediction, corrector="unic") >= SAMPLERS[name].order + 1 - 0.3
    plain, corrected = (
        compile_plan(name, "karras", 12, process, prediction, **quiet(name), corrector=c) for c in (None, "unic")
    )
    assert plain.rows == corrected.rows
    assert plain.digest != corrected.digest


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", [n for n in SAMPLERS if correctable(n)])
def test_a_corrected_plan_equals_the_corrected_function(name, kind):
    levels = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0]
    traced = run(name, kind, levels, START, corrector="unic", **quiet(name))
    expected = eager(name, kind, levels, START, silent, corrector="unic", **quiet(name))
    np.testing.assert_allclose(traced, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", OWN_CORRECTOR[:3])
def test_unic_after_a_method_that_has_it_changes_nothing(name):
    settings = quiet(name)
    plain, corrected = (
        run(name, "ve", [9.0, 4.0, 1.5, 0.6, 0.2], START, corrector=c, **settings) for c in (None, "unic")
    )
    if name == "sa_solver":
        np.testing.assert_allclose(plain, corrected, rtol=1e-9)
    else:
        assert np.abs(plain - corrected).max() < 0.02  # UniPC's own shortcut of 1/2


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", CFG_PP)
def test_a_guided_cfg_pp_plan_equals_its_function(name, kind):
    process, prediction = PROCESSES[kind]
    models = [exact_model(process, prediction), exact_model(process, prediction, Mixture((1.0,), (0.1,), (1.0,)))]
    levels, draws = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0], np.random.default_rng(1).standard_normal((20, 41))
    plan = compile_plan(name, levels, 5, process, prediction, guidance=3.0)
    traced = plan.run(lambda x, time, given: models[0 if given else 1](x, time, given), START, lambda k: draws[k])
    expected = eager(name, kind, levels, START, lambda k: draws[k], guidance=3.0, models=models)
    np.testing.assert_allclose(traced, expected, rtol=0, atol=1e-10)
    assert plan.guided[0]


@pytest.mark.parametrize("name", CFG_PP)
def test_cfg_pp_where_both_estimates_agree_is_the_sampler_itself(name):
    levels, draws = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0], np.random.default_rng(1).standard_normal((20, 41))
    inner = name.removesuffix("_cfg_pp")
    pair = [run(n, "vp", levels, START, lambda k: draws[k], guidance=4.0) for n in (name, inner)]
    np.testing.assert_allclose(*pair, atol=1e-9)


EVALUATIONS = {
    "heun": (2, 1), "midpoint": (2, 1), "ralston": (2, 1), "fehlberg2": (3, 2), "bosh3": (3, 2), "rk4": (4, 3),
    "dopri5": (6, 5), "heunpp2": (3, 3), "implicit_euler": (3, 2), "implicit_midpoint": (3, 2),
    "gauss_legendre_2s": (7, 6), "gauss_legendre_3s": (16, 15), "radau_iia_2s": (5, 4), "radau_iia_3s": (13, 12),
    "plms": (1, -1), "dpm_2": (2, 1), "dpm_2_ancestral": (2, 1), "dpmpp_2s_ancestral": (2, 1), "dpmpp_sde": (2, 1),
    "res_singlestep": (3, 2), "seeds_2": (2, 1), "seeds_3": (3, 2), "sa_solver_pece": (2, 1),
    "dpmpp_2s_ancestral_cfg_pp": (3, 2),
}  # fmt: skip
"""(a, b): a n - b evaluations for n steps to the clean end, counted in the papers; CFG++ needs two, but none where nothing
uses the unconditional estimate: at a stage, and in the last step. All others: one a step."""


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "restart"])
def test_a_sampler_takes_the_evaluations_that_its_paper_says(name):
    per_step, less = EVALUATIONS.get(name, (2, 1) if name.endswith("_cfg_pp") else (1, 0))
    for n in (4, 12):
        plan = compile_plan(name, "karras", n, Process.ve(), "x0")
        assert plan.evaluations == per_step * n - less


@pytest.mark.parametrize("inner", [name for name in SAMPLERS if name != "restart"])
def test_restart_goes_up_and_down_again_with_any_sampler_inside(inner):
    levels = [9.0, 4.0, 2.0, 1.1, 0.5, 0.1, 0.0]
    plan = compile_plan("restart", levels, 6, Process.ve(), "x0", inner=inner, restarts=2)
    assert plan.noise_draws >= 2
    if inner not in ("dpm_fast", "dpmpp_2s_ancestral_cfg_pp"):  # which end with another order; share evaluations
        parts = [(levels[:6], 1), (levels[2:6], 2), (levels[5:], 1)]
        counts = [n * compile_plan(inner, part, len(part) - 1, Process.ve(), "x0").rows for part, n in parts]
        assert plan.rows == sum(counts)
    silent_run = compile_plan("restart", levels, 6, Process.ve(), "x0", inner=inner, restarts=0)
    assert silent_run.digest == compile_plan(inner, levels, 6, Process.ve(), "x0").digest


def test_s_noise_scales_each_draw():
    levels, start = [4.0, 1.5, 0.6, 0.2], np.zeros(3)
    plans = [compile_plan("euler_ancestral", levels, 3, Process.ve(), "x0", s_noise=s) for s in (1.0, 1.5)]
    one, more = (plan.run(lambda x, time, conditional: 0.0 * x, start, lambda k: np.ones(3)) for plan in plans)
    np.testing.assert_allclose(more, 1.5 * one)


def test_churn_starts_each_step_inside_its_range_higher():
    levels = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0]
    plan = compile_plan("euler", levels, 5, Process.ve(), "x0", s_churn=1.0, s_tmin=0.5, s_tmax=5.0)
    np.testing.assert_allclose(plan.time, [9.0, 4.0 * 1.2, 1.5 * 1.2, 0.6 * 1.2, 0.2])
    most = compile_plan("euler", levels, 5, Process.ve(), "x0", s_churn=100.0)
    np.testing.assert_allclose(most.time, math.sqrt(2) * np.array(levels[:5]))
    vp, prediction = PROCESSES["vp"]
    assert compile_plan("euler", "normal", 5, vp, prediction, s_churn=2.0).time[0] == 999.0  # there is nothing above


@pytest.mark.parametrize("kind", ["ve", "flow", "trig"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_data_that_is_one_point_is_noised_exactly_at_any_number_of_steps(name, kind):
    """A Gaussian of no width: the clean estimate is that point, which every method integrates exactly, so after three steps
    the latent has the mean and variance of its level; from pure noise on flow, from mean 0 on ve."""
    process, prediction = PROCESSES[kind]
    point = 0.0 if kind == "ve" else 0.7
    ratios = [20.0 if kind == "ve" else math.inf, 5.0, 1.3, 0.4]
    noisy = {"s_churn": 0.6} if "s_churn" in dials(name) else {}
    plan = compile_plan(name, ratios, 3, process, prediction, **noisy)
    level = process.level(ratios[-1])
    expected = level.alpha * level.scale * point, level.sigma * level.scale
    assert moments(plan, process, prediction, point, 0.0) == pytest.approx(expected, abs=1e-9)


def test_a_plan_is_compiled_once_for_the_same_arguments():
    asked = dict(sampler="deis", spacing="karras", steps=7, process=Process.ve(), prediction="x0", order=2)
    assert compile_plan(**asked) is compile_plan(**asked)
    assert compile_plan(**asked) is not compile_plan(**{**asked, "order": 3})


def test_noise_that_goes_up_again_is_told_from_noise_on_the_way_down():
    """Brownian noise is a function of its two levels, and a restart comes to the same levels again: its draws must not."""
    levels = [9.0, 4.0, 2.0, 1.1, 0.5, 0.1, 0.0]
    restarted = compile_plan("restart", levels, 6, Process.ve(), "x0", restarts=3)
    np.testing.assert_allclose(restarted.intervals, [[0.1, 2.0]] * 3)
    churned = compile_plan("euler", levels, 6, Process.ve(), "x0", s_churn=1.0)
    assert np.all(churned.intervals[:, 0] < churned.intervals[:, 1])
    ancestral = compile_plan("euler_ancestral", levels, 6, Process.ve(), "x0")
    assert np.all(ancestral.intervals[:, 0] > ancestral.intervals[:, 1])


@pytest.mark.parametrize("name", ["euler", "heun", "dpm_2", "heunpp2"])
@pytest.mark.parametrize("step", range(4))
def test_guidance_by_steps_acts_in_its_step_whatever_noise_raises_it_to(name, step):
    """Churn takes a step's first evaluation above its level, where the step before would be."""
    strengths = [7.0 if k == step else 1.0 for k in range(4)]
    plain, churned = (
        compile_plan(name, "karras", 4, Process.ve(), "x0", guidance=strengths, s_churn=churn) for churn in (0.0, 2.0)
    )
    assert plain.guided.any()
    assert plain.guided.tolist() == churned.guided.tolist()


@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("dpmpp_sde", {"r": 0.0}, "r"),
        ("lms", {"order": 2.5}, "order"),
        ("dpmpp_2m", {"spacing": [1e18, 1e17, 1.0, 0.0], "process": Process.flow()}, "spacing"),
    ],
)
def test_values_that_a_sampler_cannot_take_are_refused(name, options, refused):
    asked = {"spacing": "karras", "steps": 3, "process": Process.ve(), "prediction": "x0", **options}
    with pytest.raises(Refusal, match=refused):
        compile_plan(name, **asked)


def test_a_whole_number_written_as_a_real_is_that_number():
    two, real = (compile_plan("lms", "karras", 4, Process.ve(), "x0", order=order) for order in (2, 2.0))
    assert two.digest == real.digest


def test_er_sde_begins_at_nearly_pure_noise():
    plan = compile_plan("er_sde", {"times": [0.9999999999, 0.5]}, 2, Process.flow(), "flow")
    assert np.isfinite(plan.mix).all()
