"""The training set: procedural materials drawn from seeds, kept as one file of bytes."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .freedoom import find_wad, labelled, read_wad
from .materials import CHANNELS, make
from .vocabulary import MATERIALS, MODIFIERS, WORDS

SIZE = 128
HELD_OUT = 1 << 40
"""Seeds from here on are never trained on: what the classifier and the quality report hold against the model."""
EXCLUSIVE = (
    ("dark", "pale"),
    ("red", "blue", "green", "yellow"),
    ("fine", "coarse"),
    ("wet", "snowy"),
    ("worn", "polished"),
)


class Pictures(Protocol):
    """Maps by sample: an array, or several that stand for one."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: Any, /) -> Any: ...


@dataclass(frozen=True)
class Joined:
    """One array of maps followed by those of another in an `order`, with repetitions, without copying either."""

    first: Pictures
    second: NDArray[np.uint8]
    order: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first) + len(self.order)

    def __getitem__(self, i: int) -> Any:
        return self.first[i] if i < len(self.first) else self.second[self.order[i - len(self.first)]]


@dataclass(frozen=True)
class Dataset:
    """maps (N, 6, SIZE, SIZE) uint8, conditions (N, words) float32 and, for each sample, whether its data maps are real."""

    maps: Pictures
    conditions: NDArray[np.float32]
    complete: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.maps)


def draw_label(rng: np.random.Generator, material: str | None = None) -> tuple[str, dict[str, float]]:
    """A material and up to two modifiers with strengths; those that contradict each other never meet."""
    material = material or str(rng.choice(MATERIALS))
    chosen: dict[str, float] = {}
    for name in rng.permutation(MODIFIERS)[: int(rng.choice(3, p=(0.35, 0.42, 0.23)))]:
        if not any(name in group and other in group for group in EXCLUSIVE for other in chosen):
            chosen[str(name)] = 1.0 if rng.random() < 0.6 else round(float(rng.uniform(0.35, 1.0)), 2)
    return material, chosen


def condition(material: str, modifiers: dict[str, float]) -> NDArray[np.float32]:
    """What the model is told of a label, (words,)."""
    vector = np.zeros(len(WORDS), np.float32)
    vector[WORDS.index(material)] = 1.0
    for name, strength in modifiers.items():
        vector[WORDS.index(name)] = strength
    return vector


def sample(seed: int, size: int = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The texture and condition of one seed; the material goes round the vocabulary, so that all are alike in number."""
    rng = np.random.default_rng([seed, 0x6C61626C])
    material, modifiers = draw_label(rng, MATERIALS[seed % len(MATERIALS)])
    maps = make(material, modifiers, seed, size, float(np.exp(rng.normal(0.0, 0.12))))
    return np.round(maps * 255).astype(np.uint8), condition(material, modifiers)


def plain_sample(seed: int, size: int = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """As `sample`, but of the material alone: what a prompt of one word is held against."""
    material = MATERIALS[seed % len(MATERIALS)]
    grain = float(np.exp(np.random.default_rng([seed, 0x706C6E]).normal(0.0, 0.12)))
    return np.round(make(material, {}, seed, size, grain) * 255).astype(np.uint8), condition(material, {})


def generate(folder: Path, count: int, first_seed: int = 0, plain: bool = False) -> Dataset:
    """The first `count` samples of the set in a folder, made where it is missing or shorter."""
    folder.mkdir(parents=True, exist_ok=True)
    about = folder / "set.json"
    known = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    if (known.get("first_seed"), known.get("size")) != (first_seed, SIZE) or known["count"] < count:
        part = folder / "maps.part"
        maps = np.lib.format.open_memmap(part, "w+", np.uint8, (count, len(CHANNELS), SIZE, SIZE))
        conditions = np.zeros((count, len(WORDS)), np.float32)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            made = pool.map(plain_sample if plain else sample, range(first_seed, first_seed + count), chunksize=16)
            for i, (texture, given) in enumerate(tqdm(made, "textures", count, unit="tx")):
                maps[i], conditions[i] = texture, given
        maps.flush()
        part.replace(folder / "maps.npy")
        np.save(folder / "conditions.npy", conditions)
        about.write_text(json.dumps({"count": count, "first_seed": first_seed, "size": SIZE}), encoding="utf-8")
    maps = np.load(folder / "maps.npy")[
        :count
    ]  # in memory: reading samples at random from a disk is slower than training
    return Dataset(maps, np.load(folder / "conditions.npy")[:count], np.ones(count, bool))


def _same(words: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of each row of words (N, words), how many of the others (M, words) are the same."""
    return np.array([(others == row).all(1).sum() for row in words])


def with_freedoom(data: Dataset, share: float) -> Dataset:
    """The set followed by real game textures, which have colour only, each at least once.

    They are repeated until they are about `share` of the samples with the same words. Were they `share` of the whole set, a
    prompt such as "mossy brick" would have many more samples of four pictures than of the generator, and look like those.
    """
    real = labelled(read_wad(find_wad()))
    maps = np.full((len(real), len(CHANNELS), SIZE, SIZE), 128, np.uint8)
    maps[:, :3] = np.stack([pixels.transpose(2, 0, 1) for pixels, _, _ in real])
    given = np.stack([condition(material, modifiers) for _, material, modifiers in real])
    words = given > 0
    drawn, own = (_same(words, set_ > 0) for set_ in (data.conditions, given))
    times = np.maximum(1, np.round(drawn * share / (1 - share) / own)).astype(np.int64)
    order = np.repeat(np.arange(len(real)), times)
    return Dataset(
        Joined(data.maps, maps, order),
        np.concatenate([data.conditions, given[order]]),
        np.concatenate([data.complete, np.zeros(len(order), bool)]),
    )
