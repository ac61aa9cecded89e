"""Our samplers against the formulas of k-diffusion and ComfyUI, written here over sigma with an exact denoiser.

Both sides get the same draws in the same order. Where ours differs on purpose, a test shows how and why.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, Mixture

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


def one_step(step):
    """A sampler of independent steps: step(x, a, b, noise), Euler's at the end."""

    def run(x, sigmas, noise):
        for a, b in pairwise(sigmas):
            x = D(x, a) if b == 0 else step(x, a, b, noise)
        return x

    return run


def churned(step, amount):
    def run(x, sigmas, noise):
        for a, b in pairwise(sigmas):
            hat = a * (1 + min(amount / (len(sigmas) - 1), math.sqrt(2) - 1)) if 0.5 <= a <= 5 else a
            x = x + math.sqrt(hat**2 - a**2) * noise() if hat > a else x
            x = D(x, hat) if b == 0 else step(x, hat, b, noise)
        return x

    return run


def heun(x, a, b, noise):
    ahead = x + (b - a) * slope(x, a)
    return x + (b - a) * (slope(x, a) + slope(ahead, b)) / 2


def dpm_2(x, a, b, noise):
    middle = math.sqrt(a * b)
    return x + (b - a) * slope(x + (middle - a) * slope(x, a), middle)


def dpm_2_ancestral(x, a, b, noise):
    down, up = ancestral(a, b)
    return dpm_2(x, a, down, noise) + up * noise()


def dpmpp_2s_ancestral(x, a, b, noise):
    down, up = ancestral(a, b)
    h = math.log(a / down)
    ahead = math.exp(-h / 2) * x - math.expm1(-h / 2) * D(x, a)
    return math.exp(-h) * x - math.expm1(-h) * D(ahead, a * math.exp(-h / 2)) + up * noise()


def dpmpp_sde(x, a, b, noise):
    middle = math.sqrt(a * b)
    down, up = ancestral(a, middle)
    ahead = down / a * x - math.expm1(math.log(down / a)) * D(x, a) + up * noise()
    down, up = ancestral(a, b)
    return down / a * x - math.expm1(math.log(down / a)) * D(ahead, middle) + up * noise()


def seeds(parts, phi_2):
    """SEEDS-2 (parts 1/2) and SEEDS-3 (1/3, 2/3) with eta 1, h_eta = 2 h."""

    def step(x, a, b, noise):
        h = math.log(a / b)
        first, past, path, done = D(x, a), None, 0.0, 0.0
        for part in (*parts, 1.0):
            r, s = part * h, a * math.exp(-part * h)
            path = path * math.exp(-(part - done) * h) + math.sqrt(-math.expm1(-2 * (part - done) * h)) * noise()
            mean = first
            if past is not None and (phi_2 or part < 1):
                second = (math.expm1(-2 * r) + 2 * r) / (2 * r) / (done / part)
                mean = first * -math.expm1(-2 * r) + (past - first) * second
            elif past is not None:
                mean = past * -math.expm1(-2 * r)
            mean = mean if past is not None else first * -math.expm1(-2 * r)
            now = s / a * math.exp(-r) * x + mean + s * path
            past, done = (D(now, s) if part < 1 else None), part
        return now

    return step


def res_singlestep_2(x, a, b, noise):
    h = math.log(a / b)
    phi_1 = -math.expm1(-h) / h
    phi_2 = (1 - phi_1) / h
    ahead = math.exp(-h / 2) * x - math.expm1(-h / 2) * D(x, a)
    return math.exp(-h) * x + h * ((phi_1 - 2 * phi_2) * D(x, a) + 2 * phi_2 * D(ahead, math.sqrt(a * b)))


