"""How long a piece of work takes, by what others of its kind took: deadlines are promised or refused by it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

SLOWER = 2.0
"""One measurement counts as at most so many times what was expected: a machine may stand still for seconds."""
PASSES_S = 10.0
"""Seconds in which half of a slowness passes, where nothing is measured: nobody measures what is refused for being too slow."""


@dataclass(eq=False)
class Pace:
    """Seconds of one piece: a moving average, which falls towards the quickest that was ever seen while nothing is measured."""

    average: float = 0.0
    quickest: float = 0.0
    measured: float = 0.0  # when; seconds on the clock of `time.perf_counter`

    def note(self, seconds: float, now: float) -> None:
        if self.average == 0.0:
            self.average = self.quickest = seconds
        else:
            self.average = 0.8 * self.expected(now) + 0.2 * min(seconds, SLOWER * self.average)
            self.quickest = min(self.quickest, seconds)
        self.measured = now

    def expected(self, now: float | None = None) -> float:
        """Seconds; 0.0 before anything was measured."""
        idle = (time.perf_counter() if now is None else now) - self.measured
        return self.quickest + (self.average - self.quickest) * math.exp2(-idle / PASSES_S)
