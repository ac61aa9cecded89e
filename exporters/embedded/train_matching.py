"""Sharpens the student by distribution matching: its textures are moved towards where the teacher finds them more likely.

    python -m cadenza.exporters.embedded.train_matching --minutes 20

Consistency distillation alone answers with the mean of what may be there, which is a blur at one and two steps. Here a third
network learns the flow of the student's own textures, and the difference between its clean estimate and the guided teacher's
says how the student must change. After Yin, Gharbi, Park, Zhang, Shechtman, Durand, Freeman, "Improved distribution matching
distillation for fast image synthesis" (DMD2), 2024, https://arxiv.org/abs/2405.14867, without its discriminator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from .latents import Latents
from .networks import Denoiser
from .sampling import load_networks
from .train_student import GRID, GUIDANCE, clean_estimate
from .train_teacher import UNCONDITIONAL, latents_of, noised
from .training import Run

FOLLOWER_RATE = 3.0
"""Of the network that follows the student, beside the student's own: it must never be far behind."""


class Matching:
    """The student, the teacher, and the follower that knows the student's textures; `loss` trains student and follower."""

    def __init__(self, student: Denoiser, follower: Denoiser, teacher: Denoiser) -> None:
        self.student, self.follower, self.teacher = student, follower, teacher
        self.loss = torch.compile(self._loss)

    def _loss(
        self, x: Tensor, time: Tensor, condition: Tensor, noise: Tensor, judged: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(loss of the student, loss of the follower, clean estimates, how far they are moved) for x (B, C, h, w) at `time` (B,).

        The estimates are judged at times `judged` (B,) with fresh noise. What the follower answers there serves twice: for
        the student as its own flow, for the follower as its flow matching on the student's textures.
        """
        with torch.autocast("cpu", torch.bfloat16):
            made = clean_estimate(self.student, x, time, condition)
            seen = noised(made.detach(), judged, noise)
            level = judged[:, None, None, None]
            answer = self.follower(seen, judged, condition)
            with torch.no_grad():
                both = self.teacher(seen.repeat(2, 1, 1, 1), judged.repeat(2), torch.cat([condition, condition * 0]))
                conditional, unconditional = both.chunk(2)
                flow = unconditional + GUIDANCE * (conditional - unconditional)
                wanted, own = seen - level * flow, seen - level * answer
                step = (own - wanted) / (made - wanted).abs().mean((1, 2, 3), keepdim=True)
        behind = (answer - (noise - made.detach())).square().mean()
        return (made * step).mean(), behind, made.detach(), (own - wanted).abs().mean()


def train(folder: Path, teacher: Denoiser, data: Latents, minutes: float, batch: int = 32) -> None:
    """Goes on from the student's weights; each batch of prompts passes through the times k / GRID.

    So the student sees at each time what it will see in use: its own estimate of an earlier time, with noise.
    """
    torch.manual_seed(1)
    networks = [Denoiser(teacher.shape) for _ in range(2)]
    for network in networks:
        network.load_state_dict(teacher.state_dict())
    student, follower = (network.to(memory_format=torch.channels_last) for network in networks)
    rates = {"follower": FOLLOWER_RATE}
    run = Run(
        folder,
        {"denoiser": student, "follower": follower},
        minutes,
        0.001,
        2000,
        batch=batch,
        relative_rate=rates,
    )
    matching = Matching(student, follower, teacher)
    prompts = data.batches(batch, run.images)
    at = 0
    for note in run.steps():
        if at == 0:
            made, condition = next(prompts)
            condition = condition * (torch.rand(batch, 1) >= UNCONDITIONAL / 2)
        time = torch.full((batch,), 1 - at / GRID)
        x = noised(made, time, torch.randn_like(made))
        noise, judged = torch.randn_like(made), torch.rand(batch) * 0.96 + 0.02
        loss, behind, made, moved = matching.loss(x, time, condition, noise, judged)
        run.update("denoiser", loss + behind, "follower")
        note({"moved": float(moved), "follower": float(behind.detach())})
        at = (at + 1) % GRID


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 20.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "student", load_networks(out, "teacher")[0], latents_of(out, textures), minutes)


if __name__ == "__main__":
    typer.run(main)
