"""An urgent request in a crowd: how much later than alone it is done, in ticks of the engine."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from ..bridge.inproc import InprocGame
from ..runtime.engine.engine import Account
from ..runtime.runtime import Runtime
from ..runtime.work import Work
from .figures import REST_S, Bench, make, median, steady_graphs

WAITING = 64
"""Requests that wait while an urgent one is measured."""
ROUNDS = 600
TURNS = 20
"""So many in a row alone, then so many in the crowd, and so on: machines change their speed meanwhile."""
CROWD_S = 1.0
"""How long the waiting crowd runs before anything is measured: its sizes are then in use and get graphs of their own."""


def urgent(bench: Bench, runtime: Runtime) -> dict[str, float]:
    """A request of high priority while 64 others wait, against the median of what it takes alone, in ticks.

    urgent_ticks_*   how much later than alone it is done
    alone_ticks_p99  how much later than that median one alone is: delays that are the machine's and not the crowd's
    tick_ms          a tick is the mean of the crowd's: model calls of several requests, and decodes of one
    """
    crowd, draw, account = Crowd(bench, runtime), random.Random(0), runtime._engine.account
    crowd.run(CROWD_S)
    steady_graphs(runtime)
    late, alone, ticks_before, tick_ms = list[float](), list[float](), list[int](), list[float]()
    for turn in range(0, ROUNDS, TURNS):
        turns = range(min(TURNS, ROUNDS - turn))
        crowd.send_home()
        own = [make(crowd.game, crowd.request()).whole for _ in turns]
        crowd.top_up()
        tick_ms.append(_tick_ms(account))
        for _ in turns:
            crowd.top_up()
            time.sleep(draw.random() * median(own) / 1e3)
            at, first = account.ticks, list[int]()
            asked = time.perf_counter()
            runtime.submit(crowd.request(), priority=50, on_event=_noting(first, account)).wait()
            late.append((1e3 * (time.perf_counter() - asked) - median(own)) / tick_ms[-1])
            ticks_before.append(first[0] - at - 1)
            bench.tick()
        alone += [(each - median(own)) / tick_ms[-1] for each in own]
    crowd.send_home()
    return {
        "urgent_ticks_p50": median(late),
        "urgent_ticks_p99": _p99(late),
        "urgent_ticks_before_its_first_max": max(ticks_before),
        "alone_ticks_p99": _p99(alone),
        "tick_ms": median(tick_ms),
    }


class Crowd:
    """Requests that wait, each with a seed of its own."""

    def __init__(self, bench: Bench, runtime: Runtime) -> None:
        self.bench, self.runtime, self.game = bench, runtime, InprocGame(runtime, owned=False)
        self.waiting: list[Work] = []
        self.seeds: Iterator[int] = iter(range(10**6, 10**9))

    def request(self) -> dict[str, object]:
        return self.bench.request(next(self.seeds))

    def top_up(self) -> None:
        while self.runtime.stats()["unfinished"] < WAITING + 16:
            self.waiting.append(self.runtime.submit(self.request()))

    def run(self, seconds: float) -> None:
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            self.top_up()
            time.sleep(REST_S)

    def send_home(self) -> None:
        """Returns when the engine has nothing left to do."""
        for work in self.waiting:
            self.runtime.cancel(work)
        self.waiting.clear()
        while self.runtime.stats()["unfinished"]:
            time.sleep(0.001)


def _tick_ms(account: Account, ticks: int = 32) -> float:
    """Mean milliseconds of the next ticks: model calls of the waiting crowd, and its decodes."""
    before, began = account.ticks, time.perf_counter()
    while account.ticks < before + ticks:
        time.sleep(0.001)
    return 1e3 * (time.perf_counter() - began) / (account.ticks - before)


def _noting(ticks: list[int], account: Account) -> Callable[[Work], None]:
    return lambda _: ticks.append(account.ticks)


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(0.99 * len(values)) - 1]
