"""All samplers. To add one: write its function in a family file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .adams import deis, gradient_estimation, ipndm, ipndm_v, lms, plms
from .adaptive import dpm_adaptive
from .consistency import lcm, pingpong, scm, tcd
from .dpm import dpm_2, dpm_fast
from .dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_2s, dpmpp_3m_sde, dpmpp_sde
from .euler import ddim, ddpm, euler, euler_ancestral
from .fitted import fitted
from .forms import ancestral, cfg_pp, churn, wear
from .res import res_multistep, res_multistep_ancestral, res_singlestep
from .restart import restart
from .runge_kutta import (
    bosh3,
    dopri5,
    fehlberg2,
    gauss_legendre_2s,
    gauss_legendre_3s,
    heun,
    heunpp2,
    implicit_euler,
    implicit_midpoint,
    midpoint,
    radau_iia_2s,
    radau_iia_3s,
    ralston,
    rk4,
)
from .sde import er_sde, sa_solver, sa_solver_pece, seeds_2, seeds_3
from .unipc import uni_pc, uni_pc_bh2


@dataclass(frozen=True)
class Sampler:
    """`order` is the order of convergence at eta 0 that the method claims and the tests measure; None: it has none."""

    run: Callable[..., Any]
    title: str
    order: int | None


def _churned(run: Callable[..., Any]) -> Callable[..., Any]:
    return wear(run, churn, f"{run.__doc__} s_churn adds noise before each step (algorithm 2 there).")


def _ancestral(run: Callable[..., Any]) -> Callable[..., Any]:
    return wear(run, ancestral, f"{run.__doc__} Ancestral: to a lower level, and noise (eta) back up.")


def _cfg_pp(run: Callable[..., Any]) -> Callable[..., Any]:
    return wear(run, cfg_pp, f"{run.__doc__} CFG++ puts back the unconditional noise, https://arxiv.org/abs/2406.08070")


SAMPLERS: dict[str, Sampler] = {
    "euler": Sampler(_churned(euler), "Euler", 1),
    "euler_ancestral": Sampler(euler_ancestral, "Euler ancestral", 1),
    "heun": Sampler(_churned(heun), "Heun", 2),
    "heunpp2": Sampler(heunpp2, "Heun++ 2", 1),
    "midpoint": Sampler(midpoint, "Midpoint", 2),
    "ralston": Sampler(ralston, "Ralston", 2),
    "fehlberg2": Sampler(fehlberg2, "Fehlberg 2", 2),
    "bosh3": Sampler(bosh3, "Bogacki-Shampine 3", 3),
    "rk4": Sampler(rk4, "Runge-Kutta 4", 4),
    "dopri5": Sampler(dopri5, "Dormand-Prince 5", 5),
    "implicit_euler": Sampler(implicit_euler, "Implicit Euler", 1),
    "implicit_midpoint": Sampler(implicit_midpoint, "Implicit midpoint", 2),
    "gauss_legendre_2s": Sampler(gauss_legendre_2s, "Gauss-Legendre 2s", 4),
    "gauss_legendre_3s": Sampler(gauss_legendre_3s, "Gauss-Legendre 3s", 6),
    "radau_iia_2s": Sampler(radau_iia_2s, "Radau IIA 2s", 3),
    "radau_iia_3s": Sampler(radau_iia_3s, "Radau IIA 3s", 5),
    "ddpm": Sampler(ddpm, "DDPM", None),
    "ddim": Sampler(ddim, "DDIM", 1),
    "plms": Sampler(plms, "PLMS", 2),
    "lms": Sampler(lms, "LMS", 2),
    "ipndm": Sampler(ipndm, "iPNDM", 2),
    "ipndm_v": Sampler(ipndm_v, "iPNDM-v", 2),
    "deis": Sampler(deis, "DEIS", 2),
    "gradient_estimation": Sampler(gradient_estimation, "Gradient estimation", 1),
    "dpm_2": Sampler(_churned(dpm_2), "DPM2", 2),
    "dpm_2_ancestral": Sampler(_ancestral(dpm_2), "DPM2 ancestral", 2),
    "dpm_fast": Sampler(dpm_fast, "DPM fast", 2),
    "dpmpp_2s_ancestral": Sampler(_ancestral(dpmpp_2s), "DPM-Solver++ 2S ancestral", 2),
    "dpmpp_sde": Sampler(dpmpp_sde, "DPM-Solver++ SDE", 2),
    "dpmpp_2m": Sampler(dpmpp_2m, "DPM-Solver++ 2M", 2),
    "dpmpp_2m_sde": Sampler(dpmpp_2m_sde, "DPM-Solver++ 2M SDE", 2),
    "dpmpp_2m_sde_heun": Sampler(dpmpp_2m_sde_heun, "DPM-Solver++ 2M SDE Heun", 2),
    "dpmpp_3m_sde": Sampler(dpmpp_3m_sde, "DPM-Solver++ 3M SDE", 2),
    "uni_pc": Sampler(uni_pc, "UniPC (bh1)", 2),
    "uni_pc_bh2": Sampler(uni_pc_bh2, "UniPC (bh2)", 2),
    "res_multistep": Sampler(res_multistep, "RES multistep", 2),
    "res_multistep_ancestral": Sampler(res_multistep_ancestral, "RES multistep ancestral", 2),
    "res_singlestep": Sampler(res_singlestep, "RES singlestep", 3),
    "seeds_2": Sampler(seeds_2, "SEEDS-2", 2),
    "seeds_3": Sampler(seeds_3, "SEEDS-3", 3),
    "er_sde": Sampler(er_sde, "ER-SDE", None),
    "sa_solver": Sampler(sa_solver, "SA-Solver", 3),
    "sa_solver_pece": Sampler(sa_solver_pece, "SA-Solver PECE", 3),
    "restart": Sampler(restart, "Restart", None),
    "euler_cfg_pp": Sampler(_cfg_pp(euler), "Euler CFG++", 1),
    "euler_ancestral_cfg_pp": Sampler(_cfg_pp(euler_ancestral), "Euler ancestral CFG++", 1),
    "ddim_cfg_pp": Sampler(_cfg_pp(ddim), "DDIM CFG++", 1),
    "dpmpp_2m_cfg_pp": Sampler(_cfg_pp(dpmpp_2m), "DPM-Solver++ 2M CFG++", 2),
    "dpmpp_2s_ancestral_cfg_pp": Sampler(_cfg_pp(_ancestral(dpmpp_2s)), "DPM-Solver++ 2S ancestral CFG++", 2),
    "res_multistep_cfg_pp": Sampler(_cfg_pp(res_multistep), "RES multistep CFG++", 2),
    "gradient_estimation_cfg_pp": Sampler(_cfg_pp(gradient_estimation), "Gradient estimation CFG++", 1),
    "fitted": Sampler(fitted, "Fitted multistep", 2),
    "lcm": Sampler(lcm, "LCM", None),
    "tcd": Sampler(tcd, "TCD", None),
    "pingpong": Sampler(pingpong, "Ping-pong", None),
    "scm": Sampler(scm, "SCM (TrigFlow)", None),
}

LIVE: dict[str, Sampler] = {"dpm_adaptive": Sampler(dpm_adaptive, "DPM adaptive", 3)}
"""Samplers that choose their steps while they run (`solver/live.py`); they have no plan before."""
