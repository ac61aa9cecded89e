"""What every training here shares: a time budget, averaged weights, checkpoints to go on from, a small log."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...assets.refusal import OutOfRange
from .networks import renormalise

SAVE_SECONDS = 90.0
RISE_STEPS = 100


@dataclass
class Run:
    """One training: `models` are saved under their names, with an average of each (`averages`), every few minutes.

    The learning rate rises over the first 100 steps and falls to nothing as a half cosine over the time budget, so a run that
    goes on from a checkpoint has a budget of its own. Time would not do for the rise: compiling would eat it, and a fresh
    Adam's first steps at the full rate undo a trained model.
    """

    folder: Path
    models: Mapping[str, nn.Module]
    minutes: float
    rate: float = 0.01
    half_life_images: float = 4000.0
    images: int = 0
    batch: int = 16
    relative_rate: Mapping[str, float] = field(default_factory=dict)
    averages: dict[str, nn.Module] = field(init=False)
    begun: int = field(init=False)

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise OutOfRange("minutes", self.minutes, "a time budget above 0")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.averages = {name: copy.deepcopy(model).eval().requires_grad_(False) for name, model in self.models.items()}
        self._resume()
        self.begun = self.images
        self.optimisers = {n: torch.optim.Adam(m.parameters(), self.rate, (0.9, 0.99)) for n, m in self.models.items()}
        self.started = time.monotonic()

    @property
    def progress(self) -> float:
        return min(1.0, (time.monotonic() - self.started) / (60 * self.minutes))

    def learning_rate(self) -> float:
        rise = min(1.0, ((self.images - self.begun) / self.batch + 1) / RISE_STEPS)
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * self.progress))

    def steps(self) -> Iterator[Callable[[Mapping[str, float]], None]]:
        """Until the budget is spent: a turn each, with a function that takes the turn's figures for the log."""
        sums: dict[str, float] = {}
        turns, saved = 0, time.monotonic()

        def note(figures: Mapping[str, float]) -> None:
            for name, figure in figures.items():
                sums[name] = sums.get(name, 0.0) + figure

        with tqdm(total=round(self.minutes * 60), desc=self.folder.name, unit="s") as bar:
            while self.progress < 1.0:
                yield note
                self.images += self.batch
                turns += 1
                bar.update(round(time.monotonic() - self.started) - bar.n)
                if time.monotonic() - saved > SAVE_SECONDS or self.progress >= 1.0:
                    means = {name: round(total / turns, 5) for name, total in sums.items()}
                    self.save({"images": self.images, "rate": round(self.learning_rate(), 6), **means})
                    bar.set_postfix(means)
                    sums.clear()
                    turns, saved = 0, time.monotonic()

    def update(self, name: str, loss: Tensor, *others: str) -> None:
        """One step of one model's optimiser down the loss, and of `others` that the same loss trains; their averages follow.

        Gradients of all other models are dropped.
        """
        loss.backward()
        for each in (name, *others):
            self._step(each)
        for model in self.models.values():
            model.zero_grad(set_to_none=True)

    def _step(self, name: str) -> None:
        optimiser, model = self.optimisers[name], self.models[name]
        for group in optimiser.param_groups:
            group["lr"] = self.learning_rate() * self.relative_rate.get(name, 1.0)
        for parameter in model.parameters():
            if parameter.grad is not None:
                torch.nan_to_num_(parameter.grad, nan=0.0, posinf=0.0, neginf=0.0)
        optimiser.step()
        renormalise(model)
        keep = 0.5 ** (self.batch / min(self.half_life_images, self.images / 4 + self.batch))
        with torch.no_grad():
            for average, now in zip(
                self.averages[name].state_dict().values(), model.state_dict().values(), strict=True
            ):
                if average.is_floating_point():
                    average.lerp_(now, 1 - keep)

    def save(self, row: Mapping[str, Any]) -> None:
        state = {"images": self.images}
        for name, model in self.models.items():
            state[name] = model.state_dict()
            state[f"{name}.average"] = self.averages[name].state_dict()
        store(state, self.folder / "state.pt")
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if path.is_file():
            state = torch.load(path, weights_only=True)
            self.images = state["images"]
            for name, model in self.models.items():
                if name in state:
                    model.load_state_dict(state[name])
                    self.averages[name].load_state_dict(state[f"{name}.average"])


def store(state: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint; whoever is stopped meanwhile still has the one before."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def averaged(folder: Path, name: str, model: nn.Module) -> nn.Module:
    """The model with the averaged weights of a training, ready to use."""
    state = torch.load(folder / "state.pt", weights_only=True)
    model.load_state_dict(state[f"{name}.average"])
    return model.eval().requires_grad_(False)
