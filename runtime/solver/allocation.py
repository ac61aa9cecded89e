"""From a trace to a table: what a later segment still needs is kept in a slot; what is needed no more gives its slot up, as
registers do in a compiler.

Where the numbers stand depends on which symbols a trace sums and not on their weights, so a trace that differs from an
earlier one in its weights only (another guidance or spacing) takes over its layout.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .plan import Plan
from .process import Level
from .tracing import Trace, Vector

Whole = NDArray[np.int64]
LAYOUTS: dict[tuple[bytes, ...], Layout] = {}
"""The newest layouts, by what was summed: at most KNOWN of at most LARGEST sums, which is 6 MB or less."""
KNOWN, LARGEST = 64, 6000


class Layout(NamedTuple):
    """Where the numbers of a table stand. `table` is (rows + 1, slots, slots + 2 + noise): the head over the start, the image
    and its draws, then each row's mix; the other two are places in it, counted through."""

    draws: Whole  # the plan's, (rows + 1, noise)
    drawn: tuple[int, ...]  # the symbol of each draw that is used
    table: tuple[int, int, int]
    ones: Whole  # (k,): of what is kept
    places: Whole  # (n,): of weights
    weights: Whole  # (n,): which of all weights of the trace's sums, in order


def tabulate(trace: Trace, result: Vector, final: Level) -> Plan:
    """The plan of a trace that came to `result`, at the level `final`."""
    trace.define((result * final.scale).terms)  # the newest symbol, and needed to the end
    values = np.fromiter(chain.from_iterable(map(dict.values, trace.sums.values())), np.float64)
    draws, drawn, shape, ones, places, weights = _layout_of(trace)
    table = np.zeros(shape)
    flat = table.reshape(-1)
    flat[ones] = 1.0
    flat[places] = values[weights]
    slots, across = shape[1:]
    scale, time, a, b = np.array([(row.level.scale, row.level.time, row.a, row.b) for row in trace.rows]).T
    read = np.zeros((len(time), slots))
    read[:, 0] = scale
    return Plan(
        head=table[0][:, [0, 1, *range(slots + 2, across)]],
        read=read,
        time=np.ascontiguousarray(time),
        mix=table[1:],
        draws=draws,
        blend=np.stack([1.0 / b, -a / b], 1),
        intervals=np.array([trace.intervals[trace.draw_of[each]] for each in drawn], np.float64).reshape(-1, 2),
    )


def _layout_of(trace: Trace) -> Layout:
    sums = trace.sums.values()
    key = tuple(
        np.fromiter(numbers, np.int64).tobytes()
        for numbers in ((row.raw for row in trace.rows), trace.draw_of, map(len, sums), chain.from_iterable(sums))
    )
    layout = LAYOUTS.get(key)
    if layout is None:
        layout = _lay_out(trace)
        if len(sums) <= LARGEST:
            LAYOUTS[key] = layout
        while len(LAYOUTS) > KNOWN:
            LAYOUTS.pop(next(iter(LAYOUTS)), None)
    return layout


def _alive(trace: Trace) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """For each segment, oldest first: the symbols in slots after it, those of them that it makes, and the draws it uses.
    The newest symbol is the one that is read next. Found from the last segment to the first."""
    sums, draws = trace.sums, trace.draw_of.keys()
    alive, made, drawn = list[list[int]](), list[list[int]](), list[list[int]]()
    needed = {trace.symbols - 1}
    for row in [*reversed(trace.rows), None]:
        first = row.raw if row else 0
        after = sorted(needed)
        alive.append(after)
        new = after[bisect_left(after, first) :]
        made.append(new)
        needed.difference_update(new)
        needed.update(*[sums.get(symbol, (symbol,)) for symbol in new])
        if draws:
            own = {symbol for symbol in needed if symbol >= first}
            drawn.append(sorted(own & draws))
            needed -= own
        else:
            drawn.append([])
            needed.discard(first)
            needed.discard(first + 1)
        if row:
            needed.add(row.read)
    return alive[::-1], made[::-1], drawn[::-1]


