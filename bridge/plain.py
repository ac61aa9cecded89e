"""What a request brings from Python, as it would come over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..assets.refusal import WrongType
from ..runtime.music.terms import TURNS

_PLAIN = frozenset((str, int, float, bool, type(None)))


def check_recipe(recipe: object) -> None:
    if not isinstance(recipe, Mapping):
        raise WrongType("recipe", recipe, 'a mapping such as {"prompt": "mossy stone"}')


def names_of(given: object, field: str = "maps", such: str = '["albedo", "orm"]') -> list[str]:
    """The maps or stems that a request names, each read once; a single text would be one name a letter."""
    if given is None:
        return []
    names: list[Any] = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else [None]
    if not all(isinstance(name, str) for name in names):
        raise WrongType(field, given, f"a list of names such as {such}")
    return names


def stems_of(given: object) -> list[str]:
    return names_of(given, "stems", '["drums", "bass"]')


def turns_of(given: object) -> list[Any]:
    """The turns that a stream is opened with; each is read where it is played."""
    if given is None:
        return []
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise WrongType("steering", given, TURNS)
    return list(given)


def pythons(value: Any) -> Any:
    """Numpy's single numbers as Python's own, at any depth, as the wire hands them over."""
    if type(value) in _PLAIN:  # nearly always, and found in a tenth of the time that asking for a Mapping takes
        return value
    if isinstance(value, Mapping):
        return {key: pythons(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [pythons(each) for each in value]
    return value.item() if is_single(value) else value


def is_single(value: object) -> bool:
    """One number of numpy's, or an array without axes, which is as good as one."""
    return isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
