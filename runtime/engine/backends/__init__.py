"""Backends: load a graph, run named arrays, say what this is. One a file; imported when first asked for."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from ....assets.refusal import Refusal, Unknown
from .base import Array, Graph, Identity, Load

BACKENDS = {
    "onnxruntime": ("onnxruntime", "pip install onnxruntime"),
    "openvino": ("openvino", "pip install 'cadenza[openvino]'"),
}
"""Name to (package, how to get it); the module of the same name here has `load`."""
AUTO = ("openvino", "onnxruntime")
"""What "auto" tries, quickest first."""


def open_backend(name: str) -> Load:
    """The `load(path, threads)` of a backend."""
    if name == "auto":
        name = next(each for each in AUTO if find_spec(BACKENDS[each][0]) is not None)
    if name not in BACKENDS:
        raise Unknown("backend", name, ("auto", *BACKENDS))
    package, remedy = BACKENDS[name]
    if find_spec(package) is None:
        raise Refusal("missing", "backend", f"{name!r} needs the package {package}", remedy)
    load: Load = importlib.import_module(f".{name}", __name__).load
    return load


__all__ = ["Array", "Graph", "Identity", "Load", "open_backend"]
