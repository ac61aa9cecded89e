"""A job whose row is one step of a sequence: every stream says a word. All of its state lives here, its cache too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .network import NEVER, Array, TokenNetwork
from .plan import TokenPlan
from .sampling import choose

NOT_YET, UNSEEN = 0, 1
"""Words behind those of a stream: before its first frame and after its last, and kept from the row."""


def _nothing(*_: object) -> None: ...


@dataclass(frozen=True, eq=False)
class Past:
    """What a sequence has behind it where one job goes on with it, in the same arrays.

    steps         done before the job's first row
    keys, values  the ring after them, (width, layers, heads, window, head)
    tokens        (streams, n): the last words of every stream, n above the longest delay
    since         (width,): the step from which on each row remembers
    """

    steps: int
    keys: Array
    values: Array
    tokens: NDArray[np.int64]
    since: NDArray[np.int64]


@dataclass(eq=False)
class TokenJob:
    """`gumbels()` makes the noise, float64 (streams, frames, words), when the job is first chosen.

    past   where the sequence goes on with another job's; none: it begins
    forgets  (width,): rows that begin anew and know nothing of the past; none do where it is left out
    until  rows to run; none: all of the plan's
    keep   a row from which another job goes on (`left`); what the rows from there on write over is kept
    """

    network: TokenNetwork
    plan: TokenPlan
    gumbels: Callable[[], NDArray[np.float64]]
    priority: int = 0
    deadline: float = float("inf")
    arrived: float = 0.0
    row: int = 0
    past: Past | None = None
    forgets: NDArray[np.bool_] | None = None
    until: int | None = None
    keep: int | None = None
    on_row: Callable[[TokenJob], None] = _nothing
    on_done: Callable[[TokenJob], None] = _nothing
    on_error: Callable[[TokenJob, Exception], None] = _nothing
    model_seconds: float = 0.0
    tokens: NDArray[np.int64] = field(init=False)  # (streams, frames), -1 where nothing was said yet
    _noise: NDArray[np.float64] = field(init=False)
    _keys: Array = field(init=False)
    _values: Array = field(init=False)
    _since: NDArray[np.int64] = field(init=False)
    _over: list[tuple[int, Array, Array]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = np.full((len(self.plan.sizes), self.plan.frames), -1, np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Jobs of one network share a call whatever their length."""
        return (1, 1, 1)

    @property
    def given(self) -> Mapping[str, Array]:
        """Whatever else its network reads: nothing."""
        return {}

    @property
    def finished(self) -> bool:
        return self.row == (self.plan.steps if self.until is None else self.until)

    @property
    def left(self) -> Past:
        """What a job needs that goes on from row `keep`; once all words of the frames before it are said. This one is done then."""
        assert self.keep is not None
        while self._over:
            slot, key, value = self._over.pop()
            self._keys[:, :, :, slot], self._values[:, :, :, slot] = key, value
        first = 0 if self.past is None else self.past.steps
        before = np.full((len(self.plan.sizes), 0), 0) if self.past is None else self.past.tokens
        said = np.concatenate([before, self.tokens[:, : self.keep]], 1)[:, -max(self.plan.delays) - 1 :]
        return Past(first + self.keep, self._keys, self._values, said, self._since)

    @property
    def samples(self) -> int:
        return self.plan.width

    @staticmethod
    def run(batch: Sequence[TokenJob], clock: Callable[[], float]) -> tuple[int, float, dict[TokenJob, Exception]]:
        """One step of each; gives the rows evaluated, the seconds of the model call, and those that failed by themselves: none."""
        network = batch[0].network
        inputs = [job._inputs() for job in batch]
        joined = inputs[0] if len(batch) == 1 else tuple(map(np.concatenate, zip(*inputs, strict=True)))
        began = clock()
        logits, keys, values = network.evaluate(*joined)
        seconds = clock() - began
        at = 0
        for job in batch:
            rows = slice(at, at + job.plan.width)
            job._advance(logits[rows], keys[rows], values[rows])
            job.model_seconds += seconds / len(batch)
            at += job.plan.width
        return len(logits), seconds, {}

    def _inputs(self) -> tuple[Array, ...]:
        plan, window = self.plan, self.network.cache.window
        if self.row == 0:
            self._begin()
        step = self._step
        frames = [self.row - 1 - delay for delay in plan.delays]
        said = np.array([self._said(stream, frame) for stream, frame in enumerate(frames)])
        if self.forgets is not None:
            anew = self.forgets[:, None] & (np.array(frames) < 0)
            said = np.where(anew, np.array(plan.sizes) + NOT_YET, said)
        unseen = np.array(plan.sizes) + UNSEEN
        written = step - 1 - (step - 1 - np.arange(window)) % window  # the step that each place of the ring holds
        mask = np.where(written >= self._since[:, None], np.float32(0), NEVER).astype(np.float32)
        return (
            np.where(plan.sees, said, unseen).astype(np.float32),
            plan.conditions[:, self.row],
            np.full(plan.width, step, np.float32),
            self._keys,
            self._values,
            mask,
        )

    @property
    def _step(self) -> int:
        """The row's place in the whole sequence."""
        return self.row if self.past is None else self.past.steps + self.row

    def _begin(self) -> None:
        self._noise = self.gumbels()
        self._since = np.zeros(self.plan.width, np.int64)
        if self.past is not None:
            self._keys, self._values = self.past.keys, self.past.values
            anew = False if self.forgets is None else self.forgets
            self._since = np.where(anew, self.past.steps, self.past.since)
            return
        self._keys = np.zeros((self.plan.width, *self.network.cache.shape), np.float32)
        self._values = np.zeros_like(self._keys)

    def _said(self, stream: int, frame: int) -> int:
        if frame < 0 and self.past is not None:
            return int(self.past.tokens[stream, frame])
        inside = 0 <= frame < self.plan.frames
        return int(self.tokens[stream, frame]) if inside else self.plan.sizes[stream] + NOT_YET

    def _advance(self, logits: Array, key: Array, value: Array) -> None:
        """Puts the step's keys and values in the ring and draws the words that are due."""
        plan, slot = self.plan, self._step % self.network.cache.window
        if self.keep is not None and self.row >= self.keep:
            self._over.append((slot, self._keys[:, :, :, slot].copy(), self._values[:, :, :, slot].copy()))
        self._keys[:, :, :, slot], self._values[:, :, :, slot] = key, value
        first = 0
        for stream, size in enumerate(plan.sizes):
            frame = self.row - plan.delays[stream]
            if 0 <= frame < plan.frames:
                mixed = mix(plan.mix[stream], logits[:, first : first + size])
                if stream in plan.allowed:
                    mixed = np.where(plan.allowed[stream][frame], mixed, -np.inf)
                self.tokens[stream, frame] = choose(mixed, self._noise[stream, frame, :size], plan.sampling[stream])
            first += size
        self.row += 1


def mix(weights: NDArray[np.float64], logits: Array) -> NDArray[np.float64]:
    """The weighted sum of rows (rows, V) in float64, in order."""
    total = np.zeros(logits.shape[1])
    for weight, row in zip(weights.tolist(), logits, strict=True):
        if weight:
            total += weight * row.astype(np.float64)
    return total
