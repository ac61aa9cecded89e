"""OpenVINO on the processor: held to float32, or with `openvino:bf16` in bfloat16 where the processor computes in it.

A graph whose sizes are open costs OpenVINO up to a fifth of a short call: it looks at every node's shapes again. So a size
that is used again and again gets a graph of its own, compiled beside the running one, and taken into use only where it
gives the same bits. It may not: with sizes known, OpenVINO turns more products and sums into one rounding.

What is compiled of an IR (`cadenza engines --kind openvino`) is kept on this machine and found again at the next start.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from ....assets.bundle import MANIFEST
from ....assets.refusal import Refusal, Unknown
from ....assets.store import default_folder
from .base import Array, Identity

PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}
"""Choice, which is OpenVINO's name too, to the name of the precision."""
FIXED_AFTER = 4
"""Calls at one size before it gets a graph of its own."""
FIXED_LIMIT = 3
"""Such graphs at most, the first sizes in use: each holds the weights once more."""
PROBES = 8
"""Random inputs on which both graphs must agree. They are compared in float32 whatever the precision: a sum that is rounded
otherwise shows there in almost every input, where bfloat16 would hide it in most."""
SHORT_S = 0.05
"""What takes longer than this gains too little from one."""

_compiling = ThreadPoolExecutor(1, "cadenza-compile")
_keeping = threading.Lock()
"""OpenVINO sets the locale of the whole process while it keeps or finds what is compiled, and puts back what it was: two at
once leave the process in the locale "C", in which Python reads and writes text as ASCII."""
Shapes = frozenset[tuple[str, tuple[int, ...]]]


class OpenVinoGraph:
    def __init__(self, path: Path, threads: int, choice: str) -> None:
        if choice not in PRECISIONS:
            raise Unknown("backend", f"openvino:{choice}", [f"openvino:{each}" for each in PRECISIONS])
        self._core = openvino.Core()
        if choice == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Refusal("missing", "backend", "'openvino:bf16' needs a processor with bfloat16", "take openvino")
        # Not pinned: OpenVINO pins its helpers but not the calling thread, and the two then often meet on one core.
        self._settings = {
            "INFERENCE_PRECISION_HINT": choice,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        self._path = path
        kept = _kept(path)
        with _keeping if kept else nullcontext():
            self._open = self._core.compile_model(str(path), "CPU", {**self._settings, **kept})
        self._run_open = _Request(self._open)
        self._fixed: dict[Shapes, Future[_Request | None]] = {}
        self._calls: Counter[Shapes] = Counter()
        version = openvino.__version__.split("-")[0]
        self.identity = Identity("openvino", version, f"cpu {platform.machine()}", PRECISIONS[choice])

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        shapes = frozenset((name, array.shape) for name, array in inputs.items())
        fixed = self._fixed.get(shapes)
        if fixed is not None:
            own = fixed.result() if fixed.done() else None
            return (own or self._run_open)(inputs)
        began = time.perf_counter()
        outputs = self._run_open(inputs)
        if time.perf_counter() - began < SHORT_S and len(self._fixed) < FIXED_LIMIT:
            self._calls[shapes] += 1
            if self._calls[shapes] == FIXED_AFTER:
                kept = {name: array.copy() for name, array in inputs.items()}
                with suppress(RuntimeError):  # the main thread has ended, and the program is about to
                    self._fixed[shapes] = _compiling.submit(_fixed, weakref.ref(self), kept)
        return outputs

    def settle(self) -> None:
        """Waits until the graphs that are being compiled are in use; for whoever measures."""
        for fixed in self._fixed.values():
            fixed.result()

    def _fix(self, inputs: dict[str, Array]) -> _Request | None:
        """A graph for the sizes of these inputs, or None where it does not give the same bits."""
        try:
            exact = {**self._settings, "INFERENCE_PRECISION_HINT": "f32"}
            if self._settings != exact:
                whole = self._core.compile_model(str(self._path), "CPU", exact)
                if not _agree(_Request(whole), _Request(self._compile(inputs, exact)), inputs):
                    return None
            fixed = _Request(self._compile(inputs, self._settings))
            return fixed if _agree(_Request(self._open), fixed, inputs) else None
        except Exception:  # what OpenVINO raises has no type of its own; the open graph serves on
            logging.getLogger("cadenza").exception("no graph for fixed sizes could be made")
            return None

    def _compile(self, inputs: dict[str, Array], settings: dict[str, Any]) -> Any:
        model = self._core.read_model(str(self._path))
        model.reshape({name: list(array.shape) for name, array in inputs.items()})
        return self._core.compile_model(model, "CPU", settings)


def _fixed(graph: weakref.ref[OpenVinoGraph], inputs: dict[str, Array]) -> _Request | None:
    """On the compiling thread, which may lag behind: nothing of a graph that was closed meanwhile."""
    open_still = graph()
    return None if open_still is None else open_still._fix(inputs)


def _kept(path: Path) -> dict[str, str]:
    """Where what is compiled of an IR is kept: under the digest of its bundle, as OpenVINO compares names and times alone."""
    manifest = path.parent.parent / MANIFEST
    if path.suffix != ".xml" or not manifest.is_file():
        return {}
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    return {"CACHE_DIR": str(default_folder() / "engines" / "openvino" / digest[:32])}


def _agree(one: _Request, other: _Request, inputs: dict[str, Array]) -> bool:
    """Whether two graphs give the same bits on inputs like these, each number of them changed at random."""
    random = np.random.default_rng(PROBES)
    for _ in range(PROBES):
        given = {name: array * random.random(array.shape, np.float32) for name, array in inputs.items()}
        expected, found = one(given), other(given)
        if not all(np.array_equal(expected[name], found[name]) for name in expected):
            return False
    return True


class _Request:
    """A compiled graph with its buffers: one thread at a time.

    Inputs are copied into the request's own tensors: to be given others at each call takes OpenVINO longer, and a twentieth
    of a short call.
    """

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._names = [(port, sorted(port.get_names())) for port in compiled.outputs]
        self._inputs: dict[str, Any] = {}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in inputs.items():
            held = self._inputs.get(name)
            if held is None or held.shape != array.shape:
                held = self._inputs[name] = self._resized(name, array.shape)
            np.copyto(held, array)
        results = self._request.infer(share_outputs=True)
        # The request reuses its buffers: copied.
        return {name: results[port].copy() for port, names in self._names for name in names}

    def _resized(self, name: str, shape: tuple[int, ...]) -> Any:
        """The memory of an input, for this shape."""
        tensor = self._request.get_tensor(name)
        tensor.shape = shape
        return tensor.data


def load(path: Path, threads: int, choice: str = "") -> OpenVinoGraph:
    return OpenVinoGraph(path, threads, choice or "f32")
