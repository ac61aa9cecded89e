"""Names: what web interfaces, ComfyUI, k-diffusion, InvokeAI and diffusers call samplers and spacings, read as one thing.

A name is compared in a plain form: lower case, "++" as "pp", letters and digits only, so "DPM++ 2M SDE Karras",
"dpmpp_2m_sde" + "karras" and "sample_dpmpp_2m_sde" meet. What follows a sampler's name may be a spacing's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ...assets.refusal import Refusal, WrongType
from .samplers import LIVE, SAMPLERS
from .spacings import SPACINGS


@dataclass(frozen=True)
class Named:
    """A sampler as the registry spells it, with the spacing that its name said (None: it said none) and its options."""

    sampler: str
    spacing: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


ALIASES: dict[str, tuple[str, ...]] = {
    "euler": ("k_euler", "EulerDiscrete", "EDMEuler", "FlowMatchEulerDiscrete"),
    "euler_ancestral": ("Euler a", "k_euler_a", "EulerAncestralDiscrete", "LTXEulerAncestralRF"),
    "heunpp2": ("Heun++",),
    "heun": ("k_heun", "HeunDiscrete", "FlowMatchHeunDiscrete", "Heun 2S"),
    "midpoint": ("Midpoint 2S",),
    "ralston": ("Ralston 2S",),
    "bosh3": ("Bogacki-Shampine 3S",),
    "rk4": ("RK4 4S",),
    "dopri5": ("dopri6", "Dormand-Prince 6S"),  # by its six stages
    "dpm_2": ("DPM2", "KDPM2", "KDPM2Discrete"),
    "dpm_2_ancestral": ("DPM2 a", "KDPM2 a", "KDPM2AncestralDiscrete"),
    "lms": ("k_lms", "LMSDiscrete"),
    "plms": ("PLMS", "PNDM"),
    "ddim": ("DDIM", "DDIMParallel"),
    "ddpm": ("DDPM", "DDPMParallel"),
    "deis": ("DEIS", "DEISMultistep"),
    "ipndm": ("iPNDM",),
    "dpmpp_2m": ("DPM++ 2M", "DPMSolverMultistep", "EDMDPMSolverMultistep", "DPM-Solver++"),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", "CosineDPMSolverMultistep"),
    "dpmpp_2m_sde_heun": ("DPM++ 2M SDE Heun",),
    "dpmpp_2s_ancestral": ("DPM++ 2S a",),
    "dpmpp_sde": ("DPM++ SDE", "DPMSolverSDE"),
    "dpmpp_3m_sde": ("DPM++ 3M SDE",),
    "dpm_fast": ("DPM fast",),
    "dpm_adaptive": ("DPM adaptive",),
    "uni_pc": ("UniPC",),
    "uni_pc_bh2": ("UniPC bh2", "UniPCMultistep"),
    "sa_solver": ("SASolver",),
    "lcm": ("LCM", "FlowMatchLCM"),
    "tcd": ("TCD",),
    "scm": ("SCM", "TrigFlow"),
    "res_multistep": ("RES 2M", "refined exponential solver"),
}
"""Other names by the registry's; spelling, case and a final "Scheduler" or "_gpu" do not matter."""

IMPLIED: dict[str, tuple[str, dict[str, Any]]] = {
    "DPM++ 3M": ("dpmpp_3m_sde", {"eta": 0.0}),
    "RES 2S": ("res_singlestep", {"order": 2}),
    "RES 3S": ("res_singlestep", {"order": 3}),
    "DPM++ 2S": ("dpmpp_2s_ancestral", {"eta": 0.0}),
    "DPM++ 3S": ("seeds_3", {"eta": 0.0}),
    "DEIS 2M": ("deis", {"order": 2}),
    "DEIS 3M": ("deis", {"order": 3}),
    "DEIS 4M": ("deis", {"order": 4}),
    "DPMSolverSinglestep": ("dpmpp_2s_ancestral", {"eta": 0.0}),
}
"""Names that stand for a sampler with options."""

SPACING_ALIASES = {
    "sgm": "sgm_uniform",
    "uniform": "normal",
    "k": "karras",
    "poly": "polyexponential",
    "leading": "ddim_uniform",
    "ddim": "ddim_uniform",
    "Align Your Steps": "ays",
    "Align Your Steps 11": "ays",
    "Align Your Steps 32": "ays_32",
    "kl": "kl_optimal",
    "lu_lambdas": "log_snr",
    "tcd": "lcm",
}