def res_singlestep_3(x, a, b, noise):
    def phi(k, h):
        return -math.expm1(-h) / h if k == 1 else (1 / math.factorial(k - 1) - phi(k - 1, h)) / h

    h, middle, gamma = math.log(a / b), math.sqrt(a * b), 4.0
    d1 = D(x, a)
    d2 = D(math.exp(-h / 2) * x + h / 2 * phi(1, h / 2) * d1, middle)
    a32 = gamma / 2 * phi(2, h / 2) + 2 * phi(2, h)
    d3 = D(math.exp(-h) * x + h * ((phi(1, h) - a32) * d1 + a32 * d2), b)
    b2, b3 = gamma / (gamma / 2 + 1) * phi(2, h), 1 / (gamma / 2 + 1) * phi(2, h)
    return math.exp(-h) * x + h * ((phi(1, h) - b2 - b3) * d1 + b2 * d2 + b3 * d3)


@pytest.mark.parametrize(
    ("name", "step", "dials"),
    [
        ("euler", lambda x, a, b, noise: x + (b - a) * slope(x, a), {}),
        ("heun", heun, {}),
        ("dpm_2", dpm_2, {}),
        ("dpm_2_ancestral", dpm_2_ancestral, {}),
        ("dpmpp_2s_ancestral", dpmpp_2s_ancestral, {}),
        ("dpmpp_sde", dpmpp_sde, {}),
        ("seeds_2", seeds((0.5,), False), {}),
        ("seeds_2", seeds((0.5,), True), {"solver_type": "phi_2"}),
        ("seeds_3", seeds((1 / 3, 2 / 3), True), {}),
        ("res_singlestep", res_singlestep_2, {"order": 2}),
        ("res_singlestep", res_singlestep_3, {"order": 3}),
        ("lcm", lambda x, a, b, noise: D(x, a) + b * noise(), {}),
    ],
)
def test_a_one_step_method_equals_its_published_formula(name, step, dials):
    check(one_step(step), name, **dials)


@pytest.mark.parametrize(("name", "step"), [("heun", heun), ("dpm_2", dpm_2)])
def test_churn_is_that_of_karras(name, step):
    check(churned(step, 3.0), name, s_churn=3.0, s_tmin=0.5, s_tmax=5.0)


def test_heunpp2_equals_its_published_formula():
    def run(x, sigmas, noise):
        for i, (a, b) in enumerate(pairwise(sigmas)):
            d = slope(x, a)
            if sigmas[i + 1] > 0:
                ahead = x + (b - a) * d
                d2 = slope(ahead, b)
                if sigmas[i + 2] > 0:
                    c = sigmas[i + 2]
                    d3 = slope(ahead + (c - b) * d2, c)
                    w2, w3 = b / (3 * sigmas[0]), c / (3 * sigmas[0])
                    d = (1 - w2 - w3) * d + w2 * d2 + w3 * d3
                else:
                    w2 = b / (2 * sigmas[0])
                    d = (1 - w2) * d + w2 * d2
            x = x + (b - a) * d
        return x

    check(run, "heunpp2")


def multistep(step, value):
    """step(x, i, sigmas, past values, noise), Euler's at the end; past[0] is the newest."""

    def run(x, sigmas, noise):
        past = []
        for i, b in enumerate(sigmas[1:]):
            past.insert(0, value(x, sigmas[i]))
            x = D(x, sigmas[i]) if b == 0 else step(x, i, sigmas, past, noise)
        return x

    return run


def lms(order):
    def step(x, i, sigmas, past, noise):
        used = sigmas[max(0, i - order + 1) : i + 1][::-1]
        for j, at in enumerate(used):
            basis = np.poly1d([1.0])
            for other in used:
                basis = basis if other == at else basis * np.poly1d([1.0, -other]) / (at - other)
            whole = basis.integ()
            x = x + (whole(sigmas[i + 1]) - whole(sigmas[i])) * past[j]
        return x

    return step


def ipndm(order):
    weights = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12], 4: [55 / 24, -59 / 24, 37 / 24, -9 / 24]}

    def step(x, i, sigmas, past, noise):
        used = weights[min(order, i + 1)]
        return x + (sigmas[i + 1] - sigmas[i]) * sum(w * d for w, d in zip(used, past, strict=False))

    return step


