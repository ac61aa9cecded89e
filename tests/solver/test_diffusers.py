"""Our samplers against diffusers' schedulers, stepped by hand in float64, and the traps in those schedulers.

diffusers keeps its tables in float32; the tests replace them by the same numbers in float64, so that the formulas are
compared and not the rounding. Both sides are given the same draws.
"""

import ast
import importlib
import inspect
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import LOPSIDED, raw_output
from cadenza.runtime.solver.samplers import dpmpp, quadrature

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and torch as they are imported
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own, of numpy 2
ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
VP = Process.vp(ALPHAS)
START = np.linspace(-2.5, 2.5, 41)
DRAWS = np.random.default_rng(3).standard_normal((40, 41))
TIMES = [950, 820, 640, 470, 310, 180, 60]
END = math.sqrt((1 - ALPHAS[10]) / ALPHAS[10])
"""Where the schedulers stop that do not bear a last level without noise."""
RATIOS = [math.sqrt((1 - ALPHAS[t]) / ALPHAS[t]) for t in TIMES]


def scheduler(file, name, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(f"diffusers.schedulers.scheduling_{file}")
        made = getattr(module, name)(trained_betas=1 - ALPHAS / np.append(1, ALPHAS[:-1]), **settings)
    exact = torch.tensor(ALPHAS)
    made.alphas_cumprod, made.alphas = exact, exact / torch.cat([torch.ones(1), exact[:-1]])
    made.betas = 1 - made.alphas
    return module, made


def epsilon(x, ratio):
    """The model's answer in variance-preserving units, where x = (x0 + ratio noise) / sqrt(1 + ratio^2)."""
    alpha = 1 / math.sqrt(1 + ratio * ratio)
    return raw_output("epsilon", x, LOPSIDED.denoised(x, alpha, alpha * ratio), alpha, alpha * ratio)


def stepped(monkeypatch, module, made, times, ratios, ve=False):
    """Runs a scheduler from START over the given timesteps; the noise it draws is DRAWS in order."""
    drawn = iter(DRAWS)
    if hasattr(module, "randn_tensor"):
        monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: torch.tensor(next(drawn))[None])
    x = torch.tensor(START)[None] * (math.sqrt(1 + ratios[0] ** 2) if ve else 1.0)
    for t, ratio in zip(times, ratios, strict=True):
        seen = x.numpy() / (math.sqrt(1 + ratio**2) if ve else 1.0)
        x = made.step(torch.tensor(epsilon(seen, ratio)), t, x, return_dict=False)[0].to(torch.float64)
    return x.numpy()[0]


def on_sigmas(monkeypatch, file, name, end=0.0, ve=False, **settings):
    """A scheduler that steps along `sigmas`, ours put in their place."""
    module, made = scheduler(file, name, **settings)
    made.set_timesteps(len(TIMES))
    made.timesteps = torch.tensor(TIMES)
    made.sigmas = torch.tensor([*RATIOS, end], dtype=torch.float64)
    return stepped(monkeypatch, module, made, made.timesteps, RATIOS, ve)


def ours(sampler, spacing=None, steps=7, ratio_end=0.0, **dials):
    """Our plan over the same levels, with the same draws."""
    plan = compile_plan(sampler, spacing or [*RATIOS, ratio_end], steps, VP, "epsilon", **dials)

    def model(x, time, conditional):
        level = VP.at(time)
        return epsilon(x, level.noise_ratio)

    return plan.run(model, START, lambda k: DRAWS[k])


