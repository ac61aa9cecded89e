"""The inputs of a bundle's `loop` graph, which runs a whole plan in one call; see exporters/loop.py for its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ..solver import Plan

Array = NDArray[np.float32]


def loop_inputs(
    plan: Plan,
    start: Array,
    noise: Callable[[int], Array],
    conditions: Mapping[str, Array],
    image: Array | None = None,
) -> dict[str, Array]:
    """Float32 arrays by input name: `start`, `image` and noise(k) (B, C, h, w), each condition (2, B, ...).

    The unconditional evaluation is left out where no row of the plan uses it.
    """
    rows, slots, draws = plan.rows, plan.slots, plan.draws
    nothing = np.zeros_like(start)
    evaluations = 2 if plan.guided.any() else 1
    columns = max(1, draws.shape[1])  # some backends have trouble with an axis of size 0

    def drawn(row: int) -> list[Array]:
        fields = [nothing if k < 0 else noise(int(k)) for k in draws[row]]
        return fields + [nothing] * (columns - len(fields))

    mix = np.zeros((rows, slots, slots + evaluations + columns))
    mix[:, :, : slots + evaluations] = plan.mix[:, :, : slots + evaluations]
    mix[:, :, slots + evaluations :][:, :, : draws.shape[1]] = plan.mix[:, :, slots + 2 :]
    head = np.zeros((slots, 2 + columns))
    head[:, : plan.head.shape[1]] = plan.head
    table = {"head": head, "read": plan.read, "time": plan.time, "mix": mix}
    return {
        **{name: numbers.astype(np.float32) for name, numbers in table.items()},
        "begin": np.stack([start, nothing if image is None else image, *drawn(0)]),
        "noise": np.stack([np.stack(drawn(row + 1)) for row in range(rows)]),
        **{name: np.ascontiguousarray(condition[:evaluations]) for name, condition in conditions.items()},
    }
