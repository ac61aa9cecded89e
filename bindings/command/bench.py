"""`cadenza bench`: what the engine costs, as ratios of things measured in turn in one run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from ...assets.refusal import Refusal
from ...runtime.bundles import EMBEDDED, load_bundles
from ...runtime.runtime import Runtime
from .. import figures, figures_music, figures_urgent, footprint
from . import dials
from .output import show

TARGETS = {
    "overhead_inproc": "at most 0.05",
    "overhead_socket": "at most 0.10",
    "torch_ratio_float32": "at least 2",
    "torch_ratio_bfloat16": "at least 2",
    "urgent_ticks_p99": "at most 2",
    "ms_128": "at most 100",
    "ms_256": "at most 400",
    "cold_start_s": "below 2",
    "resident_mb": "below 400",
}


def bench(
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; without it the embedded bundles.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each comparison; medians are taken.")] = 15,
    threads: dials.Threads = None,
    json: dials.Json = False,
) -> None:
    """Measure overhead, speed, scheduling, start and memory. For steady figures let nothing else run."""
    kind = next(iter(load_bundles([bundle]).values())).manifest.kind if bundle else None
    found = measure(bundle, rounds, threads) if kind != "music" else {}
    if kind in (None, "music"):
        found["music"] = measure_music(bundle or EMBEDDED / "music", rounds, threads)
    show(found, json)


def measure_music(folder: Path, rounds: int, threads: int | None = None) -> dict[str, Any]:
    """Pieces and live streams, see figures_music."""
    with tqdm(total=2 * rounds + 4, desc="bench of music", unit="turn", delay=1.0, leave=False) as bar:
        found = figures_music.measure(folder, threads or os.cpu_count() or 1, rounds, bar.update)
    return _rounded(found)


def measure(folder: Path | None, rounds: int, threads: int | None = None) -> dict[str, Any]:
    """All figures of one run, of requests at sizes that are in use; a fresh process is measured by `cold_start_s`.

    torch is an eager loop in a process of its own over the same weights, its dtypes by name. `torch_ratio_DTYPE` is the loop
    that a user would write: the modules as they are trained. `torch_ratio_folded_DTYPE` is torch at its best short of
    compiling, with the exporter's folded weights and the quicker memory layout. Both are over `backend`, whose precision
    may be another; `torch_float32_ratio` is like with like: torch's best float32 over the quickest float32 backend.
    All figures but those in `backends` are of the quickest one, `backend`; `auto` is what a game gets that names none.
    Where a figure cannot be had it is None and `reasons` says why.
    """
    chosen = next(iter(load_bundles([folder] if folder else None).values()))
    threads = threads or os.cpu_count() or 1
    turns = 5 * (rounds + 1) + figures_urgent.ROUNDS + figures.COLD_STARTS + 1
    with tqdm(total=turns, desc="bench", unit="turn", delay=1.0, leave=False) as bar, ExitStack() as open_ones:
        plan = figures.Bench(chosen.folder, chosen.example, rounds, bar.update)
        names = figures.backends_here(chosen.path("step"))
        if not names:
            raise Refusal("missing", "backend", "none is installed", "pip install onnxruntime")
        runtimes = {n: open_ones.enter_context(Runtime([chosen.folder], n, threads)) for n in names}
        figures.steady(plan, runtimes)
        backends = figures.speeds(plan, runtimes)
        best = min(backends, key=lambda name: backends[name]["ms_128"])
        served = {name: figures.through_the_socket(plan, name, threads) for name in dict.fromkeys([best, names[0]])}
        found: dict[str, Any] = {**backends[best], **served[best]}
        found |= figures_urgent.urgent(plan, runtimes[best])
        found["loop_ratio"], no_loop = figures.loop_ratio(plan, runtimes[best], best, threads)
        torch, reasons = figures.torch_ratios(plan, runtimes, best, threads)
        found |= {**torch, **figures.cold_starts(plan, best)}
    if no_loop:
        reasons["loop_ratio"] = no_loop
    if found["resident_mb"] is None:
        reasons["resident_mb"] = "read from /proc, which this system does not have"
    sizes = footprint.installed_mb(footprint.OWN)
    found["installed_mb"] = sum(sizes.values())
    found["installed_with_openvino_mb"] = sum({**footprint.installed_mb("openvino"), **sizes}.values())
    return {
        "bundle": chosen.manifest.name,
        "backend": best,
        "threads": threads,
        "rounds": rounds,
        **_rounded(found),
        "reasons": reasons,
        "targets": TARGETS,
        "auto": names[0],
        "backends": {name: _rounded({**each, **served.get(name, {})}) for name, each in backends.items()},
        "installed": {name: round(size, 1) for name, size in sorted(sizes.items())},
        "machine": footprint.machine(),
    }


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}
