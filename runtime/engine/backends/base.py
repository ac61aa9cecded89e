"""The contract of a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Identity:
    """What made a result, as far as bits go."""

    backend: str
    version: str
    device: str
    precision: str

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


class Graph(Protocol):
    """A loaded graph. `run` takes float32 arrays by input name and returns them by output name; one thread at a time."""

    identity: Identity

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]: ...


Load = Callable[[Path, int], Graph]
"""`load(path, threads)`: the graph in a bundle's file, ready to run."""
