"""What a request brings in process, as it would come over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_PLAIN = frozenset((str, int, float, bool, type(None)))


def pythons(value: Any) -> Any:
    """Numpy's single numbers as Python's own, at any depth, as the wire hands them over."""
    if type(value) in _PLAIN:  # nearly always, and found in a tenth of the time that asking for a Mapping takes
        return value
    if isinstance(value, Mapping):
        return {key: pythons(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [pythons(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
