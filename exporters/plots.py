"""The report of a bundle as one picture: errors by stage, seconds by graph, bytes by file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

FLOOR = 1e-9
"""Where an error of 0 is drawn on the logarithmic axis."""


def plot(report: Mapping[str, Any], measured: Mapping[str, Any]) -> bytes:
    """A PNG; needs matplotlib, which opens no window here."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 11), layout="constrained")
    FigureCanvasAgg(figure)
    errors, seconds, sizes = figure.subplots(3, 1)
    staged = {k: v for k, v in report.get("diffusers", {}).items() if isinstance(v, float)}
    if not staged:
        staged = {f"{c['backend']}, {c['sampler']}": c["host"] for c in report["checks"]}
    names = list(staged)
    errors.semilogy(range(len(names)), [max(staged[name], FLOOR) for name in names], "o-")
    errors.axhline(report["tolerance"], color="tab:red", linestyle="--")
    shown = range(0, len(names), max(1, len(names) // 30))
    errors.set_xticks(list(shown), [names[i] for i in shown], rotation=60, ha="right", fontsize=6)
    errors.set_ylabel("error over range")
    errors.set_title(f"{report['bundle']}: stage by stage, tolerance dashed")
    for offset, (backend, row) in enumerate(measured["seconds"].items()):
        heights = [v for k, v in row.items() if not k.startswith("load")]
        labels = [k for k in row if not k.startswith("load")]
        seconds.bar([i + 0.4 * offset for i in range(len(labels))], heights, 0.4, label=backend)
        seconds.set_xticks([i + 0.2 for i in range(len(labels))], labels)
    seconds.set_ylabel("seconds")
    seconds.set_yscale("log")
    seconds.legend()
    files = measured["bytes"]
    sizes.barh(list(files), [max(1, n) for n in files.values()])
    sizes.set_xscale("log")
    sizes.set_xlabel("bytes")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()
