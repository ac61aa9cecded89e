"""The training set: sounds drawn from seeds, kept as the features of `codec`, a file for every few hundred."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from .codec import CELL, GATES, analyse, steadied
from .synthesiser import make
from .vocabulary import EXCLUSIVE, LOOPS, MODIFIERS, SOUNDS, WORDS

LENGTHS = (32, 64, 96, 128)
"""Cells of the sounds in the set, 1 to 4 s."""
CHANCES = {True: (0.0, 0.5, 0.0, 0.5), False: (0.25, 0.5, 0.25, 0.0)}
"""Of each length, for ambiences and for one-shots."""
HELD_OUT = 1 << 40
"""Seeds from here on are never trained on: what the quality report holds against the model."""
CHUNK = len(SOUNDS) * 10
"""Sounds a file."""
FADE = 6
"""Cells, 0.2 s."""
SILENT = 4
"""Cells of silence behind a one-shot while it is analysed, so that its end hears nothing of its beginning."""


@dataclass(frozen=True)
class Example:
    """features (FEATURES, cells), or latents in their place, and what the model is told of them, condition (words,)."""

    features: NDArray[np.float16]
    condition: NDArray[np.float32]
    sound: str


def condition(sound: str, modifiers: dict[str, float]) -> NDArray[np.float32]:
    vector = np.zeros(len(WORDS), np.float32)
    vector[WORDS.index(sound)] = 1.0
    for name, strength in modifiers.items():
        vector[WORDS.index(name)] = strength
    return vector


def draw_modifiers(draw: np.random.Generator) -> dict[str, float]:
    """Up to two with strengths; those that contradict each other never meet."""
    chosen: dict[str, float] = {}
    for name in draw.permutation(MODIFIERS)[: int(draw.choice(3, p=(0.4, 0.4, 0.2)))]:
        if not any(name in pair and other in pair for pair in EXCLUSIVE for other in chosen):
            chosen[str(name)] = 1.0 if draw.random() < 0.6 else round(float(draw.uniform(0.35, 1.0)), 2)
    return chosen


def wave_of(
    seed: int, plain: bool = False, cells: int | None = None
) -> tuple[NDArray[np.float32], str, dict[str, float]]:
    """The sound of a seed (samples,), its name and its modifiers, `plain` without any; sounds go round the vocabulary."""
    draw = np.random.default_rng([seed, 0x736F756E])
    sound = SOUNDS[seed % len(SOUNDS)]
    modifiers = {} if plain else draw_modifiers(draw)
    length = int(draw.choice(LENGTHS, p=CHANCES[sound in LOOPS])) if cells is None else cells
    return make(sound, modifiers, seed, length * CELL), sound, modifiers


def features_of(wave: NDArray[np.float32], sound: str) -> NDArray[np.float32]:
    if sound in LOOPS:
        return steadied(analyse(wave))
    return faded(analyse(np.concatenate([wave, np.zeros(SILENT * CELL, np.float32)]))[:, :-SILENT])


def faded(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features of a one-shot, brought to silence over its last cells: a frame of its end reaches over to its beginning."""
    made = features.copy()
    fade = np.linspace(1.0, 0.0, FADE, dtype=np.float32)
    made[:-GATES, -FADE:] = np.log1p(np.expm1(made[:-GATES, -FADE:]) * fade)
    return made


def _example(seed: int) -> Example:
    wave, sound, modifiers = wave_of(seed)
    return Example(features_of(wave, sound).astype(np.float16), condition(sound, modifiers), sound)


def generate(folder: Path, count: int) -> list[Example]:
    """The first `count` examples, rounded up to whole files; files that are there are read, others made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.npz" for number in range(-(-count // CHUNK))]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, path in enumerate(tqdm(paths, "sounds", unit="file")):
            if not path.is_file():
                made = list(pool.map(_example, range(number * CHUNK, (number + 1) * CHUNK), chunksize=10))
                write_file(path, made)
    return [example for path in paths for example in read_file(path)]


def write_file(path: Path, examples: list[Example]) -> None:
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        features=np.concatenate([each.features for each in examples], 1),
        lengths=[each.features.shape[1] for each in examples],
        conditions=np.stack([each.condition for each in examples]),
        sounds=[each.sound for each in examples],
    )
    part.replace(path)


def read_file(path: Path) -> list[Example]:
    held = np.load(path)
    pieces = np.split(held["features"], np.cumsum(held["lengths"])[:-1], axis=1)
    return [Example(*each) for each in zip(pieces, held["conditions"], held["sounds"].tolist(), strict=True)]


def batches(data: list[Example], cells: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (B, FEATURES, 1, L) and conditions (B, words), B times L about `cells`; ambiences are turned on their ring."""
    draw = np.random.default_rng(seed)
    by_length = {n: [i for i, each in enumerate(data) if each.features.shape[1] == n] for n in LENGTHS}
    total = sum(n * len(members) for n, members in by_length.items())
    chances = [n * len(members) / total for n, members in by_length.items()]
    while True:
        length = int(draw.choice(LENGTHS, p=chances))
        chosen = [data[by_length[length][i]] for i in draw.integers(len(by_length[length]), size=cells // length)]
        features = np.stack([_turned(each, draw) for each in chosen]).astype(np.float32)
        yield torch.from_numpy(features[:, :, None]), torch.from_numpy(np.stack([each.condition for each in chosen]))


def _turned(example: Example, draw: np.random.Generator) -> NDArray[np.float16]:
    if example.sound not in LOOPS:
        return example.features
    return np.roll(example.features, int(draw.integers(example.features.shape[1])), 1)
