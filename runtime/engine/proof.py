"""The proof that a model's bits do not depend on company or thread count: made at first load on a machine, then cached.

Both can fail: ONNX Runtime computes a convolution whose input channels do not fill its blocks (17 of them, say) as a matrix
product, whose order of summation follows how the work was split, and only at some sizes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...assets.bundle import Bundle
from ...assets.manifest import grain_shape, input_shapes
from ...assets.store import write_whole
from ..worker import Worker
from .backends import Array, Graph

Graphs = tuple[Graph, Graph]
EVERY = slice(None)
BATCH = 4
Sizes = tuple[tuple[int, int], ...]
SIZES: Sizes = ((8, 8), (8, 16), (16, 16))
"""Latent sizes of pictures that the proof tries, cells."""
LENGTHS: Sizes = ((1, 8), (1, 12), (1, 16))
"""Of sounds, which are one cell high."""


@dataclass(frozen=True)
class Proof:
    """`fixed_batch` None: any batch gives the same bits; a number: calls are padded to it; 1: one at a time.

    any_threads  whether the bits are those of one thread
    one_thread   whether the graphs are held to one thread, because they were not
    """

    fixed_batch: int | None
    any_threads: bool = True
    one_thread: bool = False

    @property
    def strategy(self) -> str:
        batch = "any batch" if self.fixed_batch is None else f"batches of {self.fixed_batch}"
        return f"{batch}, on one thread" if self.one_thread else batch


def prove(
    bundle: Bundle,
    graphs: Graphs,
    threads: int,
    single: Callable[[], Graphs],
    cache: Path,
    sizes: Sizes = SIZES,
    name: str = "step",
) -> Proof:
    """Runs samples alone, in batches, in other slots and on one thread, and compares bits; kept for this machine.

    graphs  a step graph and decode as they will run, with `threads`
    single  loads both for one thread
    sizes   of latents (height, width), cells
    name    of the step graph
    """
    step, _ = graphs
    made_by = [step.identity.to_dict(), platform.processor(), platform.platform(), threads]
    key = json.dumps([bundle.digest, *made_by, BATCH, sizes, *([name] if name != "step" else [])])
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    found = kept(path)
    fixed_batch, any_threads = found.get("fixed_batch", 0), found.get("any_threads")
    if is_batch(fixed_batch, BATCH) and isinstance(any_threads, bool):
        return Proof(fixed_batch, any_threads)
    samples = [_samples(bundle, size, name) for size in sizes]
    with closing(Worker("cadenza-proof")) as beside:  # loading leaves a core free, and first starts wait for this
        one_thread = beside.make(lambda: _alone(single(), samples)) if threads > 1 else None
        fixed_batch = _fixed_batch(step, samples)
        proof = Proof(fixed_batch, one_thread is None or _equal(_alone(graphs, samples), one_thread.result()))
    keep(path, {"fixed_batch": proof.fixed_batch, "any_threads": proof.any_threads})
    return proof


def kept(path: Path) -> dict[str, Any]:
    """What a proof's file says, to be checked; nothing where there is none, or one that cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(path: Path, proof: dict[str, Any]) -> None:
    """Keeps a proof for the next start. Where that cannot be, the next start proves anew: it takes longer, nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(proof).encode())
    except OSError as error:
        remedy = "set CADENZA_HOME to a folder that can be written"
        logging.getLogger("cadenza").warning(
            "a proof is not kept and made anew at the next start: %s; %s", error, remedy
        )


def is_batch(value: Any, batch: int) -> bool:
    """Whether a file says what a proof can: any batch, batches of so many, or one at a time."""
    return value is None or (type(value) is int and value in (1, batch))


def strictest(proofs: Iterable[Proof]) -> Proof:
    """What holds for all of several graphs."""
    together = list(proofs)
    fixed = [proof.fixed_batch for proof in together if proof.fixed_batch is not None]
    return Proof(min(fixed, default=None), all(proof.any_threads for proof in together))


def _fixed_batch(step: Graph, samples: list[dict[str, Array]]) -> int | None:
    if all(_equal_in_any_batch(step, each) for each in samples):
        return None
    return BATCH if all(_equal_in_any_slot(step, each) for each in samples) else 1


def _alone(graphs: Graphs, samples: list[dict[str, Array]]) -> list[Array]:
    """What step and decode make of the first sample of each size."""
    step, decode = graphs
    firsts = [{name: array[:1] for name, array in each.items()} for each in samples]
    return [made for each in firsts for made in (_run(step, each), _decoded(decode, each))]


def _equal(some: list[Array], others: list[Array]) -> bool:
    return all(map(np.array_equal, some, others))


def _samples(bundle: Bundle, size: tuple[int, int], step: str) -> dict[str, Array]:
    rng = np.random.default_rng(size)
    inputs = input_shapes(bundle.manifest, step, *size)
    samples = {
        "latent": rng.standard_normal((BATCH, bundle.manifest.latent.channels, *size), np.float32),
        "time": np.linspace(1.0, 0.1, BATCH, dtype=np.float32),
        "condition": rng.random((BATCH, bundle.condition_size), np.float32),
        **{name: rng.random((BATCH, *shape), np.float32) for name, shape in inputs.items()},
    }
    grain = grain_shape(bundle.manifest, *size)
    return samples if grain is None else {**samples, "noise": rng.standard_normal((BATCH, *grain), np.float32)}


def _decoded(decode: Graph, samples: dict[str, Array]) -> Array:
    return decode.run({name: samples[name] for name in ("latent", "noise") if name in samples})["maps"]


def _run(step: Graph, samples: dict[str, Array], order: list[int] | slice = EVERY) -> Array:
    given = {name: np.ascontiguousarray(array[order]) for name, array in samples.items() if name != "noise"}
    return step.run(given)["raw"]


def _equal_in_any_batch(step: Graph, samples: dict[str, Array]) -> bool:
    alone = [_run(step, samples, [i])[0] for i in range(BATCH)]
    orders = ([0, 1], [2, 0, 1], [3, 2, 1, 0])
    return all(
        np.array_equal(_run(step, samples, order)[at], alone[i]) for order in orders for at, i in enumerate(order)
    )


def _equal_in_any_slot(step: Graph, samples: dict[str, Array]) -> bool:
    first = _run(step, samples, [0, 1, 2, 3])
    return all(
        np.array_equal(_run(step, samples, o)[at], first[i])
        for o in ([3, 2, 1, 0], [1, 1, 1, 1])
        for at, i in enumerate(o)
    )
