"""CFG++ forms against the formulas of k-diffusion and ComfyUI, written here over
sigma with an exact denoiser. Where ours differs on purpose, a test shows how and why."""

import math
from itertools import pairwise

import numpy as np
from published import DRAWS, SIGMAS, START, D, ancestral

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, Mixture


def guided(x, sigma, scale=5.0):
    """(guided, unconditional) estimates of two different models."""
    free = Mixture((1.0,), (0.1,), (1.0,)).denoised(x, 1.0, sigma)
    return free + scale * (D(x, sigma) - free), free


def ours_guided(name, process=None, **dials):
    process = process or Process.ve()
    plan = compile_plan(name, [*SIGMAS, 0.0], len(SIGMAS), process, "x0", guidance=5.0, **dials)
    free = Mixture((1.0,), (0.1,), (1.0,))

    def model(x, time, conditional):
        level = process.at(time)
        return (LOPSIDED if conditional else free).denoised(x, level.alpha * level.scale, level.sigma * level.scale)

    return plan.run(model, START, lambda k: DRAWS[k])


def test_cfg_pp_of_euler_and_its_ancestral_form_equal_the_published_formulas():
    for name, eta in (("euler_cfg_pp", 0.0), ("ddim_cfg_pp", 0.0), ("euler_ancestral_cfg_pp", 1.0)):
        drawn, x = iter(DRAWS), SIGMAS[0] * START
        for a, b in pairwise([*SIGMAS, 0.0]):
            denoised, free = guided(x, a)
            down, up = ancestral(a, b, eta) if b else (0.0, 0.0)
            x = denoised + down * (x - free) / a + (up * next(drawn) if up else 0.0)
        np.testing.assert_allclose(ours_guided(name), x, rtol=1e-9, err_msg=name)


def test_cfg_pp_of_dpmpp_2s_ancestral_equals_the_published_formula():
    drawn, x = iter(DRAWS), SIGMAS[0] * START
    for a, b in pairwise([*SIGMAS, 0.0]):
        denoised, free = guided(x, a)
        if b == 0:
            x = denoised
            break
        down, up = ancestral(a, b)
        h, moved = math.log(a / down), x + denoised - free
        ahead = math.exp(-h / 2) * moved - math.expm1(-h / 2) * denoised
        second = guided(ahead, a * math.exp(-h / 2))[0]
        x = math.exp(-h) * moved - math.expm1(-h) * second + up * next(drawn)
    np.testing.assert_allclose(ours_guided("dpmpp_2s_ancestral_cfg_pp"), x, rtol=1e-9)


def test_cfg_pp_of_gradient_estimation_equals_the_published_formula():
    x, old = SIGMAS[0] * START, None
    for a, b in pairwise([*SIGMAS, 0.0]):
        denoised, free = guided(x, a)
        d = (x - free) / a
        x = denoised + b * d + (0.0 if old is None or b == 0 else (b - a) * (d - old))
        old = d
    np.testing.assert_allclose(ours_guided("gradient_estimation_cfg_pp"), x, rtol=1e-9)


def test_cfg_pp_of_constant_estimates_is_the_same_for_every_multistep_form():
    """Where neither estimate changes, the history has nothing to say and every form makes Euler's steps. ComfyUI's forms of
    dpmpp_2m and res_multistep do not: they keep unconditional estimates as history, so that guidance itself looks like a
    change from step to step."""
    process, sigmas = Process.ve(), [*SIGMAS, 0.02]

    def model(x, time, conditional):
        return (0.8 if conditional else 0.1) * np.ones_like(x)  # guided by 2: 1.5

    def end(name):
        return compile_plan(name, sigmas, len(SIGMAS), process, "x0", guidance=2.0).run(model, START, None)

    for name in ("ddim_cfg_pp", "dpmpp_2m_cfg_pp", "res_multistep_cfg_pp"):
        np.testing.assert_allclose(end(name), end("euler_cfg_pp"), rtol=1e-9, err_msg=name)
    x, h_old = SIGMAS[0] * START, None
    for a, b in pairwise(sigmas):  # ComfyUI's dpmpp_2m_cfg_pp
        h = math.log(a / b)
        change = -math.expm1(-h) * h / (2 * h_old) * (1.5 - 0.1) if h_old else 0.0
        x, h_old = 1.5 + math.exp(-h) * (x - 0.1) + change, h
    assert np.abs(x - end("euler_cfg_pp")).min() > 0.3
