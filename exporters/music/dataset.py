"""Training data: pieces of the composer and of Freedoom as arrays; and batches of them in the delay pattern.

A loop is rolled by whole bars, its places in bar and phrase with it: so the model learns its end from what follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ...runtime.music.conditions import GROUPS, SIZE, STATIC, Conditions, places, vector
from ...runtime.music.tokens import CHORDS, DELAYS, FIRST, LEAD, SHAPES, SIZES, Tokens
from . import freedoom
from .composer import piece
from .network import NOT_YET, UNSEEN

FRAMES = 128
"""Longest run of frames that is trained on: eight bars of 4/4."""
STEPS = FRAMES + max(DELAYS)
SPINE = (CHORDS, LEAD)
"""What stays when intensity changes: the model is also taught to make these alone, deaf to intensity."""
PARTIAL = ("style", "section", "scale", "beats")
"""What double guidance's middle evaluation hears."""
FEWEST = 3
"""Chords of a real piece, at least: a model that hears many pieces that stand still does so itself."""


@dataclass(frozen=True)
class Pool:
    """Pieces end to end: `tokens` uint8 (5, all frames), `first` and `frames` of each, whether it is a loop, conditions."""

    tokens: NDArray[np.uint8]
    first: NDArray[np.int64]
    frames: NDArray[np.int64]
    beats: NDArray[np.int64]
    loop: NDArray[np.bool_]
    static: NDArray[np.float32]  # (pieces, STATIC)

    def __len__(self) -> int:
        return len(self.frames)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **vars(self))
        part.replace(path)


def load(path: Path) -> Pool:
    with np.load(path) as arrays:
        return Pool(**arrays)


def gather(pieces: Iterable[tuple[Conditions, Tokens]], loops: bool = True) -> Pool:
    """`loops`: those of the section loop go round; else all are heard from their start on, and no end is taught."""
    found = list(pieces)
    frames = np.array([tokens.shape[1] for _, tokens in found])
    return Pool(
        tokens=np.concatenate([tokens for _, tokens in found], 1).astype(np.uint8),
        first=np.cumsum(frames) - frames,
        frames=frames,
        beats=np.array([conditions.beats for conditions, _ in found]),
        loop=np.array([loops and conditions.section == "loop" for conditions, _ in found]),
        static=np.stack([vector(conditions) for conditions, _ in found]),
    )


def joined(pools: list[Pool]) -> Pool:
    """Several pools as one."""
    lengths = [0, *np.cumsum([pool.tokens.shape[1] for pool in pools])[:-1]]
    return Pool(
        tokens=np.concatenate([pool.tokens for pool in pools], 1),
        first=np.concatenate([pool.first + at for pool, at in zip(pools, lengths, strict=True)]),
        frames=np.concatenate([pool.frames for pool in pools]),
        beats=np.concatenate([pool.beats for pool in pools]),
        loop=np.concatenate([pool.loop for pool in pools]),
        static=np.concatenate([pool.static for pool in pools]),
    )


def composed(seeds: range, path: Path) -> Pool:
    """The composer's pieces of these seeds, kept in a file."""
    if not path.is_file():
        gather(piece(seed) for seed in tqdm(seeds, desc="composing", unit="piece")).save(path)
    return load(path)


def of_freedoom(names: Sequence[str], path: Path) -> Pool:
    """Freedoom's pieces of these songs, or of all that are trained on, kept in a file; those of fewer than FEWEST chords are left out."""
    if not path.is_file():
        found = [each for each in freedoom.pieces(names) if _chords(each[1]) >= FEWEST]
        gather(found, loops=False).save(path)
    return load(path)


def _chords(tokens: Tokens) -> int:
    return len({(word - FIRST) // len(SHAPES) for word in tokens[CHORDS].tolist() if word >= FIRST})


@dataclass(frozen=True)
class Batch:
    """tokens (B, STEPS, 5) as they enter, condition (B, STEPS, SIZE), target (B, STEPS, 5), -1 where nothing is learned."""

    tokens: Tensor
    condition: Tensor
    target: Tensor


def batch(
    pool: Pool, rows: NDArray[np.int64], rng: np.random.Generator, spine: float = 0.4, drop: bool = True
) -> Batch:
    """`spine`: how many of the rows see and learn the spine only."""
    target = np.full((len(rows), STEPS, len(SIZES)), -1, np.int64)
    condition = np.zeros((len(rows), STEPS, SIZE), np.float32)
    for number, row in enumerate(rows):
        start, count = _cut(pool, int(row), rng)
        target[number] = delayed(_turned(pool, int(row), start, count))
        condition[number, :, :STATIC] = pool.static[row]
        condition[number, :, STATIC:] = places(start, STEPS, int(pool.frames[row]), int(pool.beats[row]))
    alone = rng.random(len(rows)) < spine
    if drop:
        condition[:, :, :STATIC] *= heard(rng, len(rows))[:, None]
    at = slice_of("intensity")
    condition[alone, :, at] = 0.0
    entering = np.empty_like(target)
    entering[:, 0] = NOT_YET + np.array(SIZES)
    entering[:, 1:] = np.where(target[:, :-1] < 0, NOT_YET + np.array(SIZES), target[:, :-1])
    others = [stream for stream in range(len(SIZES)) if stream not in SPINE]
    for stream in others:
        entering[alone, :, stream] = SIZES[stream] + UNSEEN
        target[alone, :, stream] = -1
    return Batch(torch.from_numpy(entering), torch.from_numpy(condition), torch.from_numpy(target))


def heard(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """(count, STATIC) of 1 and 0: each part is dropped now and then, all of them, or all but what is partial."""
    columns = []
    none, partial = rng.random(count) < 0.1, rng.random(count) < 0.1
    for name, size in GROUPS.items():
        kept = (rng.random(count) > 0.1) & ~none & ~(partial if name not in PARTIAL else np.zeros(count, bool))
        columns.append(np.repeat(kept[:, None], size, 1))
    return np.concatenate(columns, 1).astype(np.float32)


def slice_of(group: str) -> slice:
    """Where a part of the condition lies in its vector."""
    names = list(GROUPS)
    first = sum(GROUPS[name] for name in names[: names.index(group)])
    return slice(first, first + GROUPS[group])


def delayed(tokens: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(STEPS, 5): stream k's frame f stands at step f + DELAYS[k]; -1 elsewhere."""
    steps = np.full((STEPS, len(SIZES)), -1, np.int64)
    for stream, delay in enumerate(DELAYS):
        steps[delay : delay + tokens.shape[1], stream] = tokens[stream]
    return steps


def _cut(pool: Pool, row: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where a run begins and how long it is, in whole bars: a loop goes round once at most, other pieces not past their end."""
    frames, bar = int(pool.frames[row]), 4 * int(pool.beats[row])
    count = min(frames, FRAMES // bar * bar)
    if pool.loop[row]:
        return (0 if rng.random() < 0.3 else int(rng.integers(frames // bar)) * bar), count
    return int(rng.integers((frames - count) // bar + 1)) * bar, count


def _turned(pool: Pool, row: int, start: int, count: int) -> NDArray[np.uint8]:
    first, frames = int(pool.first[row]), int(pool.frames[row])
    at = first + (start + np.arange(count)) % frames
    return pool.tokens[:, at]
