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
    for stage, error in report.get("diffusers", {}).items():
        lines.append(f"- against diffusers' own pipeline, {stage}: {error}")
    for backend, facts in report["bits"].items():
        said = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in facts.items() if key != "backend")
        lines.append(f"- {backend}: {said}")
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
