"""Multistep samplers against the formulas of k-diffusion and ComfyUI, written here over
sigma with an exact denoiser. Where ours differs on purpose, a test shows how and why."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
from published import D, check, slope


def multistep(step, value, ends_clean=True):
    """step(x, i, sigmas, past values, noise); past[0] is the newest. The end is Euler's, or without `ends_clean` a step."""

    def run(x, sigmas, noise):
        past = []
        for i, b in enumerate(sigmas[1:]):
            past.insert(0, value(x, sigmas[i]))
            x = D(x, sigmas[i]) if b == 0 and ends_clean else step(x, i, sigmas, past, noise)
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
    check(multistep(step, value, ends_clean=name != "lms"), name, **dials)  # k-diffusion's ends like any other step


@pytest.mark.parametrize("pece", [False, True])
def test_sa_solver_equals_its_published_formula(pece):
    check(sa_solver(pece), "sa_solver_pece" if pece else "sa_solver")


def test_the_published_weights_of_ipndm_v_are_right_for_even_steps_only():
    even = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    check(multistep(published_ipndm_v, slope), "ipndm_v", sigmas=even, order=3)
    with pytest.raises(AssertionError):
        check(multistep(published_ipndm_v, slope), "ipndm_v", order=3)
