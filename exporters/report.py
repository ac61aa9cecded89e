"""The parity report of a bundle as files: report.json for programs, report.md for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    lines += _stages(report.get("diffusers", {}), report["tolerance"])
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


def _stages(errors: Mapping[str, Any], tolerance: float) -> list[str]:
    """Lines of the comparison with diffusers: the largest first, then every stage in its order."""
    if not errors:
        return []
    numbers = {stage: error for stage, error in errors.items() if isinstance(error, float)}
    worst = max(numbers, key=lambda stage: numbers[stage], default="")
    above = [stage for stage, error in numbers.items() if not error <= tolerance]
    lines = ["", "## Against diffusers' own pipeline, with the same noise and prompt", ""]
    if worst:
        said = f"first above {tolerance:g}: {above[0]}" if above else f"all within {tolerance:g}"
        lines += [f"Largest: {numbers[worst]:.1e} at {worst}; {said}.", ""]
    lines += [
        "Pictures, ours, theirs and 20 times the difference: `measured/pictures.png`; seconds, sizes: `measured/plots.png`.",
        "",
    ]
    lines += ["| stage | largest error over range |", "|---|---|"]
    shown = {stage: f"{error:.1e}" if isinstance(error, float) else str(error) for stage, error in errors.items()}
    return [*lines, *(f"| {stage} | {error} |" for stage, error in shown.items()), "", "## Samplers"]
