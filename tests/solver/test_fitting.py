"""Learned numbers on the exact mixture: corrections and a spacing err less on seeds they have not seen."""

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, raw_output
from cadenza.runtime.solver.fitting import fit_corrections, fit_spacing, trajectory
from cadenza.runtime.solver.levels import check_spacing, levels_of

PROCESS = {"flow": (Process.flow(), "flow"), "ve": (Process.ve(0.02, 20.0), "x0")}


def clean(x, level):
    """The exact clean estimate of a latent in the sampler's frame."""
    return LOPSIDED.denoised(x, level.alpha, level.sigma)


def raw(process, prediction):
    def model(x, time, conditional):
        level = process.at(time)
        alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
        return raw_output(prediction, x, LOPSIDED.denoised(x, alpha, sigma), alpha, sigma)

    return model


def off(process, prediction, spacing, steps, start, exact, sampler="fitted", **dials):
    plan = compile_plan(sampler, spacing, steps, process, prediction, **dials)
    result = plan.run(raw(process, prediction), start, lambda k: np.zeros_like(start))
    return np.sqrt(np.mean((result - exact) ** 2))


@pytest.mark.parametrize("steps", [4, 6, 8])
@pytest.mark.parametrize("kind", PROCESS)
def test_fitted_corrections_at_least_halve_the_error_on_seeds_they_have_not_seen(kind, steps):
    process, prediction = PROCESS[kind]
    levels = levels_of(check_spacing("sgm_uniform" if kind == "flow" else "karras", steps), steps, process, 1.0)
    rng = np.random.default_rng(1)
    seen, unseen = rng.standard_normal((2, 1500))
    exact = trajectory(clean, process.start_scale(levels[0]) * seen, levels, process, 24)
    corrections = fit_corrections(clean, exact, levels)
    assert len(corrections) == 3 * steps
    target = trajectory(clean, process.start_scale(levels[0]) * unseen, levels, process, 24)[-1]
    spacing = "sgm_uniform" if kind == "flow" else "karras"
    plain = off(process, prediction, spacing, steps, unseen, target)
    mended = off(process, prediction, spacing, steps, unseen, target, corrections=corrections)
    assert mended < 0.5 * plain, f"{plain:.4f} to {mended:.4f}"


def test_without_corrections_it_is_dpmpp_2m():
    process, prediction = PROCESS["ve"]
    fitted, plain = (compile_plan(name, "karras", 6, process, prediction) for name in ("fitted", "dpmpp_2m"))
    assert fitted.digest == plain.digest
    zeros = compile_plan("fitted", "karras", 6, process, prediction, corrections=[0] * 18)
    assert zeros.digest == plain.digest


def test_the_exact_trajectory_is_the_solution_of_a_fine_plan():
    process, prediction = PROCESS["ve"]
    levels = levels_of(check_spacing("karras", 12), 12, process, 1.0)
    start = np.linspace(-2, 2, 21)
    states = trajectory(clean, process.start_scale(levels[0]) * start, levels, process, 30)
    plan = compile_plan("rk4", [level.sigma for level in levels], 12, process, prediction)
    np.testing.assert_allclose(states[-1], plan.run(raw(process, prediction), start, lambda k: start), atol=0.02)


@pytest.mark.parametrize("steps", [4, 8])
def test_a_fitted_spacing_errs_less_with_euler_than_the_usual_ones(steps):
    process, prediction = PROCESS["ve"]
    fine = levels_of(check_spacing("karras", 60), 60, process, 1.0)
    seen, unseen = np.random.default_rng(2).standard_normal((2, 1000))
    exact = trajectory(clean, process.start_scale(fine[0]) * seen, fine, process, 4)
    chosen = fit_spacing(clean, exact, fine, steps)
    assert len(chosen) == steps + 1
    assert (chosen[0], chosen[-1]) == (fine[0], fine[-1])
    target = trajectory(clean, process.start_scale(fine[0]) * unseen, fine, process, 4)[-1]
    ratios = [level.sigma for level in chosen]
    own = off(process, prediction, ratios, steps, unseen, target, "euler")
    others = [off(process, prediction, name, steps, unseen, target, "euler") for name in ("karras", "exponential")]
    assert own < 0.9 * min(others), f"{own:.4f}, others {others}"


@pytest.mark.parametrize("corrections", [[0.1] * 5, "0.1", [float("nan")] * 12])
def test_corrections_that_do_not_fit_the_steps_are_refused(corrections):
    process, prediction = PROCESS["ve"]
    with pytest.raises(Refusal) as refused:
        compile_plan("fitted", "karras", 4, process, prediction, corrections=corrections)
    assert refused.value.field == "corrections"
