"""The report of a bundle as files: parity, which the digest covers, and what a machine measured, which it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..assets.refusal import Refusal


def report_files(report: Mapping[str, Any]) -> dict[str, bytes]:
    """report.json and report.md; a report that did not pass is refused."""
    if not report["passed"]:
        raise diverged(report)
    return {"report.json": (json.dumps(report, indent=1) + "\n").encode(), "report.md": page(report).encode()}


def diverged(report: Mapping[str, Any]) -> Refusal:
    return Refusal(
        "diverged",
        f"bundle {report['bundle']}",
        f"is outside the tolerance of {report['tolerance']:g} first at {report['first_divergence']}",
        "do not ship it; export it again",
    )


def page(report: Mapping[str, Any]) -> str:
    lines = [
        f"# {report['bundle']}: parity",
        "",
        f"Largest difference over the largest value, against the float64 reference; tolerance {report['tolerance']:g}. "
        f"{'Passed.' if report['passed'] else 'Failed: ' + report['first_divergence'] + '.'}",
        "",
    ]
    for name, errors in report.get("torch", {}).items():
        lines.append(f"- {name} against torch: " + ", ".join(f"{kind} {error:.1e}" for kind, error in errors.items()))
    for backend, facts in report["bits"].items():
        said = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in facts.items() if key != "backend")
        lines.append(f"- {backend}: {said}")
    first, *others = report.get("apart", {"": 0.0}).items()
    lines += [f"- one evaluation on {backend} against {first[0]}'s: {error:.1e}" for backend, error in others]
    lines += _stages(report)
    lines += [
        "",
        "| backend | sampler | rows | guidance | host loop | loop graph | decoded |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in report["checks"]:
        loop = "-" if c["loop"] is None else f"{c['loop']:.1e}"
        lines.append(
            f"| {c['backend']} | {c['sampler']} | {c['steps']} | {c['guidance']:g} | {c['host']:.1e} | {loop} | {c['decoded']:.1e} |"
        )
    lines += ["", "| file | bytes |", "|---|---|", *(f"| {name} | {size} |" for name, size in report["bytes"].items())]
    return "\n".join(lines) + "\n"


def measured_page(report: Mapping[str, Any], numbers: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """The whole report: seconds, sizes and precisions of this machine (`numbers` of measured.json), pictures, and parity."""
    height, width = numbers["cells"]
    lines = [f"# {report['bundle']}: report", ""]
    lines += [f"![{name.removesuffix('.png')}]({name})" for name in pictures]
    if numbers.get("export_seconds"):
        lines += ["", "## Seconds of the export", "", "| stage | seconds |", "|---|---|"]
        lines += [f"| {stage} | {seconds:g} |" for stage, seconds in numbers["export_seconds"].items()]
    said = (
        f"Latent {height} x {width}, {numbers['steps']} steps, threads: {numbers['threads']}; the least of some runs."
    )
    lines += ["", "## Seconds of the graphs", "", said, "", "| backend | graph | load | run |", "|---|---|---|---|"]
    for backend, row in numbers["seconds"].items():
        for graph, seconds in row.items():
            if not graph.startswith("load "):
                load = row.get(f"load {graph}")
                lines.append(f"| {backend} | {graph} | {'-' if load is None else f'{load:g}'} | {seconds:g} |")
    if numbers.get("precisions"):
        lines += _precisions(numbers["precisions"])
    return "\n".join(lines) + "\n\n" + page(report).replace("# ", "## ", 1).replace("\n## ", "\n### ")


def _precisions(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    said = "Errors of these weights against float32: single evaluations and the latent over the largest value, pictures in the mean."
    backends = list(next(iter(figures.values()))["seconds"])
    heads = [
        "--precision",
        "step",
        "latent",
        "picture",
        "bytes",
        *(f"seconds a step, {backend}" for backend in backends),
    ]
    lines = ["", "## Precisions", "", said, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in figures.items():
        errors = [f"{row[kind]:.1e}" for kind in ("step", "latent", "picture")]
        cells = [name, *errors, str(row["bytes"]), *(f"{row['seconds'][backend]:g}" for backend in backends)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _stages(report: Mapping[str, Any]) -> list[str]:
    """Lines of the comparison with diffusers: the largest first, then every stage in its order."""
    errors, means, tolerance = report.get("diffusers", {}), report.get("diffusers_mean", {}), report["tolerance"]
    if not errors:
        return []
    numbers = {stage: error for stage, error in errors.items() if isinstance(error, float)}
    worst = max(numbers, key=lambda stage: numbers[stage], default="")
    above = [stage for stage, error in numbers.items() if not error <= tolerance]
    lines = ["", "## Against diffusers' own pipeline, with the same noise and prompt", ""]
    if worst:
        said = f"first above {tolerance:g}: {above[0]}" if above else f"all within {tolerance:g}"
        lines += [f"Largest: {numbers[worst]:.1e} at {worst}; {said}.", ""]
    seeds = len(report.get("seeds", (0,)))
    lines += [
        f"Over {seeds} seed{'s' if seeds > 1 else ''}. Seconds, sizes, precisions, plots, pictures: `measured/report.md`.",
        "",
    ]
    lines += ["| stage | largest error over range | mean error over range |", "|---|---|---|"]
    for stage, error in errors.items():
        largest, mean = (f"{e:.1e}" if isinstance(e, float) else str(e) for e in (error, means.get(stage, "-")))
        lines.append(f"| {stage} | {largest} | {mean} |")
    return [*lines, "", "## Samplers"]
