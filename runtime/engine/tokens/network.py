"""A token model's step graph opened on a backend: one step for many sequences, whose bits do not depend on company.

It is held to one thread: the products of one step are too small to share, and one thread's bits are always the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ....assets.bundle import Bundle
from ..backends import Graph
from ..pace import Pace
from ..proof import is_batch, keep, kept

Array = NDArray[np.float32]

FIXED = 8
"""Rows of a padded call where bits depend on how many rows there are: one guided piece and its neighbour, or two."""
ROWS_PER_CALL = 32
NEVER = np.float32(-1e9)
"""Added to the score of a place in the cache that holds nothing: its chance is exactly 0."""


@dataclass(frozen=True)
class Cache:
    """The shape of one row's keys and values, (layers, heads, window, head)."""

    layers: int
    heads: int
    window: int
    head: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.layers, self.heads, self.window, self.head


@dataclass(eq=False)
class TokenNetwork:
    """`step` of one bundle. Calls are made from one thread at a time. fixed: rows of every call; None: any number."""

    bundle: Bundle
    step: Graph
    cache: Cache
    fixed: int | None
    row: Pace = field(default_factory=Pace)
    _warm: set[int] = field(default_factory=set)

    @property
    def made_by(self) -> dict[str, str]:
        return {**self.step.identity.to_dict(), "bundle": self.bundle.digest}

    @property
    def strategy(self) -> str:
        return f"{'any batch' if self.fixed is None else f'batches of {self.fixed}'}, on one thread"

    def batch_for(self, size: tuple[int, ...]) -> int:
        """Rows that one call takes."""
        return ROWS_PER_CALL

    def evaluate(
        self, tokens: Array, conditions: Array, times: Array, keys: Array, values: Array, mask: Array
    ) -> tuple[Array, Array, Array]:
        """Logits (B, words), keys and values (B, layers, heads, head) of a step for B rows; see exporters/music/network.py."""
        began = time.perf_counter()
        inputs = dict(tokens=tokens, condition=conditions, time=times, keys=keys, values=values, mask=mask)
        count, size = len(tokens), self.fixed or len(tokens)
        parts = [self._call(inputs, at, min(at + size, count), size) for at in range(0, count, size)]
        found = parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        if count in self._warm:
            now = time.perf_counter()
            self.row.note((now - began) / count, now)
        self._warm.add(count)
        return found["logits"], found["key"], found["value"]

    def _call(self, inputs: dict[str, Array], first: int, last: int, size: int) -> dict[str, Array]:
        count = last - first
        given = {name: array[first:last] for name, array in inputs.items()}
        if count < size:
            index = np.minimum(np.arange(size), count - 1)
            given = {name: array[index] for name, array in given.items()}
        found = self.step.run({name: np.ascontiguousarray(array) for name, array in given.items()})
        return {name: array[:count] for name, array in found.items()}

    def expected_seconds(self, cells: int, evaluations: float) -> float:
        """Model time of so many rows when they have the engine for themselves; 0.0 before anything was measured."""
        return self.row.expected() * evaluations


def prove(step: Graph, cache: Cache, streams: int, condition: int, digest: str, folder: Path) -> int | None:
    """None where rows have the same bits in any batch and slot, else FIXED where they have in batches of that, else 1.

    Kept for this machine, as engine/proof.py does for latents.
    """
    made_by = [step.identity.to_dict(), platform.processor(), platform.platform()]
    key = hashlib.sha256(json.dumps([digest, *made_by, FIXED, ROWS_PER_CALL, "tokens"]).encode()).hexdigest()
    path = folder / f"{key}.json"
    fixed = kept(path).get("fixed", 0)
    if not is_batch(fixed, FIXED):
        fixed = _fixed(step, _samples(cache, streams, condition))
        keep(path, {"fixed": fixed})
    return cast(int | None, fixed)


def _samples(cache: Cache, streams: int, condition: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    count = ROWS_PER_CALL
    filled = rng.integers(0, cache.window + 1, count)
    return {
        "tokens": rng.integers(0, 30, (count, streams)).astype(np.float32),
        "condition": rng.random((count, condition), np.float32),
        "time": filled.astype(np.float32),
        "keys": rng.standard_normal((count, *cache.shape), np.float32),
        "values": rng.standard_normal((count, *cache.shape), np.float32),
        "mask": np.where(np.arange(cache.window) < filled[:, None], np.float32(0), NEVER).astype(np.float32),
    }


def _fixed(step: Graph, samples: dict[str, Array]) -> int | None:
    alone = [_run(step, samples, [i]) for i in range(ROWS_PER_CALL)]
    orders = ([0, 1], [3, 1, 2, 0], list(range(8)), list(range(7, -1, -1)), list(range(12)), list(range(ROWS_PER_CALL)))
    if all(_same(_run(step, samples, order), [alone[i] for i in order]) for order in orders):
        return None
    first = _run(step, samples, list(range(FIXED)))
    turns = ([*range(FIXED - 1, -1, -1)], [1] * FIXED, [*range(4, FIXED), *range(4)])
    full = [{name: array[i : i + 1] for name, array in first.items()} for i in range(FIXED)]
    return FIXED if all(_same(_run(step, samples, order), [full[i] for i in order]) for order in turns) else 1


def _run(step: Graph, samples: dict[str, Array], order: list[int]) -> dict[str, Array]:
    return step.run({name: np.ascontiguousarray(array[order]) for name, array in samples.items()})


def _same(found: dict[str, Array], expected: list[dict[str, Array]]) -> bool:
    return all(np.array_equal(found[name][at], one[name][0]) for at, one in enumerate(expected) for name in found)