@pytest.mark.parametrize(
    ("name", "dials", "file", "theirs", "settings"),
    [
        ("dpmpp_2m", {}, "dpmsolver_multistep", "DPMSolverMultistepScheduler", {}),
        (
            "dpmpp_2m",
            {},
            "dpmsolver_multistep",
            "DPMSolverMultistepScheduler",
            {"solver_order": 2, "solver_type": "midpoint"},
        ),
        ("res_multistep", {}, "dpmsolver_multistep", "DPMSolverMultistepScheduler", {"solver_type": "heun"}),
        (
            "dpmpp_2m_sde",
            {},
            "dpmsolver_multistep",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++"},
        ),
        (
            "dpmpp_2m_sde_heun",
            {},
            "dpmsolver_multistep",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
        ),
        (
            "euler_ancestral",
            {},
            "dpmsolver_multistep",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++", "solver_order": 1},
        ),
        ("deis", {"order": 1}, "deis_multistep", "DEISMultistepScheduler", {"solver_order": 1}),
        ("deis", {"order": 2}, "deis_multistep", "DEISMultistepScheduler", {"solver_order": 2}),
        ("deis", {"order": 3}, "deis_multistep", "DEISMultistepScheduler", {"solver_order": 3}),
        (
            "uni_pc",
            {"order": 1},
            "unipc_multistep",
            "UniPCMultistepScheduler",
            {"solver_order": 1, "solver_type": "bh1"},
        ),
        (
            "uni_pc",
            {"order": 2},
            "unipc_multistep",
            "UniPCMultistepScheduler",
            {"solver_order": 2, "solver_type": "bh1"},
        ),
        (
            "uni_pc",
            {"order": 3},
            "unipc_multistep",
            "UniPCMultistepScheduler",
            {"solver_order": 3, "solver_type": "bh1"},
        ),
        ("uni_pc_bh2", {"order": 2}, "unipc_multistep", "UniPCMultistepScheduler", {"solver_order": 2}),
        ("uni_pc_bh2", {"order": 3}, "unipc_multistep", "UniPCMultistepScheduler", {"solver_order": 3}),
        # from order 2 on diffusers shortens the second weight "like UniPC"; test_published_multistep has the exact integrals
        (
            "sa_solver",
            {"predictor_order": 1, "corrector_order": 1},
            "sasolver",
            "SASolverScheduler",
            {"predictor_order": 1, "corrector_order": 1, "tau_func": lambda t: 1.0},
        ),
    ],
)
def test_a_multistep_sampler_equals_diffusers(monkeypatch, name, dials, file, theirs, settings):
    end = 0.0 if file == "dpmsolver_multistep" else END
    settings = settings | ({"final_sigmas_type": "zero"} if end == 0 else {})
    settings = settings | ({"lower_order_final": False} if file in ("deis_multistep", "sasolver") else {})
    expected = on_sigmas(monkeypatch, file, theirs, end, **settings)
    np.testing.assert_allclose(ours(name, ratio_end=end, **dials), expected, rtol=1e-5)


def test_diffusers_halves_the_parabola_of_the_third_order_multistep_and_ours_does_not(monkeypatch):
    """Its DPM-Solver++ 3M adds (phi_2 / h - 1/2) D2 where the integral of the parabola has twice that: with the term
    halved in ours too, they are equal. test_quadrature measures the order of both."""
    settings = {"solver_order": 3, "solver_type": "heun", "lower_order_final": False, "final_sigmas_type": "sigma_min"}
    theirs = on_sigmas(monkeypatch, "dpmsolver_multistep", "DPMSolverMultistepScheduler", END, **settings)
    exact = ours("dpmpp_3m_sde", ratio_end=END, eta=0.0)
    assert np.abs(theirs - exact).max() > 1e-4

    def halved(x, here, there, past, eta):
        whole = quadrature.from_data(x, here, there, past, eta)
        if len(past) < 3:
            return whole
        (a, d0), (b, d1), (c, d2) = ((level.log_snr, value) for level, value in past)
        h = there.log_snr - a
        bend = ((d0 - d1) / (a - b) - (d1 - d2) / (b - c)) / (a - c)
        return whole - 0.5 * there.alpha * h * h * (1 - 2 * (1 - -math.expm1(-h) / h) / h) * bend

    monkeypatch.setattr(dpmpp, "from_data", halved)
    np.testing.assert_allclose(ours("dpmpp_3m_sde", ratio_end=END + 1e-12, eta=0.0), theirs, rtol=1e-5)


