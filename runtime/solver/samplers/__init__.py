"""All samplers. To add one: write its function in a family file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .consistency import lcm, tcd
from .dpmpp import dpmpp_2m, dpmpp_2m_sde
from .euler import ddim, euler, euler_ancestral, heun
from .runge_kutta import bosh3, dopri5, fehlberg2, midpoint, ralston, rk4


@dataclass(frozen=True)
class Sampler:
    """`order` is the order of convergence at eta 0 that the method claims and the tests measure; None: it has none."""

    run: Callable[..., Any]
    title: str
    order: int | None


SAMPLERS: dict[str, Sampler] = {
    "euler": Sampler(euler, "Euler", 1),
    "euler_ancestral": Sampler(euler_ancestral, "Euler ancestral", 1),
    "heun": Sampler(heun, "Heun", 2),
    "midpoint": Sampler(midpoint, "Midpoint", 2),
    "ralston": Sampler(ralston, "Ralston", 2),
    "fehlberg2": Sampler(fehlberg2, "Fehlberg 2", 2),
    "bosh3": Sampler(bosh3, "Bogacki-Shampine 3", 3),
    "rk4": Sampler(rk4, "Runge-Kutta 4", 4),
    "dopri5": Sampler(dopri5, "Dormand-Prince 5", 5),
    "ddim": Sampler(ddim, "DDIM", 1),
    "dpmpp_2m": Sampler(dpmpp_2m, "DPM-Solver++ 2M", 2),
    "dpmpp_2m_sde": Sampler(dpmpp_2m_sde, "DPM-Solver++ 2M SDE", 2),
    "lcm": Sampler(lcm, "LCM", None),
    "tcd": Sampler(tcd, "TCD", None),
}
