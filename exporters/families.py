"""Families of few-step models: the tables their authors used, checked against diffusers' schedulers in the tests.

A bundle's manifest gets the numbers; nothing at run time knows a family's name. `source` says where the numbers are from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..assets.manifest import Recommended
from ..assets.refusal import OutOfRange

TRAINED = 1000
Grid = Callable[[int], list[float]]
"""What the model is told at each of n steps, falling: training timesteps of VP models, t in (0, 1] of flow models, noise
ratios of VE models."""
SizedGrid = Callable[[int, int], list[float]]
"""The same for n steps and a picture of so many pixels."""
PIXELS = 1024 * 1024
"""The size that the tables of sized families are made for where none is said."""


def lcm_grid(n: int) -> list[float]:
    """n of the 50 steps 999, 979, ... 19 that consistency models are distilled on."""
    steps = np.arange(1, 51)[::-1] * (TRAINED // 50) - 1
    return [float(t) for t in steps[np.floor(np.linspace(0, 50, n, endpoint=False)).astype(int)]]


def tcd_grid(n: int) -> list[float]:
    """The same with timestep 0 at the end, where diffusers' TCDScheduler stops: a trace of noise stays."""
    return [*lcm_grid(n), 0.0]


def trailing(n: int) -> list[float]:
    """1000, 1000 - 1000 / n, ... less one. [Lin et al., Common diffusion noise schedules ..., 2023, https://arxiv.org/abs/2305.08891]"""
    return [float(t) for t in np.round(np.arange(TRAINED, 0, -TRAINED / n))[:n] - 1]


def shifted(shift: float) -> Grid:
    """1, 1 - 1/n, ... 1/n, each moved to s t / (1 + (s - 1) t). Shift 1 leaves them."""

    def grid(n: int) -> list[float]:
        return [float(shift * t / (1 + (shift - 1) * t)) for t in (np.arange(n, 0, -1) / n)]

    return grid


def shifted_from_training(shift: float) -> Grid:
    """As diffusers' FlowMatchEulerDiscreteScheduler spaces n steps by itself: evenly between the shifted ends of training.

    Its ends are shifted once when it is made, and the grid between them again.
    """

    def grid(n: int) -> list[float]:
        low = shift / TRAINED / (1 + (shift - 1) / TRAINED)
        return [float(shift * t / (1 + (shift - 1) * t)) for t in np.linspace(1.0, low, n)]

    return grid


