"""Inputs that nobody plans for: no NaN, no crash, and where a plan is refused a sentence that says why.

Every sampler meets every spacing, process and unusual dial, though not each with each: `mixed` deals them out, the same way
every time.
"""

import itertools

import numpy as np
import pytest
from measured import ALPHAS, PROCESSES, STOCHASTIC

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.analytic import exact_model
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.process import zero_terminal_snr
from cadenza.runtime.solver.samplers import SAMPLERS
from cadenza.runtime.solver.spacings import SPACINGS

ALL = {**PROCESSES, "pure": (Process.vp(zero_terminal_snr(ALPHAS)), "v"), "shifted": (Process.flow(3.0), "flow")}
START = np.linspace(-2.5, 2.5, 9)
SHAPES = [
    (1, {}),
    (2, {}),
    (3, {}),
    (1, {"denoise": 0.5}),
    (5, {"denoise": 0.01}),
    (5, {"denoise": 0.3}),
    (7, {"denoise": 0.999}),
]
GUIDED = [
    {},
    {"guidance": 0.0},
    {"guidance": -3.0},
    {"guidance": 7.0, "guidance_interval": (0.2, None)},
    {"guidance": 7.0, "guidance_interval": (0.5, 2.0)},
]
OWN = {
    "eta": (0.0, 0.3, 1.0, 10.0),
    "s_churn": (1.0, 40.0, 1000.0),
    "s_noise": (0.0, 1.01),
    "s_tmin": (0.5,),
    "s_tmax": (2.0,),
    "order": (1, 2, 3, 4),
    "iterations": (1, 20),
}
"""Dials that many samplers have, at values within their range."""


def ran(name, spacing, steps, kind, **settings):
    """The latent, or the refusal."""
    process, prediction = ALL[kind]
    try:
        plan = compile_plan(name, spacing, steps, process, prediction, **settings)
    except Refusal as refusal:
        return refusal
    draws = np.random.default_rng(0).standard_normal((max(1, plan.noise_draws), 9))
    image = np.zeros(9) if "denoise" in settings else None
    return plan.run(exact_model(process, prediction), START, lambda k: draws[k], image)


def mixed(name):
    """Cases of one sampler: every spacing on two processes, with a shape and guidance of its own."""
    shapes, guided, turn = itertools.cycle(SHAPES), itertools.cycle(GUIDED), itertools.cycle(ALL)
    for _ in range(list(SAMPLERS).index(name)):
        next(turn), next(shapes), next(guided)
    for spacing in SPACINGS:
        for _ in range(2):
            steps, shape = next(shapes)
            yield spacing, steps, next(turn), {**shape, **next(guided)}


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_spacing_step_count_or_strength_breaks_a_sampler(name):
    for spacing, steps, kind, settings in mixed(name):
        made = ran(name, spacing, steps, kind, **settings)
        if isinstance(made, Refusal):
            assert spacing == "lcm", (spacing, steps, kind, settings, made)  # 500 of its 50 steps
            assert settings["denoise"] == 0.01
            assert "original" in made.sentence
        else:
            assert np.all(np.isfinite(made)), (spacing, steps, kind, settings)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_value_of_a_dial_breaks_a_sampler(name):
    known = dials(name)
    for dial, values in OWN.items():
        for value, (kind, spacing) in zip(values, itertools.cycle(zip(ALL, ("karras", "trailing") * 3, strict=True))):
            if dial in known:
                made = ran(name, spacing, 4, kind, **{dial: value})
                assert isinstance(made, Refusal) or np.all(np.isfinite(made)), (dial, value, kind)
                if isinstance(made, Refusal):
                    assert made.field == dial
                    assert made.remedy or "valid" in made.sentence


