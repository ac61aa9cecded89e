"""Sharpens the student by distribution matching: its textures are moved towards where the teacher finds them more likely.

    python -m cadenza.exporters.embedded.train_matching --minutes 20
    python -m cadenza.exporters.embedded.train_matching --minutes 40 --mix 0.5

Consistency distillation alone answers with the mean of what may be there, which is a blur at one and two steps. Here a third
network learns the flow of the student's own textures, and the difference between its clean estimate and the guided teacher's
says how the student must change. After Yin, Gharbi, Park, Zhang, Shechtman, Durand, Freeman, "Improved distribution matching
distillation for fast image synthesis" (DMD2), 2024, https://arxiv.org/abs/2405.14867. As there a discriminator helps, which
sees real data: the teacher's own faults need not be learnt, and seeds stay as different as data are. What still adds up from step
to step is a shift of all of a material's textures, and the coarsest waves are too weak; `moments` draws both back to data.

Each run ends somewhere else: it is better at one step and worse at another, or has less of one colour. The mean of the weights
of several, each begun from a mean of those before, is at every step nearly as good as the best of them there. After Wortsman et al., "Model
soups", 2022, https://arxiv.org/abs/2203.05482.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from . import critic as critics
from .critic import Critic
from .latents import Latents
from .moments import Moments, coarse
from .networks import Denoiser
from .sampling import load_networks
from .train_student import GRID, clean_estimate
from .train_teacher import UNCONDITIONAL, latents_of, noised
from .training import Run
from .vocabulary import MATERIALS

FOLLOWER_RATE = 3.0
"""Of the network that follows the student, beside the student's own: it must never be far behind."""
CRITIC_RATE = 10.0
"""Of the discriminator, which begins with nothing; with 3 it learns too little to help."""
GUIDANCE = 1.25
"""Of the teacher here: more of it makes a prompt's textures alike."""
ADVERSARIAL = 0.05
"""Weight of the discriminator in the student's loss."""
DRAWN = {"moments": 0.2, "coarse": 0.4}
"""Weights of what draws the student's mean statistics to the data's: those that the critic reads, whose gradient is then about
that of the matching, and those of the coarsest waves."""
SPREAD = 0.95
"""Furthest that batches pass from the times k / GRID, in parts of the distance between these: plans and images ask for others."""
CRITIC_TIME = 0.3
"""Latest time that the critic and the moments look at: with more noise nothing tells data from a student's."""