def klein_grid(n: int, pixels: int) -> list[float]:
    """1, 1 - 1/n, ... shifted by the exponential of `klein_mu`."""
    return shifted(math.exp(klein_mu(pixels // 256, n)))(n)


def klein_mu(tokens: int, steps: int) -> float:
    """The logarithm of FLUX.2's shift for a picture of so many tokens (256 pixels each): two lines its authors fitted.

    https://github.com/black-forest-labs/flux2
    """
    many = 0.00016927 * tokens + 0.45666666  # at 200 steps, and for large pictures at any
    if tokens > 4300:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333  # at 10 steps
    slope = (many - few) / 190.0
    return slope * steps + many - 200.0 * slope


def sprint_grid(n: int) -> list[float]:
    """Sana-Sprint's angles, even from pi / 2 or for 2 steps pi / 2 and 1.3, as flow times sin a / (cos a + sin a)."""
    angles = [math.pi / 2, 1.3] if n == 2 else [math.pi / 2 * (1 - i / n) for i in range(n)]
    return [1.0 if i == 0 else math.sin(a) / (math.cos(a) + math.sin(a)) for i, a in enumerate(angles)]


def log_snr_grid(n: int) -> list[float]:
    """1, then t = 1 / (1 + snr) where log snr is even from -6.2 to 2 and the last of n + 1 is left out."""
    levels = np.linspace(-6.2, 2.0, n + 1)[1:-1]
    return [1.0, *(float(t) for t in 1.0 / (1.0 + np.exp(levels)))]


def exponential(high: float, low: float) -> Grid:
    """n noise ratios from high to low whose logarithms are even."""
    return lambda n: [float(s) for s in np.exp(np.linspace(math.log(high), math.log(low), n))]


def fixed(tables: Mapping[int, Sequence[float]]) -> Grid:
    return lambda n: list(tables[n])


@dataclass(frozen=True)
class Family:
    """How a family is run. `prediction` None leaves what the scheduler's config says; `process` is vp, flow or ve.

    The grid of a `sized` family depends on the picture: it takes pixels, too. `sale` is the licence's flag: whether what the
    weights make may stand in a game that is sold, yes, no, or ask (under terms that depend on you). Read the licence itself.
    """

    about: str
    steps: tuple[int, ...]
    sampler: str
    grid: Grid | SizedGrid
    source: str
    licence: str
    sale: Literal["yes", "no", "ask"]
    guidance: float = 1.0
    eta: float | None = None
    prediction: str | None = None
    process: str = "vp"
    sized: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def times(self, n: int, pixels: int = PIXELS) -> list[float]:
        return self.grid(n, pixels) if self.sized else self.grid(n)  # type: ignore[call-arg]

    def tables(self, steps: Sequence[int] = (), pixels: int = PIXELS) -> list[Recommended]:
        """The recommended tables of a manifest, for these step counts or all of the family's."""
        for n in steps:
            if n not in self.steps:
                raise OutOfRange("steps", n, f"one of {', '.join(map(str, self.steps))} for this family")
        return [
            Recommended(
                steps=n, sampler=self.sampler, times=self.times(n, pixels), guidance=self.guidance, eta=self.eta,
                options=dict(self.options),
            )
            for n in (steps or self.steps)
        ]  # fmt: skip


LCM_PAPER = "https://arxiv.org/abs/2310.04378"
FAMILIES: dict[str, Family] = {
    "lcm": Family(
        "LCM, full model; guidance is embedded", tuple(range(1, 9)), "lcm", lcm_grid,
        LCM_PAPER, "openrail++", "yes", options={"boundary": True},
    ),
    "lcm_lora": Family(
        "LCM LoRA on a base model", tuple(range(2, 9)), "lcm", lcm_grid,
        "https://arxiv.org/abs/2311.05556", "openrail++", "yes", options={"boundary": True},
    ),
    "turbo": Family(
        "SD-Turbo and SDXL-Turbo, trailing grid", (1, 2, 3, 4), "euler_ancestral", trailing,
        "https://arxiv.org/abs/2311.17042", "non-commercial without Stability's membership", "ask", eta=1.0,
    ),
    "turbo_demo": Family(
        "SD-Turbo and SDXL-Turbo, the authors' demo grid", (1, 2, 3, 4), "euler_ancestral",
        lambda n: [999.0, 899.0, 799.0, 699.0][:n],
        "https://github.com/Stability-AI/generative-models/blob/main/scripts/demo/turbo.py",
        "non-commercial without Stability's membership", "ask", eta=1.0,
    ),
    "lightning": Family(
        "SDXL-Lightning, 2, 4 and 8 steps", (2, 4, 8), "euler", trailing,
        "https://arxiv.org/abs/2402.13929", "openrail++", "yes",
    ),
    "lightning_1": Family(
        "SDXL-Lightning, 1 step: predicts the clean latent", (1,), "euler", trailing,
        "https://arxiv.org/abs/2402.13929", "openrail++", "yes", prediction="x0",
    ),
    "hyper": Family(
        "Hyper-SD, a LoRA for each step count", (2, 4, 8), "ddim", trailing,
        "https://arxiv.org/abs/2404.13686", "none stated: ask ByteDance", "ask",
    ),
    "hyper_unified": Family(
        "Hyper-SD, unified LoRA", tuple(range(1, 9)), "tcd", tcd_grid,
        "https://arxiv.org/abs/2404.13686", "none stated: ask ByteDance", "ask", eta=1.0,
    ),
    "hyper_1": Family(
        "Hyper-SDXL, 1-step UNet", (1,), "lcm", fixed({1: [800.0]}),
        "https://huggingface.co/ByteDance/Hyper-SD", "none stated: ask ByteDance", "ask", options={"boundary": True},
    ),
    "hyper_cfg": Family(
        "Hyper-SD, CFG LoRA", (8, 12), "ddim", trailing,
        "https://huggingface.co/ByteDance/Hyper-SD", "none stated: ask ByteDance", "ask", guidance=5.0,
    ),
    "tcd": Family(
        "TCD LoRA", tuple(range(4, 51)), "tcd", tcd_grid,
        "https://arxiv.org/abs/2402.19159", "openrail++", "yes", eta=0.3,
    ),
    "pcm": Family(
        "PCM, small CFG", (2, 4, 8, 16), "tcd", tcd_grid,
        "https://arxiv.org/abs/2405.18407", "apache-2.0", "yes", eta=0.0,
    ),
    "pcm_normal": Family(
        "PCM, normal CFG", (4, 8, 16), "tcd", tcd_grid,
        "https://arxiv.org/abs/2405.18407", "apache-2.0", "yes", guidance=7.5, eta=0.0,
    ),
    "dmd2": Family(
        "DMD2, 4 steps", (4,), "lcm", fixed({4: [999.0, 749.0, 499.0, 249.0]}),
        "https://arxiv.org/abs/2405.14867", "cc-by-nc-4.0", "no", options={"boundary": True},
    ),
    "dmd2_1": Family(
        "DMD2, 1 step", (1,), "lcm", fixed({1: [399.0]}),
        "https://arxiv.org/abs/2405.14867", "cc-by-nc-4.0", "no", options={"boundary": True},
    ),
    "sdxs": Family(
        "SDXS, 1 step", (1,), "euler", trailing,
        "https://arxiv.org/abs/2403.16627", "openrail++", "yes",
    ),
    "schnell": Family(
        "FLUX.1-schnell, no shift", (1, 2, 3, 4), "euler", shifted(1.0),
        "https://huggingface.co/black-forest-labs/FLUX.1-schnell", "apache-2.0", "yes", process="flow",
    ),
    "sd3": Family(
        "SD3's own flow Euler, its scheduler's shift (here 3); Turbo at 4 steps", (4, 8, 28), "euler", shifted_from_training(3.0),
        "https://arxiv.org/abs/2403.03206", "Stability's community licence", "ask", process="flow",
    ),
    "z_image_turbo": Family(
        "Z-Image-Turbo", (8,), "euler", shifted(3.0),
        "https://huggingface.co/Tongyi-MAI/Z-Image-Turbo", "apache-2.0", "yes", process="flow",
    ),
    "qwen_lightning": Family(
        "Qwen-Image-Lightning: dynamic shift whose base and maximum are log 3", (4, 8), "euler", shifted(3.0),
        "https://github.com/ModelTC/Qwen-Image-Lightning", "apache-2.0", "yes", process="flow",
    ),
    "ace_step_turbo": Family(
        "ACE-Step 1.5 turbo", (8,), "euler", shifted(3.0),
        "https://github.com/ace-step/ACE-Step-1.5", "mit", "yes", process="flow",
    ),
    "klein": Family(
        "FLUX.2-klein: the shift follows from size and steps", (4,), "euler", klein_grid,
        "https://huggingface.co/black-forest-labs/FLUX.2-klein-4B", "apache-2.0 (4B); non-commercial (9B)", "ask",
        process="flow", sized=True,
    ),
    "sana_sprint": Family(
        "Sana-Sprint: TrigFlow's SCM steps as ping-pong on the flow; guidance is embedded", (1, 2, 3, 4), "pingpong",
        sprint_grid, "https://arxiv.org/abs/2503.09641", "NSCL v2-custom: see the model card", "ask", process="flow",
    ),
    "stable_audio": Family(
        "Stable Audio Open: many steps and guidance", (50, 100, 200), "dpmpp_2m_sde", exponential(500.0, 0.3),
        "https://arxiv.org/abs/2407.14358", "Stability's community licence", "ask", guidance=7.0, process="ve",
    ),
    "stable_audio_3": Family(
        "Stable Audio 3 and Open Small, distilled", (8,), "pingpong", log_snr_grid,
        "https://arxiv.org/abs/2505.08175", "Stability's community licence: see the model card", "ask", process="flow",
    ),
    "base": Family(
        "a model that was not distilled: many steps and guidance", (20, 30), "dpmpp_2m", trailing,
        "https://arxiv.org/abs/2112.10752", "the model's own", "ask", guidance=7.5,
    ),
}  # fmt: skip


def configured(name: str, shift: float) -> Family:
    """A family, SD3's with the shift that a scheduler's config gives: 3 in the published models, not in all made of them."""
    family = FAMILIES[name]
    return replace(family, grid=shifted_from_training(shift)) if name == "sd3" else family


def page() -> str:
    """The table of exporters/EXPORT.md."""
    head = "| family | what | steps | solver | grid | guidance | eta | licence | sale | source |"
    lines = [head, "|" + "---|" * 10]
    for name, f in FAMILIES.items():
        steps = f"{f.steps[0]}-{f.steps[-1]}" if len(f.steps) > 4 else ", ".join(map(str, f.steps))
        shown = next(n for n in (4, *f.steps) if n in f.steps)
        numbers = [f"{t:.4g}" for t in f.times(shown)]
        grid = ", ".join(numbers if len(numbers) <= 8 else [*numbers[:3], "...", numbers[-1]])
        solver = f.sampler + (" (model predicts x0)" if f.prediction == "x0" else "")
        eta = "-" if f.eta is None else f"{f.eta:g}"
        guidance = "none" if f.guidance == 1.0 else f"{f.guidance:g}"
        cells = (name, f.about, steps, solver, f"{shown}: {grid}", guidance, eta, f.licence, f.sale, f.source)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