def published_ipndm_v(x, i, sigmas, past, noise):
    """Third order as published, its bracket where it stands there."""
    h = [sigmas[k + 1] - sigmas[k] for k in range(i + 1)][::-1]
    if i == 0:
        return x + h[0] * past[0]
    if i == 1:
        return x + h[0] * ((2 + h[0] / h[1]) / 2 * past[0] - h[0] / h[1] / 2 * past[1])
    t = (1 - h[0] / (3 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]))) / 2
    one, two = (2 + h[0] / h[1]) / 2 + t, -h[0] / h[1] / 2 - (1 + h[1] / h[2]) * t
    return x + h[0] * (one * past[0] + two * past[1] + t * h[1] / h[2] * past[2])


def gradient_estimation(x, i, sigmas, past, noise):
    d = past[0] if i == 0 else 2 * past[0] - past[1]
    return x + (sigmas[i + 1] - sigmas[i]) * d


def dpmpp_2m_sde(solver_type, eta):
    def step(x, i, sigmas, past, noise):
        a, b = sigmas[i], sigmas[i + 1]
        h = math.log(a / b)
        gain = -math.expm1(-h * (1 + eta))
        x = b / a * math.exp(-h * eta) * x + gain * past[0]
        if i > 0:
            r = math.log(sigmas[i - 1] / a) / h
            x = x + (gain / 2 if solver_type == "midpoint" else 1 - gain / (h * (1 + eta))) / r * (past[0] - past[1])
        return x + b * math.sqrt(-math.expm1(-2 * h * eta)) * noise() if eta else x

    return step


def res_multistep(x, i, sigmas, past, noise):
    h = math.log(sigmas[i] / sigmas[i + 1])
    phi_1 = -math.expm1(-h) / h
    if i == 0:
        return math.exp(-h) * x + h * phi_1 * past[0]
    c2, phi_2 = -math.log(sigmas[i - 1] / sigmas[i]) / h, (phi_1 - 1) / -h
    return math.exp(-h) * x + h * ((phi_1 - phi_2 / c2) * past[0] + phi_2 / c2 * past[1])


def adams(f, lows, high, rate, nodes):
    """Weights of past values at `nodes` for the integral of e^(rate (u - high)), by numerical integration."""
    out = []
    for at in nodes:

        def basis(u, at=at):
            return math.exp(rate * (u - high)) * math.prod((u - o) / (at - o) for o in nodes if o != at)

        out.append(rate * scipy.integrate.quad(basis, lows, high, epsabs=1e-13)[0])
    return sum(w * v for w, v in zip(out, f, strict=True))


def sa_solver(pece, tau=1.0):
    """Predictor of order 3 and corrector of order 4, both by numerical integrals, with tau the same everywhere."""

    def run(x, sigmas, noise):
        past, logs, rate, start, drawn = [], [-math.log(s) for s in sigmas if s], 1 + tau**2, None, 0.0
        for i, (a, b) in enumerate(pairwise(sigmas)):
            past.insert(0, D(x, a))
            left = len(sigmas) - 1 - i
            used = min(4, i + 1, left + 1)
            if i > 0 and (b > 0 or pece):
                h = logs[i] - logs[i - 1]
                nodes = logs[i + 1 - used : i + 1][::-1]
                x = a / sigmas[i - 1] * math.exp(-(tau**2) * h) * start
                x = x + adams(past[:used], logs[i - 1], logs[i], rate, nodes) + drawn
                past[0] = D(x, a) if pece else past[0]
            if b == 0:
                return past[0]
            used, h = min(3, i + 1, left), logs[i + 1] - logs[i]
            drawn = b * math.sqrt(-math.expm1(-2 * tau**2 * h)) * noise()
            nodes, start = logs[i + 1 - used : i + 1][::-1], x
            x = b / a * math.exp(-(tau**2) * h) * x + adams(past[:used], logs[i], logs[i + 1], rate, nodes) + drawn
        return x

    return run