def resolve_names(sampler: object, spacing: str | None = None) -> Named:
    """A sampler by any of its names, which may end with a spacing's; `spacing` is what was said apart from it, if anything."""
    if not isinstance(sampler, str):
        raise WrongType("sampler", sampler, "the name of a sampler")
    named = _parse(sampler)
    apart = None if spacing is None else resolve_spacing(spacing)
    if named.spacing is not None and apart is not None and named.spacing != apart:
        sentence = f"{sampler!r} says spacing {named.spacing!r} and `spacing` says {apart!r}"
        raise Refusal("contradiction", "spacing", sentence, "say it once")
    return Named(named.sampler, named.spacing or apart, named.options)


def resolve_spacing(name: str) -> str:
    """A spacing by any of its names."""
    if name in SPACINGS:
        return name
    known = _spacing_names()
    found = known.get(_plain(name).removeprefix("getsigmas"))
    if found is None:
        near = get_close_matches(_plain(name), list(known), n=6, cutoff=0.5)
        raise _unknown("spacing", name, (known[each] for each in near), SPACINGS)
    return found


def aliases_of(sampler: str) -> list[str]:
    """Other names of a sampler, as they are usually written, its title first."""
    return list(dict.fromkeys(((SAMPLERS | LIVE)[sampler].title, *ALIASES.get(sampler, ()))))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower().replace("++", "pp") if c.isalnum())


def _parse(name: str) -> Named:
    if name in SAMPLERS:
        return Named(name)
    plain = _plain(name).removeprefix("sample").removesuffix("scheduler").removesuffix("gpu")
    samplers, spacings = _sampler_names(), _spacing_names()
    for whole in (plain, plain.removeprefix("k")):  # "k_dpmpp_2m": of k-diffusion
        for cut in range(len(whole), 0, -1):  # the longest sampler wins, so "dpm++ 2m sde" is not "dpm++ 2m" and "sde"
            rest = whole[cut:].removeprefix("gpu")
            if whole[:cut] in samplers and (not rest or rest in spacings):
                sampler, options = samplers[whole[:cut]]
                return Named(sampler, spacings.get(rest), dict(options))
    raise _unknown("sampler", name, _near(plain, samplers, spacings), SAMPLERS | LIVE)


def _sampler_names() -> dict[str, tuple[str, dict[str, Any]]]:
    """Plain name to (the registry's name, options); the registry's own spelling wins, and only what it has is known."""
    there = SAMPLERS | LIVE
    named: list[tuple[str, tuple[str, dict[str, Any]]]]
    named = [(name, (sampler, {})) for sampler, names in ALIASES.items() for name in names]
    named += [(f"{name} CFG++", (f"{sampler}_cfg_pp", {})) for name, (sampler, _) in named]
    named += [*IMPLIED.items(), *((each.title, (name, {})) for name, each in there.items())]
    named += [(name, (name, {})) for name in there]
    return {_plain(name): found for name, found in named if found[0] in there}


def _spacing_names() -> dict[str, str]:
    names = {**SPACING_ALIASES, **{name: name for name in SPACINGS}}
    return {_plain(name): spacing for name, spacing in names.items()}


def _near(plain: str, samplers: dict[str, tuple[str, dict[str, Any]]], spacings: dict[str, str]) -> list[str]:
    """What may be meant: a sampler that is named and a spacing nearly so, then samplers with a name like it."""
    near = []
    for cut in range(len(plain), 0, -1):
        if plain[:cut] in samplers:
            nearly = get_close_matches(plain[cut:], list(spacings), n=1, cutoff=0.6)
            near = [f"{samplers[plain[:cut]][0]} {spacings[each]}" for each in nearly]
            break
    return near + [samplers[match][0] for match in get_close_matches(plain, list(samplers), n=6, cutoff=0.5)]


def _unknown(field: str, name: str, near: Iterable[str], valid: Iterable[str]) -> Refusal:
    closest = [f"{each!r}" for each in list(dict.fromkeys(near))[:3]]
    remedy = f"did you mean {' or '.join(closest)}? " if closest else ""
    return Refusal("unknown", field, f"{name!r} is not known", f"{remedy}valid: {', '.join(valid)}")