@pytest.mark.parametrize("name", ["dpm_fast", "dpmpp_2m_sde", "euler", "heun", "er_sde", "uni_pc", "lcm"])
@pytest.mark.parametrize("kind", ALL)
def test_a_thousand_steps_end_in_the_data(name, kind):
    made = ran(name, "sgm_uniform", 1000, kind)
    assert np.abs(made).max() < 5
    assert name in STOCHASTIC or np.all(np.diff(made) > 0)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"steps": 2.0}, "steps"),
        ({"steps": True}, "steps"),
        ({"denoise": 0.0}, "denoise"),
        ({"denoise": 1.01}, "denoise"),
        ({"denoise": float("nan")}, "denoise"),
        ({"guidance": [1.0, 2.0]}, "guidance"),
        ({"guidance": float("inf")}, "guidance"),
        ({"guidance": "7"}, "guidance"),
        ({"guidance_interval": (2.0, 1.0)}, "guidance_interval"),
        ({"guidance_interval": 3.0}, "guidance_interval"),
        ({"eta": -0.1}, "eta"),
        ({"eta": float("nan")}, "eta"),
        ({"s_noise": "much"}, "s_noise"),
        ({"corrector": "pc"}, "corrector"),
        ({"corrector": "unic"}, "corrector"),
        ({"prediction": "eps"}, "prediction"),
        ({"spacing": "karas"}, "spacing"),
        ({"spacing": [3.0, 3.0, 1.0, 0.5, 0.0]}, "spacing"),
        ({"spacing": [3.0, float("nan"), 1.0, 0.5, 0.0]}, "spacing"),
        ({"spacing": [0.0] * 5}, "spacing"),
        ({"spacing": [1e9, 3.0, 1.0, 0.5, 0.0]}, "spacing"),
        ({"spacing": {"name": "karras", "rho": 0.0}}, "spacing.rho"),
        ({"spacing": {"name": "karras", "rhoo": 7.0}}, "spacing.rhoo"),
        ({"spacing": {"times": [999.0, 500.0]}}, "spacing"),
        ({"sampler": "euler", "eta": 0.5}, "eta"),
        ({"sampler": "dpm_fast", "eta": 2.0}, "eta"),
        ({"sampler": "uni_pc", "order": 5}, "order"),
        ({"rescale_cfg": 0.7}, "rescale_cfg"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field_in_words(settings, field):
    asked = {
        "sampler": "euler_ancestral",
        "spacing": "karras",
        "steps": 4,
        "process": ALL["vp"][0],
        "prediction": "epsilon",
    }
    with pytest.raises(Refusal) as refused:
        compile_plan(**{**asked, **settings})
    assert refused.value.field == field
    assert len(refused.value.sentence.split()) > 3


@pytest.mark.parametrize("name", SAMPLERS)
def test_levels_that_a_float_hardly_tells_apart_are_refused(name):
    """Multistep methods divide by a step in log SNR, and a step of the last few bits is none."""
    for kind, (process, prediction) in PROCESSES.items():
        for top, ulps in ((0.013, 1), (0.1, 1), (1.0, 5), (7.3, 100)):
            near = top - ulps * np.spacing(top)
            for spacing in ([9.0, top, near, 0.0], [9.0, 8.0, top, near]):
                with pytest.raises(Refusal, match="further apart"):
                    compile_plan(name, spacing, 3, process, prediction)
        apart = compile_plan(name, [5.0, 5.0 - 1e-7, 5.0 - 2e-7, 0.0], 3, process, prediction)
        assert np.abs(apart.mix).max() < 1e30, kind


@pytest.mark.parametrize("name", SAMPLERS)
def test_levels_at_the_ends_of_what_a_float_holds_are_refused_and_others_run(name):
    for kind, prediction in (("ve", "x0"), ("flow", "flow")):
        process = PROCESSES[kind][0]
        for spacing in ([1e300, 1e100, 1.0, 0.0], [1.0, 1e-100, 1e-300, 0.0]):
            with pytest.raises(Refusal, match=r"noise ratios from|further apart"):
                compile_plan(name, spacing, 3, process, prediction)
        for spacing in ([1e11, 1e10, 1.0, 0.0], [1e4, 1.0, 1e-5, 0.0], [1e-3, 1e-5, 1e-11, 0.0]):
            assert np.isfinite(compile_plan(name, spacing, 3, process, prediction).mix).all()


@pytest.mark.parametrize(
    ("spacing", "settings", "field"),
    [
        ({"name": "dynamic_shift", "most": 1e4}, {}, "steps"),
        ({"name": "dynamic_shift", "tokens": 10**6, "most": 100.0}, {}, "steps"),
        ({"name": "flow_shift", "shift": 1e-300}, {}, "steps"),
        ({"name": "karras", "rho": 1e-300}, {}, "steps"),
        ("karras", {"denoise": 1e-9}, "denoise"),
        ([3.0, 1.0, 0.5, 0.0], {"denoise": 1e-15}, "spacing"),
    ],
)
def test_levels_that_no_float_or_memory_holds_are_refused_by_what_asked_for_them(spacing, settings, field):
    with pytest.raises(Refusal) as refused:
        compile_plan("euler", spacing, 3, Process.flow(), "flow", **settings)
    assert refused.value.field == field


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("option", [{"mu": 1e300}, {"beta": 1e4}])
def test_a_spacing_beyond_the_training_is_held_at_its_ends_without_a_warning(option):
    plan = compile_plan("euler", {"name": "laplace", **option}, 1, Process.ve(), "x0")
    assert plan.time.tolist() == pytest.approx([80.0])


def test_a_trace_of_noise_on_an_explicit_list_is_one_step_from_its_end():
    for denoise in (1e-9, 1e-4, 1 / 3 - 1e-12, 1 / 3 + 1e-12):
        plan = compile_plan("euler", [3.0, 1.0, 0.5, 0.0], 3, Process.ve(), "x0", denoise=denoise)
        assert plan.rows == 1
        assert plan.time[0] <= 0.5
