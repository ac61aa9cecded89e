"""Distils the teacher to few steps: a student whose clean estimate, from any noise level, is where the teacher's path ends.

    python -m cadenza.exporters.embedded.train_student --minutes 20

Consistency distillation with guidance inside, after Song, Dhariwal, Chen, Sutskever, "Consistency models", 2023,
https://arxiv.org/abs/2303.01469, and Luo et al., "Latent consistency models", 2023, https://arxiv.org/abs/2310.04378.
`train_matching` goes on from here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from .latents import Latents
from .networks import Denoiser
from .sampling import load_networks
from .train_teacher import UNCONDITIONAL, latents_of, noised
from .training import Run

GUIDANCE = 1.5
"""Of the teacher inside the distillation; the student needs no second evaluation. The teacher's textures are nearest to the
data with it: kernel distance 0.023, against 0.050 with 1."""
STRIDE = 1 / 16
"""How far along the teacher's path the student's target lies, in time."""
GRID = 4
"""A share of the training looks at just the times k / GRID, as the matching does."""


def clean_estimate(model: Denoiser, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
    estimate: Tensor = x - time[:, None, None, None] * model(x, time, condition)
    return estimate


def draw_times(count: int, on_grid: float, grid: int) -> Tensor:
    """Times (count,), a share of them k / grid."""
    even = torch.randint(1, grid + 1, (count,)) / grid
    return torch.where(torch.rand(count) < on_grid, even, torch.rand(count).clamp(min=0.02))


class Distillation:
    """The student beside its teacher; `consistency` gives the loss."""

    def __init__(self, student: Denoiser, target: Denoiser, teacher: Denoiser, numbers: int) -> None:
        self.student, self.target, self.teacher = student, target, teacher
        self.small = 0.03 * math.sqrt(numbers)
        self.scale = math.sqrt(numbers)
        self.consistency = torch.compile(self._consistency)

    def _consistency(self, clean: Tensor, time: Tensor, noise: Tensor, condition: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            x = noised(clean, time, noise)
            earlier = (time - STRIDE).clamp(min=0.0)
            with torch.no_grad():
                both = self.teacher(x.repeat(2, 1, 1, 1), time.repeat(2), torch.cat([condition, condition * 0]))
                conditional, unconditional = both.chunk(2)
                flow = unconditional + GUIDANCE * (conditional - unconditional)
                x_earlier = x + (earlier - time)[:, None, None, None] * flow
                wanted = clean_estimate(self.target, x_earlier, earlier, condition)
            made = clean_estimate(self.student, x, time, condition)
        distance = (made - wanted).square().sum((1, 2, 3))
        return (torch.sqrt(distance + self.small**2) - self.small).mean() / self.scale


def train(folder: Path, teacher: Denoiser, data: Latents, minutes: float, batch: int = 32) -> None:
    """Consistency distillation alone, from the teacher's weights or the student's own where there are any."""
    torch.manual_seed(0)
    student = Denoiser(teacher.shape)
    student.load_state_dict(teacher.state_dict())
    student = student.to(memory_format=torch.channels_last)
    run = Run(folder, {"denoiser": student}, minutes, rate=0.003, batch=batch, half_life_images=1000)
    distillation = Distillation(student, run.averages["denoiser"], teacher, data.latents[0].size)
    for note, (clean, condition) in zip(run.steps(), data.batches(batch, run.images), strict=False):
        condition = condition * (torch.rand(batch, 1) >= UNCONDITIONAL / 2)
        loss = distillation.consistency(clean, draw_times(batch, 0.3, GRID), torch.randn_like(clean), condition)
        run.update("denoiser", loss)
        note({"loss": float(loss.detach())})


def main(
    minutes: Annotated[float, typer.Option(help="time budget of the consistency distillation")] = 20.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "student", load_networks(out, "teacher")[0], latents_of(out, textures), minutes)


if __name__ == "__main__":
    typer.run(main)
