"""One thing by all its names, and diffusers' scheduler configurations."""

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.compile import dials
from cadenza.runtime.solver.names import IMPLIED, Named, aliases_of, resolve_names, resolve_spacing
from cadenza.runtime.solver.samplers import SAMPLERS
from cadenza.runtime.solver.scheduler_config import alphas_cumprod, read_scheduler_config
from cadenza.runtime.solver.spacings import SPACINGS

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize(
    ("name", "sampler", "spacing"),
    [
        ("DPM++ 2M SDE Karras", "dpmpp_2m_sde", "karras"),
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("Euler a", "euler_ancestral", None),
        ("euler_a", "euler_ancestral", None),
        ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde", None),
        ("DPMSolverMultistepScheduler", "dpmpp_2m", None),
        ("EulerAncestralDiscreteScheduler", "euler_ancestral", None),
        ("EulerDiscreteScheduler", "euler", None),
        ("FlowMatchEulerDiscreteScheduler", "euler", None),
        ("HeunDiscreteScheduler", "heun", None),
        ("DDIM", "ddim", None),
        ("UniPC", "uni_pc", None),
        ("UniPCMultistepScheduler", "uni_pc_bh2", None),
        ("PNDMScheduler", "plms", None),
        ("DPM2 a Karras", "dpm_2_ancestral", "karras"),
        ("DPM++ 2S a Karras", "dpmpp_2s_ancestral", "karras"),
        ("DPM++ 3M SDE Exponential", "dpmpp_3m_sde", "exponential"),
        ("DPM++ 2M SDE Heun Karras", "dpmpp_2m_sde_heun", "karras"),
        ("Euler CFG++", "euler_cfg_pp", None),
        ("Euler Beta", "euler", "beta"),
        ("Euler A SGM Uniform", "euler_ancestral", "sgm_uniform"),
        ("DPM++ 2M Align Your Steps", "dpmpp_2m", "ays"),
        ("dpmpp_2m_k", "dpmpp_2m", "karras"),
        ("sample_dpmpp_2m", "dpmpp_2m", None),
        ("LCM", "lcm", None),
        ("SCMScheduler", "scm", None),
        ("Heun++", "heunpp2", None),
        ("DPM adaptive", "dpm_adaptive", None),
        ("dpmpp_2m_sde_gpu karras", "dpmpp_2m_sde", "karras"),
        ("LCMScheduler", "lcm", None),
        ("Euler Trailing", "euler", "trailing"),
        ("Euler a CFG++", "euler_ancestral_cfg_pp", None),
        ("DPM++ 2S a CFG++ Karras", "dpmpp_2s_ancestral_cfg_pp", "karras"),
        ("K_DPMPP_2S_ANCESTRAL", "dpmpp_2s_ancestral", None),
        ("k_dpmpp_2m", "dpmpp_2m", None),
        ("k_dpm_2_a", "dpm_2_ancestral", None),
        ("Euler Uniform", "euler", "normal"),
        ("ralston_2s", "ralston", None),
        ("dormand-prince_6s", "dopri5", None),
        ("kdpm_2_a_k", "dpm_2_ancestral", "karras"),
    ],
)
def test_a_name_of_any_world_is_one_sampler_and_spacing(name, sampler, spacing):
    assert resolve_names(name) == Named(sampler, spacing)


def test_a_name_may_imply_options():
    assert resolve_names("DPM++ 3M Exponential") == Named("dpmpp_3m_sde", "exponential", {"eta": 0.0})
    assert resolve_names("dpmpp_3s") == Named("seeds_3", None, {"eta": 0.0})
    assert resolve_names("deis_2m beta") == Named("deis", "beta", {"order": 2})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_answers_to_all_its_names_with_every_spacing_after_them(sampler):
    for name in (sampler, sampler.upper(), f"sample_{sampler}", f"{sampler}_gpu", *aliases_of(sampler)):
        named = resolve_names(name)
        assert named.sampler == sampler
        assert not named.options
        for spacing in SPACINGS:
            assert resolve_names(f"{name} {spacing}") == Named(named.sampler, spacing)
            assert resolve_names(name, spacing) == Named(named.sampler, spacing)


def test_tables_of_names_have_no_sampler_option_that_does_not_exist():
    for name, (sampler, options) in IMPLIED.items():
        if sampler in SAMPLERS:
            assert set(options) <= set(dials(sampler)), name


def test_spacings_have_names_too():
    for name, spacing in {
        "Karras": "karras",
        "SGM Uniform": "sgm_uniform",
        "get_sigmas_karras": "karras",
        "KL Optimal": "kl_optimal",
        "Align Your Steps 32": "ays_32",
        "DDIM Uniform": "ddim_uniform",
        "leading": "ddim_uniform",
    }.items():
        assert resolve_spacing(name) == spacing


@pytest.mark.parametrize(
    ("name", "near"),
    [("Eulr", "'euler'"), ("DPM++ 2M Karas", "'dpmpp_2m karras'"), ("DPM++ 7Q", "'dpmpp_3m_sde'"), ("ddimm", "'ddim'")],
)
def test_an_unknown_name_is_refused_with_the_closest_ones(name, near):
    with pytest.raises(Refusal, match=r"did you mean") as refused:
        resolve_names(name)
    assert refused.value.field == "sampler"
    assert near in refused.value.remedy.split("?")[0]


def test_a_spacing_said_twice_must_be_the_same():
    assert resolve_names("Euler Karras", "karras").spacing == "karras"
    with pytest.raises(Refusal, match="say it once"):
        resolve_names("Euler Karras", "beta")
    with pytest.raises(Refusal, match="did you mean 'karras'"):
        resolve_names("Euler", "karas")