def _lay_out(trace: Trace) -> Layout:
    alive, made, drawn = _alive(trace)
    slots, noise = max(map(len, alive)), max(map(len, drawn))
    across = slots + 2 + noise
    raw = np.array([0, *(row.raw for row in trace.rows)])  # of the row before a segment
    segment, symbol, slot, lengths = _in_a_row(alive)
    slot = np.where(slot == lengths[segment] - 1, 0, slot + 1)
    known = segment * trace.symbols + symbol  # rises, so what stands where is found by bisection

    def place(segment: Whole, target: Whole, column: Whole) -> Whole:
        return (segment * slots + target) * across + column

    def kept(segment: Whole, symbol: Whole) -> Whole:
        """Columns of what stood in a slot when the segment began."""
        return np.asarray(slot[np.searchsorted(known, (segment - 1) * trace.symbols + symbol)])

    old = symbol < raw[segment]
    ones = place(segment[old], slot[old], kept(segment[old], symbol[old]))

    within, draw, k, _ = _in_a_row(drawn)
    used = sorted(set(draw.tolist()))
    draws = np.full((len(alive), noise), -1, np.int64)
    draws[within, k] = np.searchsorted(used, draw)

    segment, symbol, _, _ = _in_a_row(made)
    target = slot[np.searchsorted(known, segment * trace.symbols + symbol)]
    is_sum = np.array([each in trace.sums for each in symbol.tolist()], bool)  # else a draw is kept, or the start
    at = _column(segment[~is_sum], symbol[~is_sum], raw, slots, within * trace.symbols + draw, trace.symbols)
    ones = np.append(ones, place(segment[~is_sum], target[~is_sum], at))
    segment, symbol, target = segment[is_sum], symbol[is_sum], target[is_sum]
    sums = [trace.sums[each] for each in symbol.tolist()]
    counts = np.fromiter(map(len, sums), np.int64)
    begins = np.zeros(trace.symbols + 1, np.int64)  # of a symbol's weights among all
    begins[list(trace.sums)] = np.cumsum([0, *map(len, trace.sums.values())])[:-1]
    weights = np.repeat(begins[symbol] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    segment, target = np.repeat(segment, counts), np.repeat(target, counts)
    base = np.fromiter(chain.from_iterable(sums), np.int64)
    at = _column(segment, base, raw, slots, within * trace.symbols + draw, trace.symbols)
    old = base < raw[segment]
    at[old] = kept(segment[old], base[old])
    return Layout(draws, tuple(used), (len(alive), slots, across), ones, place(segment, target, at), weights)


def _column(segment: Whole, symbol: Whole, raw: Whole, slots: int, drawn: Whole, symbols: int) -> Whole:
    """Columns of what came to be in the segment: the start and the image, the row's outputs, its draws."""
    found = np.where(segment == 0, symbol, slots + symbol - raw[segment])
    if len(drawn):
        at = np.minimum(np.searchsorted(drawn, segment * symbols + symbol), len(drawn) - 1)
        is_draw = drawn[at] == segment * symbols + symbol
        begins = np.searchsorted(drawn, segment * symbols)
        found[is_draw] = (slots + 2 + at - begins)[is_draw]
    return found


def _in_a_row(lists: list[list[int]]) -> tuple[Whole, Whole, Whole, Whole]:
    """All entries of some lists in a row: which list each is in, the entry, its place there; and the lists' lengths."""
    lengths = np.fromiter(map(len, lists), np.int64)
    of = np.repeat(np.arange(len(lists)), lengths)
    entries = np.fromiter(chain.from_iterable(lists), np.int64)
    return of, entries, np.arange(len(entries)) - (np.cumsum(lengths) - lengths)[of], lengths
