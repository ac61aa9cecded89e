"""What a machine says of a bundle: seconds of each graph and size of each part, as numbers and as a plot.

They stand in the bundle's folder `measured`, which the manifest does not name: two exports of one model have one digest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..assets.bundle import Bundle
from ..runtime.engine.backends import open_backend
from ..runtime.engine.loop import loop_inputs
from ..runtime.engine.network import decode_inputs
from ..runtime.plans import plan_of_table
from .report import measured_page
from .verify import asked, decoder_grain, installed, smallest_cells, tokens_of

FOLDER = "measured"
REPEATS = 3


def write_measured(
    bundle: Bundle,
    report: Mapping[str, Any],
    files: Mapping[str, bytes] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Writes measured.json with `more` numbers, these files, plots.png where matplotlib is there (the extra `plots`), and the
    whole report as report.md."""
    folder = bundle.folder / FOLDER
    folder.mkdir(exist_ok=True)
    numbers = {**measure(bundle), **(more or {})}
    (folder / "measured.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    pictures = dict(files or {})
    if find_spec("matplotlib") is not None:
        from .plots import plot

        pictures["plots.png"] = plot(report, numbers)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    (folder / "report.md").write_text(measured_page(report, numbers, list(pictures)), encoding="utf-8")


def measure(bundle: Bundle, threads: int = 1) -> dict[str, Any]:
    """Seconds of each graph on each backend at the smallest size, the least of some runs; the loop graph against the host.

    The recommended table is the first, so the fewest steps; `host_loop` is its rows of the step graph one after another.
    """
    manifest = bundle.manifest
    height, width = smallest_cells(bundle)
    rng = np.random.default_rng(0)
    field = rng.standard_normal((1, manifest.latent.channels, height, width), np.float32)
    conditions = asked(bundle, rng)
    table = manifest.recommended[0]
    plan = plan_of_table(manifest, table)
    given: dict[str, dict[str, np.ndarray]] = {
        "step": {
            "latent": field,
            "time": plan.time[:1].astype(np.float32),
            **{name: each[0] for name, each in conditions.items()},
        },
        "decode": decode_inputs(field, decoder_grain(bundle, rng)),
    }
    if "encode_text" in manifest.graphs:
        given["encode_text"] = tokens_of(bundle)
    if "loop" in manifest.graphs:
        given["loop"] = loop_inputs(plan, field, lambda k: field, conditions)
    seconds: dict[str, dict[str, float]] = {}
    for backend in installed():
        seconds[backend] = {}
        for graph, inputs in given.items():
            began = time.perf_counter()
            opened = open_backend(backend)(bundle.path(graph), threads)
            seconds[backend][f"load {graph}"] = time.perf_counter() - began
            seconds[backend][graph] = least(lambda opened=opened, inputs=inputs: opened.run(inputs))  # type: ignore[misc]
        seconds[backend]["host_loop"] = plan.rows * seconds[backend]["step"]
    return {
        "cells": [height, width],
        "steps": table.steps,
        "threads": threads,
        "precision": manifest.provenance.get("precision", ""),
        "seconds": {backend: {k: float(f"{v:.3g}") for k, v in row.items()} for backend, row in seconds.items()},
        "bytes": {name: (bundle.folder / name).stat().st_size for name in sorted(manifest.files)},
    }


def least(run: Callable[[], object]) -> float:
    """Seconds of the quickest of REPEATS runs, after one that warms up."""
    run()
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return min(spent)
