"""The one integral behind the multistep methods: exact for polynomials, of the right order from exact past values."""

import math

import numpy as np
import pytest
import scipy.integrate

from cadenza.runtime import Process
from cadenza.runtime.solver.analytic import LOPSIDED
from cadenza.runtime.solver.samplers.quadrature import from_data, from_noise, from_slope, moments, weights


@pytest.mark.parametrize("z", [-30.0, -5.0, -4.0, -1.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 0.5, 4.0, 4.01, 40.0])
def test_moments_are_the_integrals_of_an_exponential_times_a_power(z):
    for k, value in enumerate(moments(z, 5)):
        expected = scipy.integrate.quad(lambda s, k=k: math.exp(z * (s - 1)) * s**k, 0, 1, epsabs=0, epsrel=1e-12)[0]
        assert value == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("rate", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_weights_integrate_every_polynomial_of_their_degree_exactly(rate, count):
    rng = np.random.default_rng(count)
    start, end = 0.3, 1.1
    nodes = start - np.cumsum(rng.uniform(0.1, 0.9, count)) + 0.1
    found = weights(list(nodes), start, end, rate)
    for power in range(count):
        exact = scipy.integrate.quad(lambda u, p=power: math.exp(rate * (u - end)) * u**p, start, end)[0]
        assert np.dot(found, nodes**power) == pytest.approx(exact, rel=1e-9)


def exact_path(process, ratios):
    """x and the clean estimate along one exact trajectory of the ODE, at each noise ratio, to 1e-13."""

    def slope(log, x):
        level = process.level(math.exp(log))
        own = x * level.alpha * level.scale  # x over alpha does not depend on the process
        denoised = LOPSIDED.denoised(own, level.alpha * level.scale, level.sigma * level.scale)
        return x - denoised

    logs = np.log(ratios)
    solved = scipy.integrate.solve_ivp(
        slope, logs[[0, -1]], np.linspace(-2.0, 2.5, 9), t_eval=logs, rtol=1e-13, atol=1e-13, method="DOP853"
    )
    values = []
    for ratio, x in zip(ratios, solved.y.T, strict=True):
        level = process.level(ratio)
        latent = x * level.alpha
        own = latent * level.scale
        values.append((level, latent, LOPSIDED.denoised(own, level.alpha * level.scale, level.sigma * level.scale)))
    return values


VP = Process.vp(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))


def halved(x, here, there, past):
    """The published third-order step (DPM-Solver, k-diffusion, diffusers): half of the parabola's second-order term."""
    (a, d0), (b, d1), (c, d2) = ((level.log_snr, value) for level, value in past)
    h = there.log_snr - a
    first, second = (d0 - d1) / (a - b), (d1 - d2) / (b - c)
    phi_2 = math.expm1(-h) / h + 1
    slope, bend = h * (first + (first - second) * (a - b) / (a - c)), h * h * (first - second) / (a - c)
    fade = there.sigma / here.sigma
    return fade * x - there.alpha * math.expm1(-h) * d0 + there.alpha * (phi_2 * slope - (phi_2 / h - 0.5) * bend)


def step_order(step, process, order, kind):
    """log2 of the error of one step from exact past values as all steps are halved, minus one."""
    errors = []
    for h in (0.06, 0.03):
        ratios = [math.exp(-0.4 + h * (1 + 0.2 * k) * k) for k in range(order - 1, -1, -1)] + [math.exp(-0.4 - h)]
        path = exact_path(process, ratios)
        *known, (there, expected, _) = path
        here, x, _ = known[-1]
        value = {
            "data": lambda level, x, d: d,
            "noise": lambda level, x, d: (x - level.alpha * d) / level.sigma,
            "slope": lambda level, x, d: (x - d) / level.sigma,
        }[kind]
        past = [(level, value(level, x, d)) for level, x, d in reversed(known)]
        errors.append(np.abs(step(x, here, there, past) - expected).mean())
    return math.log2(errors[0] / errors[1]) - 1


@pytest.mark.parametrize(
    "process", [VP, Process.ve(), Process.flow(), Process.trig()], ids=["vp", "ve", "flow", "trig"]
)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (from_data, "data"),
        (from_noise, "noise"),
        (from_slope, "slope"),
        (lambda *args: from_slope(*args, log=True), "slope"),
    ],
    ids=["data", "noise", "slope", "log-slope"],
)
def test_a_step_from_exact_past_values_has_the_order_of_their_number(step, kind, order, process):
    assert step_order(step, process, order, kind) >= order - 0.3


def test_the_published_third_order_multistep_step_is_of_second_order():
    assert step_order(from_data, VP, 3, "data") > 2.7
    assert step_order(halved, VP, 3, "data") < 2.3
