"""Line charts for `cadenza compare`; matplotlib comes with the extra `plots` and is loaded when a chart is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from ...assets.refusal import Refusal

Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""By label: x values and y values."""

STYLES = ("-", "--", ":", "-.")


def chart(
    path: Path,
    title: str,
    x: str,
    y: str,
    lines: Lines,
    *,
    log: str = "",
    note: str = "",
    ticks: Sequence[float] = (),
) -> Path:
    """Writes a PNG of labelled lines. `log` names the axes that are logarithmic ("x", "y", "xy"); `ticks` are x values
    to be written out."""
    figure_class = _figure()
    figure = figure_class(figsize=(9, 5.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    colours = cycle(f"C{k}" for k in range(10))
    for number, (label, (across, up)) in enumerate(lines.items()):
        style = STYLES[
            (number + number // 10) % len(STYLES)
        ]  # neighbours differ, so that lines on one another both show
        axes.plot(across, up, style, color=next(colours), marker="o", markersize=3.5, linewidth=1.4, label=label)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    if ticks:
        most = max(max(across) for across, _ in lines.values())
        shown = [tick for tick in ticks if tick <= most]
        axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
        axes.minorticks_off()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    if note:
        figure.supxlabel(note, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def rows(path: Path, title: str, x: str, points: Mapping[str, Sequence[float]], note: str = "") -> Path:
    """Writes a PNG with a row of dots a label, over one logarithmic axis: what would be on one another as lines is not."""
    figure = _figure()(figsize=(9, 1.2 + 0.26 * len(points)), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, values in enumerate(points.values()):
        axes.plot(values, [number] * len(values), "-", color="0.8", linewidth=0.8)
        axes.plot(values, [number] * len(values), "o", color=f"C{number % 10}", markersize=4.5, clip_on=False)
    axes.set_yticks(range(len(points)), list(points), fontsize=8)
    axes.set(title=title, xlabel=x, xscale="log")
    axes.invert_xaxis()  # a run goes from noisy to clean, left to right
    axes.invert_yaxis()
    axes.grid(True, axis="x", which="major", alpha=0.3)
    if note:
        figure.supxlabel(note, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _figure() -> type:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Refusal("missing", "compare", "charts need matplotlib", "pip install 'cadenza[plots]'") from None
    return Figure