def test_a_plan_is_the_same_by_any_name_and_contradictions_are_refused():
    process = Process.ve()
    plan = compile_plan("dpmpp_2m_sde", "karras", 5, process, "x0")
    assert compile_plan("DPM++ 2M SDE Karras", "Karras", 5, process, "x0").digest == plan.digest
    assert compile_plan("DPM++ 3M", "karras", 5, process, "x0").noise_draws == 0
    assert compile_plan("DPM++ 3M", "karras", 5, process, "x0", eta=1.0).noise_draws > 0
    with pytest.raises(Refusal, match="say it once"):
        compile_plan("DPM++ 2M SDE Karras", "beta", 5, process, "x0")


def test_a_live_sampler_has_its_names_and_no_step_count():
    assert resolve_names("DPM adaptive Karras") == Named("dpm_adaptive", "karras")
    with pytest.raises(Refusal) as refused:
        compile_plan("DPM adaptive", "karras", 5, Process.ve(), "x0")
    assert refused.value.field == "steps"


def read(name, **settings):
    return read_scheduler_config({"_class_name": name, "_diffusers_version": "0.42.1", **settings})


def test_a_scheduler_config_becomes_a_process_a_prediction_a_sampler_and_a_spacing():
    config = read("DPMSolverMultistepScheduler", **SD, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++")
    assert (config.sampler, config.spacing, config.prediction) == ("dpmpp_2m_sde", "karras", "epsilon")
    assert config.process.kind == "vp"
    assert not config.no_effect
    flow = read("FlowMatchEulerDiscreteScheduler", shift=3.0)
    assert (flow.sampler, flow.prediction, flow.process.shift) == ("euler", "flow", 3.0)
    zero = read(
        "DDIMScheduler", **SD, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    assert (zero.prediction, zero.spacing) == ("v", "trailing")
    assert np.exp(2 * zero.process.table[-1]) == pytest.approx(2**40 - 1)  # pure noise there


@pytest.mark.parametrize(
    ("name", "settings", "setting"),
    [
        ("LCMScheduler", {"timestep_spacing": "trailing"}, "timestep_spacing"),
        ("TCDScheduler", {"timestep_spacing": "trailing", "steps_offset": 1}, "timestep_spacing"),
        ("EulerAncestralDiscreteScheduler", {"use_karras_sigmas": True}, "use_karras_sigmas"),
        ("DDIMScheduler", {"timestep_spacing": "trailing", "steps_offset": 1}, "steps_offset"),
        ("DDIMScheduler", {"clip_sample": False, "clip_sample_range": 2.0}, "clip_sample_range"),
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "timestep_spacing": "leading"}, "timestep_spacing"),
        ("DPMSolverMultistepScheduler", {"solver_type": "bh2"}, "solver_type"),
        ("DPMSolverMultistepScheduler", {"flow_shift": 3.0}, "flow_shift"),
        ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True, "shift": 3.0}, "shift"),
        ("FlowMatchEulerDiscreteScheduler", {"base_shift": 0.3}, "base_shift"),
        ("DDIMScheduler", {"trained_betas": [0.1] * 1000, "beta_start": 0.3}, "beta_start"),
    ],
)
def test_a_setting_that_did_nothing_is_named_and_changes_nothing_here(name, settings, setting):
    config = read(name, **settings)
    assert setting in config.no_effect, config
    without = read(name, **{key: value for key, value in settings.items() if key != setting})
    assert (without.spacing, without.sampler, without.options) == (config.spacing, config.sampler, config.options)
    assert without.process == config.process


def test_a_setting_that_does_something_else_there_is_told():
    assert "clip_sample" in read("DDIMScheduler").differs
    assert "set_alpha_to_one" in read("DDIMScheduler", set_alpha_to_one=False).differs
    assert (
        "timestep_spacing" in read("EulerDiscreteScheduler", use_karras_sigmas=True, timestep_spacing="leading").differs
    )
    assert not read("EulerDiscreteScheduler").differs


def test_a_setting_at_work_is_not_said_to_do_nothing():
    leading = read("EulerDiscreteScheduler", timestep_spacing="leading", steps_offset=1)
    assert not leading.no_effect
    assert leading.spacing == {"name": "ddim_uniform", "offset": 1, "spare": False}


@pytest.mark.parametrize(
    ("field", "name", "settings"),
    [
        ("_class_name", "DPMSolver", {}),
        ("algorithm_type", "DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver"}),
        ("beta_schedule", "DDIMScheduler", {"beta_schedule": "lineal"}),
        ("prediction_type", "EulerDiscreteScheduler", {"prediction_type": "eps"}),
        ("timestep_spacing", "EulerDiscreteScheduler", {"timestep_spacing": "ending"}),
    ],
)
def test_a_config_that_cannot_be_read_is_refused_by_its_setting(field, name, settings):
    with pytest.raises(Refusal) as refused:
        read(name, **settings)
    assert refused.value.field == field


def test_the_cosine_beta_schedule_is_capped():
    values = {"num_train_timesteps": 1000, "beta_start": 0, "beta_end": 0, "beta_schedule": "squaredcos_cap_v2"}
    alphas = alphas_cumprod(values)
    assert alphas[-1] / alphas[-2] == pytest.approx(0.001)
    t = np.array([250, 500, 750])
    expected = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(alphas[t - 1], expected, rtol=1e-9)
