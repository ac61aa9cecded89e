"""Trains the music model; goes on from where it was.

python -m cadenza.exporters.music.train --minutes 60
"""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor
from tqdm import tqdm

from ...assets.music.score import STREAMS
from .dataset import STEPS, Pool, batch, composed
from .network import Decoder, Shape

BATCH = 16
RATE = 2e-3
SAVE_SECONDS = 120.0
HELD_OUT = 256


def losses(model: Decoder, logits: Tensor, target: Tensor) -> list[Tensor]:
    """Mean cross-entropy of each stream, nats a frame."""
    parts = logits.split(model.shape.sizes, -1)
    return [
        F.cross_entropy(part.flatten(0, 1), target[..., k].flatten(), ignore_index=-1, reduction="sum")
        / (target[..., k] >= 0).sum().clamp(min=1)
        for k, part in enumerate(parts)
    ]


@torch.no_grad()
def held_out(model: Decoder, pool: Pool) -> dict[str, float]:
    """Nats a frame of each stream on pieces that were not trained on, with all conditions."""
    rng = np.random.default_rng(0)
    totals = np.zeros(len(STREAMS))
    chunks = np.arange(len(pool)).reshape(-1, 32)
    for rows in chunks:
        given = batch(pool, rows, rng, spine=0.0, drop=False)
        totals += [float(loss) for loss in losses(model, model.sequence(given.tokens, given.condition), given.target)]
    return dict(zip(STREAMS, (totals / len(chunks)).round(4).tolist(), strict=True))


def train(minutes: float, out: Path, pieces: int, shape: Shape | None = None) -> None:
    folder = out / "music"
    folder.mkdir(parents=True, exist_ok=True)
    pool, kept = pools(folder, pieces)
    model = Decoder(shape or Shape())
    average = copy.deepcopy(model).eval().requires_grad_(False)
    done = resume(folder, model, average)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], RATE, (0.9, 0.98)
    )
    rng = np.random.default_rng(done + 1)
    began = saved = time.monotonic()
    total, turns = np.zeros(len(STREAMS)), 0
    with tqdm(total=round(60 * minutes), unit="s", desc="music") as bar:
        while (spent := (time.monotonic() - began) / (60 * minutes)) < 1.0:
            for group in optimiser.param_groups:
                group["lr"] = (
                    RATE * min(1.0, spent / 0.02 + 0.02) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * spent)))
                )
            given = batch(pool, rng.integers(len(pool), size=BATCH), rng)
            parts = losses(model, model.sequence(given.tokens, given.condition), given.target)
            loss = torch.stack(parts).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            follow(average, model, 1 - 1 / min(500.0, 10 + done / BATCH / 4))
            done, turns = done + BATCH, turns + 1
            total += [float(part.detach()) for part in parts]
            bar.update(round(time.monotonic() - began) - bar.n)
            if time.monotonic() - saved > SAVE_SECONDS:
                note = dict(zip(STREAMS, (total / turns).round(4).tolist(), strict=True))
                bar.set_postfix(note)
                speed = turns * BATCH * STEPS / (time.monotonic() - saved)
                save(folder, model, average, {"pieces": done, "frames_s": round(speed), "train": note}, kept)
                saved, turns = time.monotonic(), 0
                total[:] = 0
    save(folder, model, average, {"pieces": done, "end": True}, kept)


def pools(folder: Path, pieces: int) -> tuple[Pool, Pool]:
    """What is trained on, and what is held out."""
    kept = composed(range(10_000_000, 10_000_000 + HELD_OUT), folder / "held_out.npz")
    return composed(range(pieces), folder / f"composed-{pieces}.npz"), kept


@torch.no_grad()
def follow(average: Decoder, model: Decoder, keep: float) -> None:
    for mean, now in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)


def save(folder: Path, model: Decoder, average: Decoder, row: dict[str, object], kept: Pool) -> None:
    state = {"model": model.state_dict(), "average": average.state_dict(), "pieces": row["pieces"]}
    part = folder / "state.part"
    torch.save({**state, "shape": model.shape.to_dict()}, part)
    part.replace(folder / "state.pt")
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({**row, "held_out": held_out(average, kept)}) + "\n")


def resume(folder: Path, model: Decoder, average: Decoder) -> int:
    """Pieces already trained on."""
    path = folder / "state.pt"
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    return int(state["pieces"])


def trained(folder: Path) -> Decoder:
    """The averaged weights of a training."""
    state = torch.load(folder / "music" / "state.pt", weights_only=True)
    model = Decoder(Shape(**{**state["shape"], "sizes": tuple(state["shape"]["sizes"])}))
    model.load_state_dict(state["average"])
    return model.eval().requires_grad_(False)


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 60.0,
    out: Annotated[Path, typer.Option(help="folder of trainings")] = Path("training"),
    pieces: Annotated[int, typer.Option(help="of the composer")] = 24000,
) -> None:
    train(minutes, out, pieces)


if __name__ == "__main__":
    typer.run(main)
