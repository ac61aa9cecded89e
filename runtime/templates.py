"""Requests that differ in nothing but their seed: what is the same for all of them is resolved once.

A game asks for many textures of one kind. Their words are read, their dials checked and their plan found the first time;
each further one is a copy of that with its own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from .noise import check_seed
from .recipe import Recipe
from .resolved import Resolved

LIMIT = 256
"""Requests that are kept, the first one made goes first."""
SIMPLE = frozenset({str, int, float, bool, type(None)})
"""Types whose values are told apart by how Python writes them."""


class Templates:
    """`resolve` that remembers. May be called from any thread: two at once do the same work twice, nothing else."""

    def __init__(self, resolve: Callable[[Mapping[str, Any]], Any]) -> None:
        self._resolve = resolve
        self._kept: dict[str, tuple[Recipe, Callable[..., Resolved]]] = {}

    def __call__(self, request: Mapping[str, Any]) -> Any:
        """As `resolve`: a resolved request, or a refusal."""
        key = key_of(request)
        kept = self._kept.get(key)
        if kept is not None:
            seed, (recipe, with_recipe) = request.get("seed"), kept
            return with_recipe(recipe=recipe.reseeded(0 if seed is None else check_seed(seed)))
        made = self._resolve(request)
        if key and isinstance(made, Resolved) and not made.arrays:  # which the shelf keeps, as long as there is room
            others = {field.name: getattr(made, field.name) for field in fields(made) if field.name != "recipe"}
            self._kept[key] = (
                made.recipe,
                partial(Resolved, **others),
            )  # quicker than `replace`, which looks at all fields
            if len(self._kept) > LIMIT:
                self._kept.pop(next(iter(self._kept)), None)
        return made


def key_of(request: Mapping[str, Any]) -> str:
    """All of a request but its seed; empty where it has other than simple values."""
    others = [field for field in request.items() if field[0] != "seed"]
    return repr(others) if all(type(value) in SIMPLE for _, value in others) else ""