def test_lms_equals_diffusers(monkeypatch):
    module, made = scheduler("lms_discrete", "LMSDiscreteScheduler")
    made.set_timesteps(len(TIMES))
    made.timesteps, made.sigmas = torch.tensor(TIMES), torch.tensor([*RATIOS, END], dtype=torch.float64)
    made.is_scale_input_called = True
    expected = stepped(monkeypatch, module, made, made.timesteps, RATIOS, ve=True) / math.sqrt(1 + END**2)
    # diffusers integrates numerically, to 1e-4
    np.testing.assert_allclose(ours("lms", ratio_end=END), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_equals_diffusers_where_the_steps_divide_the_training_steps(monkeypatch, eta):
    module, made = scheduler("ddim", "DDIMScheduler", clip_sample=False, set_alpha_to_one=True, steps_offset=1)
    made.set_timesteps(5)
    made.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    step = made.step
    made.step = lambda *args, **kwargs: step(*args, eta=eta, **kwargs)
    times = made.timesteps.tolist()
    expected = stepped(monkeypatch, module, made, times, [VP.at(t).noise_ratio for t in times])
    np.testing.assert_allclose(ours("ddim", {"times": times}, 5, eta=eta), expected, rtol=1e-5, atol=1e-7)


def test_ddpm_equals_diffusers(monkeypatch):
    module, made = scheduler("ddpm", "DDPMScheduler", clip_sample=False, timestep_spacing="trailing")
    made.set_timesteps(8)
    made.one = torch.tensor(1.0, dtype=torch.float64)
    times = made.timesteps.tolist()
    expected = stepped(monkeypatch, module, made, times, [VP.at(t).noise_ratio for t in times])
    np.testing.assert_allclose(ours("ddpm", {"times": times}, 8), expected, rtol=1e-5, atol=1e-7)


def test_plms_equals_diffusers(monkeypatch):
    module, made = scheduler("pndm", "PNDMScheduler", skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    made.set_timesteps(10)
    made.final_alpha_cumprod = torch.tensor(ALPHAS[0])
    times = made.timesteps.tolist()
    assert times[1] == times[2]  # the second evaluation of its first step
    expected = stepped(monkeypatch, module, made, times, [VP.at(t).noise_ratio for t in times])
    grid = {"times": [*times[:1], *times[2:], 0]}
    np.testing.assert_allclose(ours("plms", grid, 10), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lcm_equals_diffusers(monkeypatch, steps):
    module, made = scheduler("lcm", "LCMScheduler", clip_sample=False)
    made.set_timesteps(steps)
    times = made.timesteps.tolist()
    expected = stepped(monkeypatch, module, made, made.timesteps, [VP.at(t).noise_ratio for t in times])
    np.testing.assert_allclose(ours("lcm", {"times": times}, steps, boundary=True), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(compile_plan("lcm", "lcm", steps, VP, "epsilon").time, times)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_tcd_equals_diffusers(monkeypatch, eta):
    module, made = scheduler("tcd", "TCDScheduler", clip_sample=False)
    made.set_timesteps(4)
    times = made.timesteps.tolist()
    step = made.step
    made.step = lambda *args, **kwargs: step(*args, eta=eta, **kwargs)
    expected = stepped(monkeypatch, module, made, made.timesteps, [VP.at(t).noise_ratio for t in times])
    np.testing.assert_allclose(ours("tcd", {"times": [*times, 0]}, 4, eta=eta), expected, rtol=1e-5, atol=1e-7)


def test_scm_equals_diffusers(monkeypatch):
    module = importlib.import_module("diffusers.schedulers.scheduling_scm")
    made, times = module.SCMScheduler(sigma_data=1.0), [1.57080, 1.3, 0.0]
    made.set_timesteps(2, timesteps=times, max_timesteps=None)
    drawn, x = iter(DRAWS), torch.tensor(START)
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: torch.tensor(next(drawn)))

    def model(x, time, conditional=True):
        alpha, sigma = (0.0, 1.0) if time > 1.57 else (math.cos(time), math.sin(time))
        return raw_output("v", x, LOPSIDED.denoised(x, alpha, sigma), alpha, sigma)

    for t in times[:2]:
        x = made.step(torch.tensor(model(x.numpy(), t)), t, x, return_dict=False)[0]
    plan = compile_plan("scm", {"times": times}, 2, Process.trig(), "v")
    # its timesteps are float32
    np.testing.assert_allclose(plan.run(model, START, lambda k: DRAWS[k]), x.numpy(), rtol=1e-4, atol=1e-5)


def test_euler_equals_diffusers_on_flow():
    module = importlib.import_module("diffusers.schedulers.scheduling_flow_match_euler_discrete")
    made, process = module.FlowMatchEulerDiscreteScheduler(shift=3.0), Process.flow(shift=3.0)
    made.set_timesteps(6)
    made.sigmas = made.sigmas.double()
    sigmas, x = made.sigmas.tolist(), torch.tensor(START)

    def model(x, time, conditional=True):
        return raw_output("flow", x, LOPSIDED.denoised(x, 1 - time, time), 1 - time, time)

    for t, sigma in zip(made.timesteps, sigmas, strict=False):
        x = made.step(torch.tensor(model(x.numpy(), sigma)), t, x, return_dict=False)[0].double()
    plan = compile_plan("euler", {"times": sigmas}, 6, process, "flow")
    np.testing.assert_allclose(plan.run(model, START, None), x.numpy(), rtol=1e-5, atol=1e-6)


def test_trap_lcm_and_tcd_ignore_timestep_spacing():
    """The setting is in their configurations and changes nothing; ours has spacings that do what their names say."""
    for file, name in (("lcm", "LCMScheduler"), ("tcd", "TCDScheduler")):
        grids = []
        for spacing in ("leading", "trailing", "linspace"):
            _, made = scheduler(file, name, timestep_spacing=spacing)
            made.set_timesteps(4)
            grids.append(made.timesteps.tolist())
        assert grids[0] == grids[1] == grids[2]
    times = [tuple(compile_plan("lcm", s, 4, VP, "epsilon").time) for s in ("leading", "trailing", "linspace")]
    assert len(set(times)) == 3


def test_trap_pipelines_override_the_eta_of_tcd_with_zero():
    """TCD's step has eta 0.3; the pipelines hand every scheduler that takes eta their own default, 0: no noise. Read from
    the pipeline's source, as importing it needs transformers. Ours keeps the sampler's default unless eta is given."""
    module, made = scheduler("tcd", "TCDScheduler")
    assert inspect.signature(made.step).parameters["eta"].default == 0.3
    folder = Path(inspect.getfile(module)).parents[1] / "pipelines" / "stable_diffusion"
    source = ast.parse((folder / "pipeline_stable_diffusion.py").read_text(encoding="utf-8"))
    call = next(n for n in ast.walk(source) if isinstance(n, ast.FunctionDef) and n.name == "__call__")
    defaults = dict(zip([a.arg for a in call.args.args][-len(call.args.defaults) :], call.args.defaults, strict=True))
    assert defaults["eta"].value == 0.0
    assert compile_plan("tcd", "lcm", 4, VP, "epsilon").stochastic
    assert not compile_plan("tcd", "lcm", 4, VP, "epsilon", eta=0.0).stochastic


def test_trap_ddim_steps_to_a_timestep_that_is_not_the_next_one(monkeypatch):
    """diffusers' DDIM goes to t - 1000 // n, which is not the next timestep of the run where n does not divide 1000; with
    linspace timesteps its levels and its steps disagree, and no number of steps brings it to the exact end. Ours goes to
    the next level."""
    module, made = scheduler("ddim", "DDIMScheduler", clip_sample=False, timestep_spacing="linspace")
    made.set_timesteps(150)
    made.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    times = made.timesteps.tolist()
    assert sum(int(t) - 1000 // 150 not in times for t in times[:-1]) > 70
    theirs = stepped(monkeypatch, module, made, times, [VP.at(t).noise_ratio for t in times])
    exact, mine = ours("dopri5", "sgm_uniform", 400), ours("ddim", {"times": times}, 150)
    assert np.abs(mine - exact).mean() < 0.02 < 0.04 < np.abs(theirs - exact).mean()
