"""Seed travel: requests whose results walk from one seed's asset to the next one's, on a sphere in the space of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..assets.refusal import OutOfRange
from .noise import check_seed


def travel(request: Mapping[str, Any], seeds: Sequence[int], frames: int) -> list[dict[str, Any]]:
    """`frames` requests from the first seed to the last through those between, in equal turns; both ends are exact.

    With the last seed equal to the first the walk is a loop; leave its last frame out to play it around.
    """
    for seed in seeds:
        check_seed(seed, "seeds")
    if len(seeds) < 2:
        raise OutOfRange("seeds", list(seeds), "two seeds or more")
    if isinstance(frames, bool) or not isinstance(frames, int) or not 2 <= frames <= 10_000:
        raise OutOfRange("frames", frames, "a whole number from 2 to 10000")
    return [_frame(request, seeds, (len(seeds) - 1) * k / (frames - 1)) for k in range(frames)]


def _frame(request: Mapping[str, Any], seeds: Sequence[int], at: float) -> dict[str, Any]:
    leg = min(int(at), len(seeds) - 2)
    strength = at - leg
    if strength in (0.0, 1.0):
        return {**request, "seed": seeds[leg + int(strength)]}
    turned = {"variation_seed": seeds[leg + 1], "variation_strength": strength}
    return {**request, "seed": seeds[leg], **turned}
