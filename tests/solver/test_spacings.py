"""Every spacing against an oracle: diffusers' schedulers, published numbers, or its formula written another way."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.levels import check_spacing, levels_of, options_of
from cadenza.runtime.solver.process import zero_terminal_snr
from cadenza.runtime.solver.scheduler_config import read_scheduler_config
from cadenza.runtime.solver.spacings import SPACINGS
from cadenza.runtime.solver.special import beta_quantile

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
VP, VE, FLOW = Process.vp(ALPHAS), Process.ve(), Process.flow()
PROCESSES = {"vp": VP, "ve": VE, "flow": FLOW, "trig": Process.trig()}
HIGH, LOW = (math.sqrt((1 - a) / a) for a in (ALPHAS[-1], ALPHAS[0]))
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "spacings.json").read_text(encoding="utf-8"))


def levels(spacing, steps, process=VP, denoise=1.0):
    return levels_of(check_spacing(spacing, steps), steps, process, denoise)


def ratios(spacing, steps, process=VP):
    """Noise ratios of a run without its clean end."""
    return np.array(
        [level.sigma / level.alpha if level.alpha else math.inf for level in levels(spacing, steps, process)[:-1]]
    )


def _case_id(case):
    config = case["config"]
    return "-".join(
        [config["_class_name"].removesuffix("Scheduler"), *map(str, list(config.values())[1:]), str(case["steps"])]
    )


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=_case_id)
def test_a_scheduler_config_visits_the_levels_that_diffusers_visits(case):
    read = read_scheduler_config(case["config"])
    ours = levels(read.spacing, case["steps"], read.process)
    times, sigmas = np.array(case["timesteps"]), case["sigmas"]
    flow = read.process.kind == "flow"
    shifted_twice = 0.01 if "shift" in read.differs else 0.0  # the difference that the reader tells of
    if "_class_name" in read.differs and sigmas is not None:
        sigmas = [*sigmas[:-1], 0.0]  # it ends at its lowest level, which the reader tells
    if sigmas is not None:
        np.testing.assert_allclose([level.sigma for level in ours], sigmas, rtol=3e-5, atol=1e-6 + shifted_twice)
    if read.process.kind == "ve":
        return  # their model is told log(sigma) / 4, a bundle's network does that itself
    if case["config"]["_class_name"] == "PNDMScheduler":
        times = np.delete(times, 1)  # it evaluates its second level twice
    told = np.array([level.time for level in ours[:-1]]) * (1000 if flow else 1)
    truncates = ("DPMSolverMultistepScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler")
    rounded = 1.0 if case["config"]["_class_name"] in truncates else 0.0  # of what they tell the model
    np.testing.assert_allclose(told, times, rtol=1e-5, atol=2e-3 + rounded + 1000 * shifted_twice)


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_spacing_starts_at_the_noisiest_level_and_falls_to_clean(spacing, kind):
    process = PROCESSES[kind]
    for steps in (1, 2, 3, 8, 50):
        run = levels(spacing, steps, process)
        sigmas = [level.sigma for level in run]
        assert len(run) == steps + 1
        assert sigmas[-1] == 0.0
        assert np.all(np.diff(sigmas) < 0)
        if spacing != "ddim_uniform":  # which leaves pure noise out by design
            assert run[0].sigma / max(run[0].alpha, 1e-300) >= {"vp": HIGH, "ve": 80.0, "flow": 1e300, "trig": 80.0}[
                kind
            ] * (1 - 1e-9)


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_spacing_gives_an_image_to_image_start_that_is_the_end_of_a_longer_run(spacing, kind):
    process = PROCESSES[kind]
    assert levels(spacing, 6, process, denoise=0.6) == levels(spacing, 10, process)[-7:]
    plan = compile_plan("euler", spacing, 6, process, "x0", denoise=0.6)
    assert plan.rows == 6
    first = plan.read[0] @ plan.head[:, :2]
    level = levels(spacing, 10, process)[4]
    np.testing.assert_allclose(first, [level.sigma * level.scale, level.alpha * level.scale], atol=1e-12)


def test_an_explicit_list_is_run_from_the_share_that_denoise_says():
    plan = compile_plan("euler", [9.0, 4.0, 2.0, 1.0, 0.0], 4, VE, "x0", denoise=0.5)
    np.testing.assert_allclose(plan.time, [2.0, 1.0])


@pytest.mark.parametrize("kind", PROCESSES)
def test_the_start_of_an_explicit_list_follows_denoise_without_a_jump(kind):
    process = PROCESSES[kind]
    run = levels("exponential" if kind == "ve" else "sgm_uniform", 4, process)
    ratios = [level.noise_ratio for level in run]

    def share(denoise):
        found = levels_of(check_spacing(ratios, 4), 4, process, denoise)
        assert len(found) == int(np.ceil(4 * denoise - 1e-9)) + 1
        return found[0].sigma / (found[0].alpha + found[0].sigma)

    starts = np.array([share(denoise) for denoise in np.linspace(0.01, 1, 100)])
    whole = [level.sigma / (level.alpha + level.sigma) for level in run]
    np.testing.assert_allclose(starts[[24, 49, 74, 99]], whole[3::-1], atol=1e-9)
    np.testing.assert_allclose(np.diff(starts), np.repeat(-np.diff(whole)[::-1], 25)[1:] / 25, atol=1e-9)


def test_karras_exponential_and_polyexponential_are_k_diffusions_formulas():
    ramp = np.linspace(0, 1, 12)
    for rho in (7.0, 3.0):
        expected = (HIGH ** (1 / rho) + ramp * (LOW ** (1 / rho) - HIGH ** (1 / rho))) ** rho
        np.testing.assert_allclose(ratios({"name": "karras", "rho": rho}, 12), expected, rtol=1e-9)
    np.testing.assert_allclose(ratios("exponential", 12), np.geomspace(HIGH, LOW, 12), rtol=1e-9)
    expected = np.exp(np.linspace(1, 0, 12) ** 2 * (np.log(HIGH) - np.log(LOW)) + np.log(LOW))
    np.testing.assert_allclose(ratios({"name": "polyexponential", "rho": 2.0}, 12), expected, rtol=1e-9)


def test_simple_normal_and_sgm_uniform_are_comfyuis():
    table = np.sqrt((1 - ALPHAS) / ALPHAS)
    simple = [table[-(1 + int(x * 1000 / 7))] for x in range(7)]
    np.testing.assert_allclose(ratios("simple", 7), simple, rtol=1e-9)
    for spacing, times in (("normal", np.linspace(999, 0, 7)), ("sgm_uniform", np.linspace(999, 0, 8)[:-1])):
        expected = np.exp(np.interp(times, np.arange(1000), np.log(table)))
        np.testing.assert_allclose(ratios(spacing, 7), expected, rtol=1e-9)
    np.testing.assert_allclose([level.time for level in levels("simple", 5, FLOW)], [1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


@pytest.mark.parametrize(
    ("a", "b"), [(0.6, 0.6), (0.5, 0.7), (2.0, 5.0), (1.0, 1.0), (0.1, 0.1), (10.0, 0.3), (10.0, 10.0)]
)
def test_the_beta_quantile_is_scipys(a, b):
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(beta_quantile(p, a, b), scipy.stats.beta.ppf(p, a, b), rtol=0, atol=1e-9)


def test_beta_is_at_the_quantiles_of_its_distribution():
    quantiles = scipy.stats.beta.ppf(1 - np.linspace(0, 1, 20, endpoint=False), 0.6, 0.6)
    times = [level.time for level in levels("beta", 20)[:-1]]
    np.testing.assert_array_equal(times, np.rint(quantiles * 999))
    skewed = levels({"name": "beta", "alpha": 0.5, "beta": 0.7}, 20)
    assert skewed[10].time < levels("beta", 20)[10].time


def test_linear_quadratic_joins_a_line_and_a_parabola_in_value_and_slope():
    sigma = ratios("linear_quadratic", 4000, VE) / 80.0
    fallen = 1 - sigma
    np.testing.assert_allclose(np.diff(fallen[:2000]), 0.025 / 2000, rtol=1e-6)
    np.testing.assert_allclose(np.diff(fallen[2000:], 3), 0.0, atol=1e-12)
    slopes = np.diff(fallen)
    assert slopes[2000] == pytest.approx(slopes[1998], rel=0.05)
    np.testing.assert_allclose(ratios("linear_quadratic", 4, VE) / 80, [1, 0.9875, 0.975, 0.725], rtol=1e-9)


def test_kl_optimal_cosine_and_log_snr_are_even_in_their_own_coordinate():
    np.testing.assert_allclose(np.diff(np.arctan(ratios("kl_optimal", 9)), 2), 0, atol=1e-12)
    np.testing.assert_allclose(ratios("cosine", 9), ratios("kl_optimal", 9), rtol=1e-9)
    np.testing.assert_allclose(np.diff(np.arctan(ratios({"name": "cosine", "shift": 3.0}, 9) / 3), 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(np.log(ratios("log_snr", 9)), 2), 0, atol=1e-9)
    flow = ratios("log_snr", 9, FLOW)
    assert math.isinf(flow[0])
    np.testing.assert_allclose(np.diff(np.log(flow[1:]), 2), 0, atol=1e-9)
    angles = np.arctan(ratios("cosine", 9, FLOW))
    np.testing.assert_allclose(np.diff(angles[1:], 2), 0, atol=1e-12)


def test_laplace_is_at_the_quantiles_of_its_distribution():
    x = np.linspace(0, 1, 11)
    expected = np.exp(scipy.stats.laplace.ppf(1 - x, loc=0.3, scale=0.5))
    ours = ratios({"name": "laplace", "mu": 0.3, "beta": 0.5}, 11)
    np.testing.assert_allclose(ours[1:-1], expected[1:-1], rtol=1e-4)


def test_align_your_steps_has_the_published_numbers_and_lies_between_them_elsewhere():
    sd1 = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152]  # as the authors' page rounds them
    sdxl = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113]
    np.testing.assert_allclose(ratios("ays", 10), sd1, rtol=5e-3)
    np.testing.assert_allclose(ratios({"name": "ays", "model": "sdxl"}, 10), sdxl, rtol=1.5e-2)
    svd = Process.ve(0.002, 700.0)
    expected = [700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034]
    np.testing.assert_allclose(ratios({"name": "ays", "model": "svd"}, 10, svd), expected, rtol=1e-9)
    twice = ratios("ays", 20)
    np.testing.assert_allclose(twice[::2], ratios("ays", 10), rtol=1e-9)
    np.testing.assert_allclose(twice[1:-1:2] ** 2, twice[:-2:2] * twice[2::2], rtol=1e-9)
    assert ratios("ays_32", 32)[1] == 11.23951352
    assert ratios({"name": "ays_32", "model": "sdxl"}, 32)[-2] == 0.02877334


def test_align_your_steps_told_to_the_model_are_the_published_timesteps():
    sd1 = [999, 850, 736, 645, 545, 455, 343, 233, 124, 24]
    told = [level.time for level in levels("ays", 10)[:-1]]
    np.testing.assert_allclose(told, sd1, atol=0.51)


def test_gits_has_the_published_numbers():
    np.testing.assert_allclose(ratios("gits", 4), [14.61464119, 2.36326075, 0.92192322, 0.36617002], rtol=1e-6)
    published = [14.61464119, 5.85520077, 2.84484982, 1.67050016, 1.08895338, 0.74807048, 0.50118381, 0.32104823,
                 0.19894916, 0.09824532]  # fmt: skip
    np.testing.assert_allclose(ratios("gits", 10), published, rtol=1e-6)
    assert len(ratios("gits", 33)) == 33


def test_flow_shift_multiplies_the_noise_ratio_and_dynamic_shift_grows_with_resolution():
    plain, shifted = ratios("sgm_uniform", 8, FLOW), ratios({"name": "flow_shift", "shift": 3.0}, 8, FLOW)
    np.testing.assert_allclose(shifted[1:], 3 * plain[1:], rtol=1e-9)
    np.testing.assert_allclose(ratios("sgm_uniform", 8, Process.flow(3.0))[1:], 3 * plain[1:], rtol=1e-9)
    for tokens, mu in ((256, 0.5), (4096, 1.15), (2176, 0.825)):
        dynamic = ratios({"name": "dynamic_shift", "tokens": tokens}, 8, FLOW)
        np.testing.assert_allclose(dynamic[1:], math.exp(mu) * plain[1:], rtol=1e-9)


def test_the_grids_of_lcm_and_tcd_take_every_nth_original_timestep():
    assert [level.time for level in levels("lcm", 4)[:-1]] == [999, 759, 499, 259]
    assert levels("tcd", 4) == levels("lcm", 4)
    assert [level.time for level in levels({"name": "lcm", "original": 1000}, 4)[:-1]] == [999, 749, 499, 249]
    with pytest.raises(Refusal, match="original"):
        levels("lcm", 51)


def test_zero_terminal_snr_ends_in_pure_noise_and_keeps_the_first_timestep():
    rescaled = zero_terminal_snr(ALPHAS)
    assert rescaled[0] == pytest.approx(ALPHAS[0], rel=1e-12)
    assert rescaled[-1] == 2.0**-24
    process = Process.vp(rescaled)
    plan = compile_plan("ddim", "trailing", 4, process, "v")
    assert plan.read[0] @ plan.head[:, 0] == pytest.approx(1.0, rel=1e-6)
    result = plan.run(lambda x, time, conditional: x, np.ones(3), lambda k: np.zeros(3))
    assert np.all(np.isfinite(result))


@pytest.mark.parametrize(
    ("field", "spacing"),
    [
        ("spacing", {"name": "karas"}),
        ("spacing.rho", {"name": "karras", "rho": 0.0}),
        ("spacing.rho", {"name": "karras", "rho": float("nan")}),
        ("spacing.rho", {"name": "karras", "rho": "7"}),
        ("spacing.sigma", {"name": "karras", "sigma": 7.0}),
        ("spacing.alpha", {"name": "beta", "alpha": 50.0}),
        ("spacing.over", {"name": "beta", "over": "sigma"}),
        ("spacing.model", {"name": "ays", "model": "flux"}),
        ("spacing.original", {"name": "lcm", "original": -1}),
        ("steps", {"name": "ays", "model": "svd"}),
        ("spacing", {"rho": 7.0}),
        ("spacing", 7),
    ],
)
def test_a_wrong_spacing_option_is_refused_by_its_name(field, spacing):
    with pytest.raises(Refusal) as refused:
        compile_plan("euler", spacing, 10, VP, "epsilon")
    assert refused.value.field == field


@pytest.mark.parametrize("spacing", SPACINGS)
def test_saying_a_spacings_defaults_changes_nothing(spacing):
    said = compile_plan("euler", {"name": spacing, **options_of(spacing)}, 5, VP, "epsilon")
    assert said.digest == compile_plan("euler", spacing, 5, VP, "epsilon").digest
