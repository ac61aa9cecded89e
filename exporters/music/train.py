"""Trains the music model; goes on from where a training here was, or else from the weights of the shipped bundle.

python -m cadenza.exporters.music.train --minutes 60
python -m cadenza.exporters.music.evaluate && python -m cadenza.exporters.music.export

Stopped, it goes on where it last saved, every two minutes. `--fresh` begins with random weights.
"""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import torch
import torch.nn.functional as F
import typer
from onnx import numpy_helper
from torch import Tensor
from tqdm import tqdm

from ...assets.bundle import load_bundle
from ...assets.music.score import STREAMS
from ...assets.refusal import OutOfRange, Refusal
from ...runtime.bundles import EMBEDDED
from ..embedded.training import store
from . import freedoom
from .dataset import STEPS, Pool, batch, composed, joined, of_freedoom
from .network import Decoder, Shape

BATCH = 16
RATE = {True: 2e-3, False: 8e-4}
"""Highest step size of random weights, and of trained ones."""
REAL = 0.12
"""Share of a batch that is Freedoom's; the rest is the composer's."""
WEIGHTS = torch.tensor([1.0, 1.0, 3.0, 1.0, 1.0])
"""Of the streams' losses: chords are few words, and everything else stands on them."""
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
    chunks = np.array_split(np.arange(len(pool)), -(-len(pool) // 32))
    for rows in chunks:
        given = batch(pool, rows, rng, spine=0.0, drop=False)
        totals += [float(loss) for loss in losses(model, model.sequence(given.tokens, given.condition), given.target)]
    return dict(zip(STREAMS, (totals / len(chunks)).round(4).tolist(), strict=True))


def train(minutes: float, out: Path, pieces: int, fresh: bool = False) -> None:
    if not minutes > 0:
        raise OutOfRange("minutes", minutes, "a time budget above 0")
    folder = out / "music"
    folder.mkdir(parents=True, exist_ok=True)
    composer, songs, kept = pools(folder, pieces)
    pool, real = joined([composer, songs]), len(composer)
    model = Decoder(Shape())
    done = 0 if fresh else resume(folder, model)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    rate = RATE[done == 0]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], rate, (0.9, 0.98)
    )
    rng = np.random.default_rng(done + 1)
    began = saved = time.monotonic()
    total, turns = np.zeros(len(STREAMS)), 0
    with tqdm(total=round(60 * minutes), unit="s", desc="music") as bar:
        while (spent := (time.monotonic() - began) / (60 * minutes)) < 1.0:
            for group in optimiser.param_groups:
                group["lr"] = (
                    rate * min(1.0, spent / 0.02 + 0.02) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * spent)))
                )
            rows = np.where(
                rng.random(BATCH) < REAL, rng.integers(real, len(pool), size=BATCH), rng.integers(real, size=BATCH)
            )
            given = batch(pool, rows, rng)
            parts = losses(model, model.sequence(given.tokens, given.condition), given.target)
            loss = (torch.stack(parts) * WEIGHTS).sum()
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
                save(folder, average, {"pieces": done, "frames_s": round(speed), "train": note}, kept)
                saved, turns = time.monotonic(), 0
                total[:] = 0
    save(folder, average, {"pieces": done, "end": True}, kept)


def pools(folder: Path, pieces: int) -> tuple[Pool, Pool, dict[str, Pool]]:
    """What is trained on, of the composer and of Freedoom, and what is held out of both."""
    kept = {
        "composed": composed(range(10_000_000, 10_000_000 + HELD_OUT), folder / "held_out.npz"),
        "freedoom": of_freedoom(freedoom.HELD_OUT, folder / "freedoom_held_out.npz"),
    }
    return composed(range(pieces), folder / f"composed-{pieces}.npz"), of_freedoom((), folder / "freedoom.npz"), kept


@torch.no_grad()
def follow(average: Decoder, model: Decoder, keep: float) -> None:
    for mean, now in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)


def save(folder: Path, average: Decoder, row: dict[str, object], kept: dict[str, Pool]) -> None:
    state = {"average": average.state_dict(), "pieces": row["pieces"], "shape": average.shape.to_dict()}
    store(state, folder / "state.pt")
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(
            json.dumps({**row, "held_out": {name: held_out(average, pool) for name, pool in kept.items()}}) + "\n"
        )


def resume(folder: Path, model: Decoder) -> int:
    """Loads the weights to go on from; gives the pieces already trained on."""
    path = folder / "state.pt"
    if path.is_file():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["average"])
        return int(state["pieces"])
    model.load_state_dict(shipped(EMBEDDED / "music"))
    return int(load_bundle(EMBEDDED / "music").manifest.provenance.get("pieces", 15_424))


def shipped(folder: Path) -> dict[str, Tensor]:
    """The weights of an exported bundle by the names of the network's parameters; stored in float16, they differ by its rounding."""
    graph = onnx.load(folder / "step.onnx").graph
    arrays = {each.name.removesuffix(".half"): numpy_helper.to_array(each) for each in graph.initializer}
    names = dict(Decoder(Shape()).named_parameters())
    if missing := sorted(names.keys() - arrays.keys()):
        raise Refusal("corrupt", "bundle", f"{folder} lacks the weights {', '.join(missing[:3])}", "train with --fresh")
    return {name: torch.from_numpy(np.array(arrays[name], np.float32)) for name in names}


def trained(folder: Path) -> tuple[Decoder, int]:
    """The averaged weights of a training, and the pieces that it has heard."""
    state = torch.load(folder / "music" / "state.pt", weights_only=True)
    model = Decoder(Shape(**{**state["shape"], "sizes": tuple(state["shape"]["sizes"])}))
    model.load_state_dict(state["average"])
    return model.eval().requires_grad_(False), int(state["pieces"])


def main(
    minutes: Annotated[float, typer.Option(help="time budget")] = 60.0,
    out: Annotated[Path, typer.Option(help="folder of trainings")] = Path("training"),
    pieces: Annotated[int, typer.Option(help="of the composer")] = 24000,
    fresh: Annotated[bool, typer.Option("--fresh", help="begin with random weights")] = False,
) -> None:
    train(minutes, out, pieces, fresh)


if __name__ == "__main__":
    typer.run(main)
