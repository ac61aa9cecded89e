"""The independent judge: a classifier of materials and modifiers, trained on textures that the generator never saw.

    python -m cadenza.exporters.embedded.classifier

Eight tenths of the held-out set teach it, one says from what probability on a modifier counts as seen, one how good it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from .dataset import HELD_OUT, Dataset, generate
from .train_autoencoder import augmented
from .training import store
from .vocabulary import MATERIALS, MODIFIERS, WORDS

FEATURES = 128
HELD_OUT_COUNT = 8400
RARE = 4.0
"""Weight of a modifier that is there against one that is not: most are absent, and silence would be the easy answer."""
FALSE_ALARMS = 0.05
"""A modifier counts as seen from the probability that this share of the textures without it reach. One limit for all would
not do: how sure the classifier may be depends on how rare a modifier is and how faint."""


class Classifier(nn.Module):
    """Maps (B, 6, H, W) in [0, 1] to features (B, FEATURES) and logits of all words (B, words)."""

    def __init__(self) -> None:
        super().__init__()
        wide = (24, 48, 96, FEATURES)
        layers: list[nn.Module] = [nn.Conv2d(6, wide[0], 5, 2, 2, padding_mode="circular"), nn.SiLU()]
        for a, b in zip(wide, wide[1:], strict=False):
            layers += [nn.Conv2d(a, b, 3, 2, 1, padding_mode="circular"), nn.BatchNorm2d(b), nn.SiLU()]
            layers += [nn.Conv2d(b, b, 3, 1, 1, padding_mode="circular"), nn.BatchNorm2d(b), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * FEATURES, len(WORDS))
        self.register_buffer("limits", torch.full((len(MODIFIERS),), 0.5))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body((maps - 0.5) * 4)
        deviation, mean = torch.std_mean(x, (2, 3))
        return mean, self.head(torch.cat([mean, deviation], 1))


@dataclass(frozen=True)
class Judged:
    """features (N, FEATURES); materials (N,) the most likely one; modifiers (N, modifiers), whether each is seen."""

    features: np.ndarray
    materials: np.ndarray
    modifiers: np.ndarray


@torch.no_grad()
def judge(model: Classifier, maps: np.ndarray) -> Judged:
    """What the classifier sees in maps (N, 6, H, W), uint8."""
    answers = [
        model(torch.from_numpy(chunk.astype(np.float32) / 255)) for chunk in np.array_split(maps, -(-len(maps) // 64))
    ]
    features, logits = (torch.cat(each) for each in zip(*answers, strict=True))
    split = len(MATERIALS)
    seen = logits[:, split:].sigmoid() >= model.limits
    return Judged(features.numpy(), logits[:, :split].argmax(1).numpy(), seen.numpy())


def parts(data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices that teach the classifier, those that set its limits, and those that test it."""
    index = np.arange(len(data))
    turn = index // len(MATERIALS) % 10
    return index[turn > 1], index[turn == 1], index[turn == 0]


@torch.no_grad()
def set_limits(model: Classifier, data: Dataset) -> None:
    """So that each modifier is seen in `FALSE_ALARMS` of the textures without it."""
    _, tune, _ = parts(data)
    split = len(MATERIALS)
    maps = np.stack([data.maps[i] for i in tune]).astype(np.float32) / 255
    sure = torch.cat([model(torch.from_numpy(chunk))[1] for chunk in np.array_split(maps, -(-len(maps) // 64))])[
        :, split:
    ]
    absent = torch.from_numpy(data.conditions[tune][:, split:] == 0)
    for i in range(len(MODIFIERS)):
        model.limits[i] = sure[absent[:, i], i].sigmoid().quantile(1 - FALSE_ALARMS)


def train(data: Dataset, epochs: int, batch: int = 32) -> Classifier:
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    model = Classifier().to(memory_format=torch.channels_last)
    teach, _, _ = parts(data)
    steps = epochs * len(teach) // batch
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    split = len(MATERIALS)
    for _ in tqdm(range(steps), "classifier", unit="step"):
        index = rng.choice(teach, batch)
        maps = torch.stack([augmented(data.maps[i], rng) for i in index]).contiguous(memory_format=torch.channels_last)
        truth = torch.from_numpy(data.conditions[index])
        with torch.autocast("cpu", torch.bfloat16):
            _, logits = model(maps)
        loss = 4.0 * F.cross_entropy(logits[:, :split].float(), truth[:, :split].argmax(1), label_smoothing=0.05)
        told = F.binary_cross_entropy_with_logits(logits[:, split:].float(), truth[:, split:], reduction="none")
        loss = loss + (told * (1 + (RARE - 1) * truth[:, split:])).sum(1).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        schedule.step()
    model.eval()
    set_limits(model, data)
    return model


def load_classifier(out: Path, epochs: int = 12) -> tuple[Classifier, Dataset]:
    """The trained classifier and its data, made where they are missing."""
    data = generate(out / "held_out", HELD_OUT_COUNT, HELD_OUT)
    path = out / "classifier.pt"
    model = Classifier()
    if path.is_file():
        model.load_state_dict(torch.load(path, weights_only=True))
    else:
        model = train(data, epochs)
        store(model.state_dict(), path)
    return model.eval(), data


def judged_itself(model: Classifier, data: Dataset) -> dict[str, Any]:
    """How good the judge is, on data it did not learn from; by modifier where it is there, and where not."""
    _, _, test = parts(data)
    truth, split = data.conditions[test], len(MATERIALS)
    seen = judge(model, np.stack([data.maps[i] for i in test]))
    there, heard = truth[:, split:] > 0, seen.modifiers
    return {
        "held_out": len(test),
        "materials_right": round(float((seen.materials == truth[:, :split].argmax(1)).mean()), 3),
        "modifiers_seen": round(float(heard[there].mean()), 3),
        "modifiers_seen_unasked": round(float(heard[~there].mean()), 3),
        "by_modifier": {
            name: [round(float(heard[rows, i].mean()), 3) for rows in (there[:, i], ~there[:, i])]
            for i, name in enumerate(MODIFIERS)
        },
    }


def main(out: Annotated[Path, typer.Option(help="where sets and weights are kept")] = Path("training")) -> None:
    print(json.dumps(judged_itself(*load_classifier(out)), indent=1))


if __name__ == "__main__":
    typer.run(main)