def er_sde(order):
    """The published sums of 200 points are replaced by integrals."""

    def phi(r):
        return r * (math.exp(r**0.3) + 10.0)

    def integral(f, low, high):
        return scipy.integrate.quad(f, low, high, epsabs=1e-13, epsrel=1e-12)[0]

    def step(x, i, sigmas, past, noise):
        a, b = sigmas[i], sigmas[i + 1]
        r = phi(b) / phi(a)
        x = r * x + (1 - r) * past[0]
        if order > 1 and i > 0:
            d = (past[0] - past[1]) / (a - sigmas[i - 1])
            x = x + (b - a + phi(b) * integral(lambda u: 1 / phi(u), b, a)) * d
        if order > 2 and i > 1:
            old = (past[1] - past[2]) / (sigmas[i - 1] - sigmas[i - 2])
            bend = (d - old) / ((a - sigmas[i - 2]) / 2)
            x = x + ((b - a) ** 2 / 2 + phi(b) * integral(lambda u: (u - a) / phi(u), b, a)) * bend
        return x + math.sqrt(b**2 - a**2 * r**2) * noise()

    return step


@pytest.mark.parametrize(
    ("name", "step", "value", "dials"),
    [
        *[("lms", lms(order), slope, {"order": order}) for order in (1, 2, 3, 4)],
        *[("ipndm_v", lms(order), slope, {"order": order}) for order in (1, 2, 3, 4)],
        *[("ipndm", ipndm(order), slope, {"order": order}) for order in (1, 2, 3, 4)],
        ("gradient_estimation", gradient_estimation, slope, {}),
        ("dpmpp_2m", dpmpp_2m_sde("midpoint", 0.0), D, {}),
        ("dpmpp_2m_sde", dpmpp_2m_sde("midpoint", 1.0), D, {}),
        ("dpmpp_2m_sde", dpmpp_2m_sde("midpoint", 0.4), D, {"eta": 0.4}),
        ("dpmpp_2m_sde_heun", dpmpp_2m_sde("heun", 1.0), D, {}),
        ("res_multistep", res_multistep, D, {}),
        *[("er_sde", er_sde(order), D, {"order": order}) for order in (1, 2, 3)],
    ],
)
def test_a_multistep_method_equals_its_published_formula(name, step, value, dials):
    check(multistep(step, value), name, **dials)


@pytest.mark.parametrize("pece", [False, True])
def test_sa_solver_equals_its_published_formula(pece):
    check(sa_solver(pece), "sa_solver_pece" if pece else "sa_solver")


def test_the_published_weights_of_ipndm_v_are_right_for_even_steps_only():
    even = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    check(multistep(published_ipndm_v, slope), "ipndm_v", sigmas=even, order=3)
    with pytest.raises(AssertionError):
        check(multistep(published_ipndm_v, slope), "ipndm_v", order=3)


@pytest.mark.parametrize("evaluations", [3, 7, 8, 9])
def test_dpm_fast_equals_its_published_formula_and_denoises_at_the_end(evaluations):
    def solve(x, a, b, order):
        h = math.log(a / b)
        eps = slope(x, a)
        if order == 1:
            return x - b * math.expm1(h) * eps
        s1 = a * math.exp(-h / order)
        e1 = slope(x - s1 * math.expm1(h / order) * eps, s1)
        if order == 2:
            return x - b * math.expm1(h) * e1
        s2, r = a * math.exp(-2 * h / 3), 2 * h / 3
        e2 = slope(x - s2 * math.expm1(r) * eps - s2 * 2 * (math.expm1(r) / r - 1) * (e1 - eps), s2)
        return x - b * math.expm1(h) * eps - b * 1.5 * (math.expm1(h) / h - 1) * (e2 - eps)

    def run(x, sigmas, noise):
        count = evaluations // 3 + 1
        orders = [3] * (count - 2) + [2, 1] if evaluations % 3 == 0 else [3] * (count - 1) + [evaluations % 3]
        grid = np.geomspace(sigmas[0], sigmas[-2], count + 1)
        for order, (a, b) in zip(orders, pairwise(grid), strict=True):
            x = solve(x, a, b, order)
        return D(x, sigmas[-2])

    check(run, "dpm_fast", sigmas=(*np.geomspace(12.0, 0.1, evaluations + 1), 0.0))


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
