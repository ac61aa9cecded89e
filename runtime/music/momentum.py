"""What a stream forgets at a turn. A model goes on as it has begun: drums that play go on playing at an intensity where none would
begin, and a boss that comes into ambience has none. So the rows that hear of a turn begin anew, with neither eyes nor ears for
what was played before it; key, tempo, chords by name and whatever else a turn leaves as it is stand in the conditions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.tokens.plan import TokenPlan
from .resolve import MusicResolved

FAR = 0.1
"""A level that is further away from what the music was begun with makes it begin anew; less is heard as it goes on."""
WHOLLY = ("styles", "weights", "section")


def forgets(plan: TokenPlan, now: MusicResolved, begun: MusicResolved) -> NDArray[np.bool_]:
    """(width,): which rows of a bar's plan begin anew; `begun` is what those before it did last. Another intensity leaves chords and
    lead alone, and the rows that see no more than these."""
    moved = {name: _far(now, begun, name) for name in ("density", "brightness", "intensity")}
    named = any(getattr(now.recipe, name) != getattr(begun.recipe, name) for name in WHOLLY)
    if named or moved["density"] or moved["brightness"]:
        return np.ones(plan.width, np.bool_)
    return np.asarray(plan.sees.all(axis=1)) & moved["intensity"]


def _far(now: MusicResolved, begun: MusicResolved, name: str) -> bool:
    away: float = getattr(now.recipe, name) - getattr(begun.recipe, name)
    return abs(away) > FAR + 1e-9
