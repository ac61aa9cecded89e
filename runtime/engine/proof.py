"""The proof that a model's bits do not depend on company: made at first load on a machine, then read from a cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .backends import Array, Graph

BATCH = 4
SIDES = (8, 16)
"""Latent sizes that the proof tries, cells a side."""


@dataclass(frozen=True)
class Proof:
    """`fixed_batch` None: any batch gives the same bits; a number: calls are padded to it; 1: one at a time."""

    fixed_batch: int | None

    @property
    def strategy(self) -> str:
        return "any batch" if self.fixed_batch is None else f"batches of {self.fixed_batch}"


def prove(step: Graph, channels: int, condition: int, digest: str, cache: Path) -> Proof:
    """Runs samples alone, in batches and in other slots, and compares bits; the answer is kept for this machine."""
    key = json.dumps([digest, step.identity.to_dict(), platform.processor(), platform.platform(), BATCH, SIDES])
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    try:
        return Proof(json.loads(path.read_text())["fixed_batch"])
    except (OSError, ValueError, KeyError):
        proof = _prove(step, channels, condition)
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"fixed_batch": proof.fixed_batch}))
    os.replace(part, path)
    return proof


def _prove(step: Graph, channels: int, condition: int) -> Proof:
    if all(_equal_in_any_batch(step, channels, condition, side) for side in SIDES):
        return Proof(None)
    if all(_equal_in_any_slot(step, channels, condition, side) for side in SIDES):
        return Proof(BATCH)
    return Proof(1)


def _samples(channels: int, condition: int, side: int) -> dict[str, Array]:
    rng = np.random.default_rng(side)
    return {
        "latent": rng.standard_normal((BATCH, channels, side, side), np.float32),
        "time": np.linspace(1.0, 0.1, BATCH, dtype=np.float32),
        "condition": rng.random((BATCH, condition), np.float32),
    }


def _run(step: Graph, samples: dict[str, Array], order: list[int]) -> Array:
    return step.run({name: np.ascontiguousarray(array[order]) for name, array in samples.items()})["raw"]


def _equal_in_any_batch(step: Graph, channels: int, condition: int, side: int) -> bool:
    samples = _samples(channels, condition, side)
    alone = [_run(step, samples, [i])[0] for i in range(BATCH)]
    orders = ([0, 1], [2, 0, 1], [3, 2, 1, 0])
    return all(
        np.array_equal(_run(step, samples, order)[at], alone[i]) for order in orders for at, i in enumerate(order)
    )


def _equal_in_any_slot(step: Graph, channels: int, condition: int, side: int) -> bool:
    samples = _samples(channels, condition, side)
    first = _run(step, samples, [0, 1, 2, 3])
    return all(
        np.array_equal(_run(step, samples, o)[at], first[i])
        for o in ([3, 2, 1, 0], [1, 1, 1, 1])
        for at, i in enumerate(o)
    )
