"""The report of a bundle as one picture: errors by stage, seconds of the export and of its graphs, precisions, bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

FLOOR = 1e-9
"""Where an error of 0 is drawn on the logarithmic axis."""
BESIDE: Any = dict(loc="upper left", bbox_to_anchor=(1.0, 1.0))
"""Where a legend covers nothing. The best place is not looked for, which warns on a busy machine."""
LABELS = 30
"""Stages that are named, at most."""


def plot(report: Mapping[str, Any], measured: Mapping[str, Any]) -> bytes:
    """A PNG; needs matplotlib, which opens no window here."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: list[tuple[float, Callable[[Any], None]]] = [
        (2.0, lambda axes: _errors(axes, report)),
        (1.0, lambda axes: _graphs(axes, measured["seconds"])),
    ]
    if measured.get("export_seconds"):
        panels.append((1.2, lambda axes: _bars(axes, measured["export_seconds"], "seconds of the export, by stage")))
    if measured.get("precisions"):
        panels.append((1.0, lambda axes: _precisions(axes, measured["precisions"])))
    panels.append((1.5, lambda axes: _bars(axes, measured["bytes"], "bytes, by file")))
    heights = [height for height, _ in panels]
    figure = Figure(figsize=(10, 2.6 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(report["bundle"])
    drawn = figure.subplots(len(panels), 1, gridspec_kw={"height_ratios": heights})
    for axes, (_, draw) in zip(drawn, panels, strict=True):
        draw(axes)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def _errors(axes: Any, report: Mapping[str, Any]) -> None:
    """Stages that are exactly equal have no place on a logarithmic axis."""
    largest = {k: v for k, v in report.get("diffusers", {}).items() if isinstance(v, float) and v > 0}
    if not largest:
        largest = {f"{c['backend']}, {c['sampler']}": c["host"] for c in report["checks"]}
    names, means = list(largest), report.get("diffusers_mean", {})
    axes.semilogy(range(len(names)), [max(largest[name], FLOOR) for name in names], "o-", label="largest")
    if means:
        found = [(at, max(means[name], FLOOR)) for at, name in enumerate(names) if name in means]
        axes.semilogy(*zip(*found, strict=True), "s", markersize=4, label="mean")
    axes.axhline(report["tolerance"], color="tab:red", linestyle="--", label="tolerance")
    shown = range(0, len(names), max(1, -(-len(names) // LABELS)))
    axes.set_xticks(list(shown), [names[i] for i in shown], rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_title("error over range, by stage; what is exactly equal is left out")
    axes.legend(**BESIDE)
    axes.grid(axis="y", alpha=0.3)


def _graphs(axes: Any, seconds: Mapping[str, Mapping[str, float]]) -> None:
    rows = {backend: {k: v for k, v in row.items() if not k.startswith("load ")} for backend, row in seconds.items()}
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    width = 0.8 / len(rows)
    for number, (backend, row) in enumerate(rows.items()):
        places = [at + (number - (len(rows) - 1) / 2) * width for at in range(len(labels))]
        bars = axes.bar(places, [row.get(label, 0.0) for label in labels], width, label=backend)
        axes.bar_label(bars, fmt="%.3g", fontsize=7)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yscale("log")
    axes.margins(y=0.15)
    axes.set_title("seconds of the graphs")
    axes.legend(**BESIDE)


def _bars(axes: Any, values: Mapping[str, float], title: str) -> None:
    """Horizontal bars, the first on top."""
    bars = axes.barh(list(values), list(values.values()))
    axes.bar_label(bars, [f"{n:,.3g}" if n < 1000 else f"{n:,.0f}" for n in values.values()], fontsize=7, padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title(title)


def _precisions(axes: Any, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Errors against float32; float32 itself has none and is left out."""
    names = [name for name, row in figures.items() if row["latent"] > 0]
    for number, kind in enumerate(("step", "latent", "picture")):
        places = [at + (number - 1) * 0.27 for at in range(len(names))]
        axes.bar(places, [max(figures[name][kind], FLOOR) for name in names], 0.27, label=kind)
    axes.set_xticks(range(len(names)), [f"{name}\n{figures[name]['bytes']:,} bytes" for name in names], fontsize=8)
    axes.set_yscale("log")
    axes.set_title("error against float32, by precision")
    axes.legend(**BESIDE)