class Matching:
    """The student, the teacher, the follower that knows the student's textures, and the critic; `loss` trains all but the teacher."""

    def __init__(self, student: Denoiser, follower: Denoiser, teacher: Denoiser, critic: Critic) -> None:
        self.student, self.follower, self.teacher, self.critic = student, follower, teacher, critic
        self.loss = torch.compile(self._loss)

    def _loss(
        self,
        x: Tensor,
        time: Tensor,
        condition: Tensor,
        noise: Tensor,
        judged: Tensor,
        real: Tensor,
        pulls: dict[str, Tensor],
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """(losses, clean estimates, differences of the DRAWN statistics, other figures; by name) for x (B, C, h, w) at `time` (B,).

        The estimates are judged at times `judged` (B,) with fresh noise, and beside them latents of data, `real`, of the same
        prompts. What the follower answers there serves twice: for the student as its own flow, for the follower as its flow
        matching on the student's textures.
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
                early = judged * CRITIC_TIME
                data = critics.seen(self.teacher, noised(real, early, noise), early, condition)
            found = critics.seen(self.teacher, noised(made, early, noise), early, condition)
            fooled, told, right = critics.losses(self.critic, found, data)
        statistics = {"moments": (found[1], data[1]), "coarse": (coarse(made), coarse(real))}
        losses = {
            "matching": (made * step).mean(),
            "follower": (answer - (noise - made.detach())).square().mean(),
            "fooled": ADVERSARIAL * fooled,
            "critic": told,
            **{name: weight * (statistics[name][0] * pulls[name]).mean() for name, weight in DRAWN.items()},
        }
        differences = {name: (of_made - of_data).detach() for name, (of_made, of_data) in statistics.items()}
        return losses, made.detach(), differences, {"moved": (own - wanted).abs().mean(), "right": right}


def train(
    folder: Path, teacher: Denoiser, data: Latents, minutes: float, go_on: float, mix: float, batch: int = 32
) -> None:
    """Goes on from the student's weights; batches of prompts pass through times about k / GRID.

    So the student sees at each time what it will see in use: its own estimate of an earlier time, with noise.

    go_on  share of the batches that go on to the next time; the others begin anew with noise, which is what one step is used for
    mix    0 to 1: share of the weights at the beginning in those at the end
    """
    torch.manual_seed(1)
    networks = [Denoiser(teacher.shape) for _ in range(2)]
    for network in networks:
        network.load_state_dict(teacher.state_dict())
    student, follower = (network.to(memory_format=torch.channels_last) for network in networks)
    critic = Critic(teacher).to(memory_format=torch.channels_last)
    run = Run(
        folder,
        {"denoiser": student, "follower": follower, "critic": critic},
        minutes,
        0.001,
        2000,
        batch=batch,
        relative_rate={"follower": FOLLOWER_RATE, "critic": CRITIC_RATE},
    )
    beginning = copy.deepcopy(run.averages["denoiser"])
    matching = Matching(student, follower, teacher, critic)
    waves = coarse(torch.zeros(1, *data.latents.shape[1:])).shape[1]
    sizes = {"moments": 2 * sum(teacher.shape.wide), "coarse": waves}
    moments = {name: Moments(GRID, len(MATERIALS), sizes[name]) for name in DRAWN}
    prompts = data.batches(batch, run.images)
    at = 0
    for note in run.steps():
        if at == 0:
            real, condition = next(prompts)
            condition = condition * (torch.rand(batch, 1) >= UNCONDITIONAL / 2)
            made = real
        time = torch.full((batch,), 1.0) if at == 0 else 1 - (at + SPREAD * (2 * torch.rand(batch) - 1)) / GRID
        x = noised(made, time, torch.randn_like(made))
        noise, judged = torch.randn_like(made), torch.rand(batch) * 0.96 + 0.02
        members = condition[:, : len(MATERIALS)]
        pulls = {name: each.pull(at, members) for name, each in moments.items()}
        losses, made, differences, figures = matching.loss(x, time, condition, noise, judged, real, pulls)
        for name, each in moments.items():
            each.update(at, members, differences[name])
        run.update("denoiser", torch.stack(list(losses.values())).sum(), "follower", "critic")
        figures |= {f"{name} shift": each.size(at) for name, each in moments.items()}
        note({name: float(figure.detach()) for name, figure in (losses | figures).items()})
        at = (at + 1) % GRID if torch.rand(()) < go_on else 0
    for model in (student, run.averages["denoiser"]):
        move_towards(model, beginning, mix)
    run.save({"images": run.images, "rate": 0.0, "mix": mix})


@torch.no_grad()
def move_towards(model: Denoiser, other: Denoiser, share: float) -> None:
    """Moves the weights of `model` towards those of `other`, in place."""
    for own, its in zip(model.parameters(), other.parameters(), strict=True):
        own.lerp_(its, share)


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 20.0,
    go_on: Annotated[float, typer.Option(help="share of batches that go on to a next step")] = 0.75,
    mix: Annotated[float, typer.Option(help="share of the weights before in those after")] = 0.0,
    out: Annotated[Path, typer.Option(help="where checkpoints and sets are kept")] = Path("training"),
    textures: Annotated[int, typer.Option(help="size of the procedural set")] = 16800,
) -> None:
    train(out / "student", load_networks(out, "teacher")[0], latents_of(out, textures), minutes, go_on, mix)


if __name__ == "__main__":
    typer.run(main)
