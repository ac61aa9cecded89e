"""One-step samplers against the formulas of k-diffusion and ComfyUI, written here over
sigma with an exact denoiser. Where ours differs on purpose, a test shows how and why."""

import math
from itertools import pairwise

import numpy as np
import pytest
from published import D, ancestral, check, slope


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
