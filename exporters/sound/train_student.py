"""Distils the teacher to 4 to 8 ping-pong steps: a student whose clean estimate, from any noise level, is where the
teacher's path ends.

    python -m cadenza.exporters.sound.train_student --minutes 12

Consistency distillation, without guidance: what a class sounds like the guess knows. Its sources stand in
`exporters.embedded.train_student`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from ..embedded.train_student import draw_times
from ..embedded.train_teacher import UNCONDITIONAL, noised
from ..embedded.training import Run, averaged
from .dataset import Example, batches
from .held import draw_held
from .latents import SET, latents_of
from .networks import Denoiser
from .train_teacher import CELLS

STRIDE = 1 / 16
"""How far along the teacher's path the student's target lies, in time."""
GRID = 8
"""The student is used at times k / GRID; a share of the training looks at just these."""


def clean_estimate(model: nn.Module, x: Tensor, time: Tensor, condition: Tensor, held: Tensor) -> Tensor:
    estimate: Tensor = x - time[:, None, None, None] * model(x, time, condition, held)
    return estimate


def consistency(
    student: Denoiser, target: nn.Module, teacher: Denoiser, clean: Tensor, condition: Tensor, time: Tensor
) -> Tensor:
    """The loss of a batch: how far the student's estimate is from the target's, a stride along the teacher's path."""
    held, anew = draw_held(clean)
    with torch.autocast("cpu", torch.bfloat16):
        x = noised(clean, time, torch.randn_like(clean))
        earlier = (time - STRIDE).clamp(min=1e-3)
        with torch.no_grad():
            x_earlier = x + (earlier - time)[:, None, None, None] * teacher(x, time, condition, held)
            wanted = clean_estimate(target, x_earlier, earlier, condition, held)
        made = clean_estimate(student, x, time, condition, held)
    numbers = clean[0].numel()
    small = 0.03 * math.sqrt(numbers)
    distance = ((made - wanted).square() * anew).sum((1, 2, 3))
    return (torch.sqrt(distance + small**2) - small).mean() / math.sqrt(numbers)


def train(folder: Path, teacher: Denoiser, data: list[Example], minutes: float, rate: float = 0.003) -> None:
    torch.manual_seed(0)
    student = Denoiser(teacher.shape, few=True)
    student.load_state_dict(teacher.state_dict())
    run = Run(folder, {"denoiser": student}, minutes, rate, batch=CELLS // 64, half_life_images=1000)
    target = run.averages["denoiser"]
    for note, (clean, condition) in zip(run.steps(), batches(data, CELLS, run.images), strict=False):
        condition = condition * (torch.rand(len(clean), 1) >= UNCONDITIONAL / 2)
        loss = consistency(student, target, teacher, clean, condition, draw_times(len(clean), 0.4, GRID))
        run.update("denoiser", loss)
        note({"loss": float(loss.detach())})


def denoiser_of(out: Path, training: str) -> Denoiser:
    """The averaged denoiser of a training, "teacher" or "student"."""
    model = averaged(out / training, "denoiser", Denoiser(few=training == "student"))
    assert isinstance(model, Denoiser)
    return model


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 12.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training/sound"),
    sounds: Annotated[int, typer.Option(help="size of the set")] = SET,
) -> None:
    torch.set_num_threads(1)
    train(out / "student", denoiser_of(out, "teacher"), latents_of(out, sounds), minutes)


if __name__ == "__main__":
    typer.run(main)
