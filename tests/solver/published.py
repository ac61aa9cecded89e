"""What the tests share that compare with the formulas of k-diffusion and ComfyUI: an exact denoiser over sigma, the draws that
both sides get in the same order, and our run beside theirs."""

import math

import numpy as np

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED

SIGMAS = [12.0, 7.5, 4.1, 2.6, 1.2, 0.55, 0.21, 0.07]
START = np.linspace(-2.5, 2.5, 21)
DRAWS = np.random.default_rng(11).standard_normal((60, 21))


def D(x, sigma):
    return LOPSIDED.denoised(x, 1.0, sigma)


def slope(x, sigma):
    return (x - D(x, sigma)) / sigma


def ours(name, sigmas=SIGMAS, process=None, **dials):
    process = process or Process.ve()
    plan = compile_plan(name, sigmas, len(sigmas) - 1, process, "x0", **dials)

    def model(x, time, conditional):
        level = process.at(time)
        return LOPSIDED.denoised(x, level.alpha * level.scale, level.sigma * level.scale)

    return plan.run(model, START, lambda k: DRAWS[k])


def check(theirs, name, rtol=1e-5, sigmas=(*SIGMAS, 0.0), **dials):
    """`theirs(x, sigmas, noise)` with draws in order; over levels that end clean."""
    drawn = iter(DRAWS)
    expected = theirs(sigmas[0] * START, list(sigmas), lambda: next(drawn))
    np.testing.assert_allclose(ours(name, sigmas, **dials), expected, rtol=rtol, atol=1e-9, err_msg=name)


def ancestral(a, b, eta=1.0):
    up = min(b, eta * math.sqrt(b**2 * (a**2 - b**2) / a**2))
    return math.sqrt(b**2 - up**2), up
