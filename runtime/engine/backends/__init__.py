"""Backends: load a graph, run named arrays, say what this is. One a file; imported when first asked for.

A backend is named as "name" or "name:choice", where the choice is the backend's own: a device, or for `null` a delay.
"""

from __future__ import annotations

import importlib
from functools import partial
from importlib.util import find_spec

from ....assets.refusal import Refusal, Unknown
from .base import Array, Graph, Identity, Load

BACKENDS = {
    "onnxruntime": ("onnxruntime", "pip install onnxruntime"),
    "openvino": ("openvino", "pip install 'cadenza[openvino]'"),
    "reference": ("numpy", "pip install numpy"),
    "null": ("numpy", "pip install numpy"),
}
"""Name to (package, how to get it); the module of the same name here has `load(path, threads, choice)`."""
AUTO = ("openvino", "onnxruntime")
"""What "auto" tries, in float32. OpenVINO's bits are the same for every thread count on the embedded networks, where ONNX
Runtime may have to be held to one thread (engine/proof.py). `openvino:bf16` is quicker than both."""


def chosen(name: str) -> tuple[str, str]:
    """(backend, its choice) of a name; "auto" is the first of AUTO that is here."""
    if name == "auto":
        name = next(each for each in AUTO if find_spec(BACKENDS[each][0]) is not None)
    backend, _, choice = name.partition(":")
    return backend, choice


def open_backend(name: str) -> Load:
    """The `load(path, threads)` of a backend."""
    name, choice = chosen(name)
    if name not in BACKENDS:
        raise Unknown("backend", name, ("auto", *BACKENDS))
    package, remedy = BACKENDS[name]
    if find_spec(package) is None:
        raise Refusal("missing", "backend", f"{name!r} needs the package {package}", remedy)
    module = importlib.import_module(f".{name}", __name__)
    return partial(module.load, choice=choice)


__all__ = ["Array", "Graph", "Identity", "Load", "chosen", "open_backend"]
