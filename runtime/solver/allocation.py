"""From a trace to a table: what a later segment still needs is kept in a slot; what is needed no more gives its slot up, as
registers do in a compiler.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .plan import Plan

if TYPE_CHECKING:
    from .tracing import Trace


def tabulate(trace: Trace, result: int) -> Plan:
    """The plan of a trace whose last segment makes the symbol `result`."""
    rows, draw_of, made = len(trace.rows), trace.draw_of, trace.sums
    alive, drawn = _alive(trace, [*(row.read for row in trace.rows), result])
    slots, noise = max(map(len, alive)), max(map(len, drawn))
    number = {symbol: k for k, symbol in enumerate(sorted({s for each in drawn for s in each}))}
    draws = np.full((rows + 1, noise), -1, np.int64)
    across = slots + 2 + noise
    column = {0: 0, 1: 1}  # of the head: the start and the image
    at, weights = list[int](), list[float]()  # of the numbers that are not zero
    first = 0
    for r, (each, own) in enumerate(zip(alive, drawn, strict=True)):
        for k, symbol in enumerate(own):
            column[symbol], draws[r, k] = slots + 2 + k, number[symbol]
        start = r * slots * across
        for symbol in each:
            if symbol < first or symbol not in made:
                at.append(start + column[symbol])
                weights.append(1.0)
            else:
                total = made[symbol]
                at += [start + column[base] for base in total]
                weights += total.values()
            start += across
        if r < rows:
            column = dict(zip(each, range(slots), strict=False))
            first = raw = trace.rows[r].raw
            column[raw], column[trace.rows[r].raw_uncond] = slots, slots + 1
    table = np.zeros((rows + 1, slots, across))
    table.reshape(-1)[at] = weights
    return Plan(
        head=table[0][:, [0, 1, *range(slots + 2, across)]],
        read=np.pad([[row.level.scale] for row in trace.rows], ((0, 0), (0, slots - 1))),
        time=np.array([row.level.time for row in trace.rows]),
        mix=table[1:],
        draws=draws,
        blend=np.array([[1.0 / row.b, -row.a / row.b] for row in trace.rows]),
        intervals=np.array([trace.intervals[draw_of[symbol]] for symbol in number], np.float64).reshape(-1, 2),
    )


def _alive(trace: Trace, reads: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """For each segment the symbols in slots after it, first what is read next, then what a later segment needs, oldest
    first; and the draws that it uses. Found from the last segment to the first."""
    made, draw_of = trace.sums, trace.draw_of.keys()
    alive, drawn = list[list[int]](), list[list[int]]()
    needed: set[int] = set()
    for read, first in zip(reversed(reads), [*(row.raw for row in reversed(trace.rows)), 0], strict=True):
        needed.discard(read)
        later = sorted(needed)
        cut = bisect_left(later, first)
        alive.append([read, *later])
        bases = set(later[:cut]).union(made[read], *[made.get(symbol, (symbol,)) for symbol in later[cut:]])
        drawn.append(sorted(bases & draw_of) if draw_of else [])
        needed = {base for base in bases if base < first}
    return alive[::-1], drawn[::-1]
