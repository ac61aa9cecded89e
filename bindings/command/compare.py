"""`cadenza compare`: pictures and charts of what samplers, step counts and spacings do on a bundle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ...assets.preview import Picture, png, sheet
from ...assets.refusal import Refusal, Unknown
from ...assets.store import default_folder
from ...runtime import checks
from ...runtime.dials import DEFAULT_SPACING
from ...runtime.looking import Run, Workbench, distance
from ...runtime.plans import process_of
from ...runtime.solver.compile import STEPS
from ...runtime.solver.levels import check_spacing, levels_of
from ...runtime.solver.names import resolve_names
from ...runtime.solver.spacings import SPACINGS
from . import dials
from .charts import chart, rows
from .compare_music import temperature
from .output import show, waited

What = Annotated[list[str] | None, typer.Argument(help="What to draw, one or several; without it everything quick.")]
Samplers = Annotated[
    str | None, typer.Option("--samplers", help="Names with commas between; a word each draws for itself.")
]
Counts = Annotated[str | None, typer.Option("--steps", help="Step counts: 1,2,4,8.")]
Out = Annotated[Path, typer.Option(help="Folder of the pictures.")]

SHOWN = ("euler", "heun", "ddim", "dpmpp_2m", "deis", "uni_pc", "res_multistep", "rk4")


@dataclass
class Table:
    """What every drawing works from: a bundle on a bench, one request, and the samplers and step counts to compare."""

    bench: Workbench
    request: dict[str, Any]
    out: Path
    samplers: list[str] | None
    steps: list[int] | None

    def run(self, sampler: str, steps: int, **dials: Any) -> Run:
        watch, step_seed = bool(dials.pop("watch", False)), dials.pop("step_seed", None)
        spacing = self.request.get("spacing") or resolve_names(sampler).spacing or DEFAULT_SPACING
        asked = {**self.request, "sampler": sampler, "steps": steps, "spacing": spacing, **dials}
        return self.bench.run(asked, watch=watch, step_seed=step_seed)

    @cached_property
    def exact(self) -> Run:
        return self.bench.converged(self.request)

    def albedo(self, run: Run, estimate: int | None = None) -> Picture:
        return self.bench.texture(run, None if estimate is None else run.estimates[estimate]).albedo

    def timed(self, sampler: str, steps: int) -> Run:
        """The quickest of three runs, fewer where they take long, after one that compiles what there is to compile."""
        self.run(sampler, 1)
        runs = [self.run(sampler, steps)]
        while len(runs) < 3 and sum(run.seconds for run in runs) < 1.0:
            runs.append(self.run(sampler, steps))
        return min(runs, key=lambda run: run.seconds)

    def write(self, name: str, pictures: Iterable[tuple[str, Picture]], columns: int, side: int = 160) -> Path:
        path = self.out / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(sheet(list(pictures), columns, side)))
        return path


BACKGROUND = (24, 25, 28)
"""Of a sheet, red, green, blue: what stands where a row is shorter than others."""
Drawn = tuple[Path, dict[str, Any]]
"""A picture, and the numbers in it."""


def contact_sheet(table: Table) -> Drawn:
    """Samplers down, step counts across: the same seed each time."""
    samplers, steps = table.samplers or list(SHOWN), table.steps or [2, 4, 8, 16]
    cells = [(sampler, n) for sampler in samplers for n in steps]
    pictures = [(f"{sampler}, {n} steps", table.albedo(table.run(sampler, n))) for sampler, n in waited(cells, "run")]
    return table.write("sheet", pictures, len(steps)), {"samplers": samplers, "steps": steps}


def error(table: Table) -> Drawn:
    """Distance to the converged result against evaluations, of samplers that draw no noise: what a step costs counts."""
    samplers, steps = table.samplers or list(SHOWN), table.steps or [2, 3, 4, 6, 8, 12, 16, 24, 32]
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for sampler in waited(samplers, "sampler"):
        runs = [table.run(sampler, n) for n in steps]
        if not runs[-1].resolved.fixed_plan.stochastic:
            lines[sampler] = [float(r.evaluations) for r in runs], [distance(r, table.exact) for r in runs]
    if not lines:
        raise Refusal("contradiction", "samplers", "all draw noise, so none converges", "name one such as ddim too")
    path = table.out / "error.png"
    note = "converged: rk4 with 200 steps; root mean square over the latent, in its deviations"
    axes = ("model evaluations (NFE)", "distance to the converged result")
    chart(path, f"{table.bench.bundle.manifest.name}: error against cost", *axes, lines, log="xy", note=note,
          ticks=(2, 4, 8, 16, 32, 64, 128))  # fmt: skip
    return path, {"nfe_error": {name: list(zip(*line, strict=True)) for name, line in lines.items()}}


def times(table: Table) -> Drawn:
    """Milliseconds against steps, decoder not counted; compare lines of one run only."""
    samplers, steps = table.samplers or ["euler", "heun", "dpmpp_2m", "rk4"], table.steps or [1, 2, 4, 8, 16, 32]
    measured = {
        s: [1e3 * min(table.run(s, n).seconds for _ in range(2)) for n in steps] for s in waited(samplers, "sampler")
    }
    lines = {sampler: ([float(n) for n in steps], ms) for sampler, ms in measured.items()}
    path = chart(
        table.out / "time.png", f"{table.bench.bundle.manifest.name}: time against steps", "steps", "ms", lines
    )
    return path, {"steps": steps, "milliseconds": measured}


def strip(table: Table) -> Drawn:
    """The clean estimate at every evaluation of a 10-step run, a row a sampler: ddim above, ddpm below."""
    samplers, steps = table.samplers or ["ddim", "ddpm"], (table.steps or [10])[0]
    runs = {sampler: table.run(sampler, steps, watch=True) for sampler in samplers}
    longest = max(len(run.estimates) for run in runs.values())
    pictures = []
    for sampler, run in runs.items():
        told = run.resolved.fixed_plan.time
        row = [(f"{sampler}, t = {t:.4g}", table.albedo(run, k)) for k, t in enumerate(told)]
        nothing = np.full_like(row[0][1], BACKGROUND)
        pictures += row + [("", nothing)] * (longest - len(row))  # samplers take different numbers of evaluations
    return table.write("strip", pictures, longest), {"samplers": samplers, "steps": steps}


def spacings(table: Table) -> Drawn:
    """The noise levels that every spacing visits in 12 steps."""
    steps, process = (table.steps or [12])[0], process_of(table.bench.bundle.manifest)
    levels = {
        name: [level.sigma for level in levels_of(check_spacing(name, steps), steps, process, 1.0)] for name in SPACINGS
    }
    x = "t" if process.kind == "flow" else "noise ratio sigma / alpha"
    points = {name: each[:-1] for name, each in levels.items()}
    title, note = f"Noise levels of {steps} steps on {process.kind}", "noisy at the left; the clean end, 0, is left out"
    path = rows(table.out / "spacings.png", title, x, points, note)
    return path, {"levels": levels}


def exercise_1(table: Table) -> Drawn:
    """One model, one seed: ddpm with 1,000 steps, ddim with 50, a DPM-Solver with 20."""
    runs = [table.timed(sampler, n) for sampler, n in waited([("ddpm", 1000), ("ddim", 50), ("dpmpp_2m", 20)], "run")]
    labels = [f"{r.resolved.recipe.sampler} {r.resolved.recipe.steps}: {1e3 * r.seconds:.0f} ms" for r in runs]
    pictures = [(label, table.albedo(run)) for label, run in zip(labels, runs, strict=True)]
    return table.write("exercise-1", pictures, 3), {"runs": labels}


def exercise_2(table: Table) -> Drawn:
    """One start: ddim is the same whatever the step noise, ddpm is not; and both give the same bits for the same seed."""
    seed, same, pictures = table.request["seed"], {}, []
    for sampler in ("ddim", "ddpm"):
        first, again = table.run(sampler, 20), table.run(sampler, 20)
        other = table.run(sampler, 20, step_seed=seed + 1)
        same[sampler] = {
            "same seed, same bits": bool(np.array_equal(first.latent, again.latent)),
            "other step noise, same bits": bool(np.array_equal(first.latent, other.latent)),
        }
        told = ["same bits" if bits else "other bits" for bits in same[sampler].values()]
        labels = (f"{sampler} seed {seed}", f"again: {told[0]}", f"step noise {seed + 1}: {told[1]}")
        pictures += [(label, table.albedo(run)) for label, run in zip(labels, (first, again, other), strict=True)]
    return table.write("exercise-2", pictures, 3), same


def exercise_3(table: Table) -> Drawn:
    """Quality and time at 5, 10, 20, 50, 100 and 200 steps."""
    sampler, counts = (table.samplers or ["ddim"])[0], table.steps or [5, 10, 20, 50, 100, 200]
    runs = [table.timed(sampler, n) for n in waited(counts, "run")]
    figures = [(n, 1e3 * run.seconds, distance(run, table.exact)) for n, run in zip(counts, runs, strict=True)]
    pictures = [
        (f"{n} steps, {ms:.0f} ms, error {off:.2g}", table.albedo(r))
        for (n, ms, off), r in zip(figures, runs, strict=True)
    ]
    return table.write("exercise-3", pictures, len(pictures), 210), {"sampler": sampler, "steps_ms_error": figures}


def exercise_4(table: Table) -> Drawn:
    """What the model thinks at every step: `strip` under its name in the course."""
    path, numbers = strip(table)
    return path.replace(path.with_name("exercise-4.png")), numbers


ANY = 99


@dataclass(frozen=True)
class Drawing:
    """How it is drawn, and how many samplers and step counts it looks at."""

    draw: Callable[[Table], Drawn]
    samplers: int = ANY
    steps: int = ANY


DRAWINGS = {
    "sheet": Drawing(contact_sheet),
    "error": Drawing(error),
    "time": Drawing(times),
    "strip": Drawing(strip, steps=1),
    "spacings": Drawing(spacings, samplers=0, steps=1),
    "exercise-1": Drawing(exercise_1, 0, 0),
    "exercise-2": Drawing(exercise_2, 0, 0),
    "exercise-3": Drawing(exercise_3, samplers=1),
    "exercise-4": Drawing(exercise_4, steps=1),
}
MUSIC = "temperature"
QUICK = ("sheet", "error", "time", "strip", "spacings")


def compare(
    what: What = None,
    prompt: Annotated[str, typer.Option(help="What to make; without it the bundle's first word.")] = "",
    seed: dials.Seed = 7,
    size: dials.Size = "128",
    samplers: Samplers = None,
    steps: Counts = None,
    spacing: dials.Spacing = None,
    guidance: dials.Guidance = None,
    out: Out = Path("compare"),
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; without it the embedded one.")] = None,
    backend: dials.Backend = "auto",
    threads: dials.Threads = None,
    json: dials.Json = False,
) -> None:
    """Draw what samplers, step counts and spacings do: sheet, error, time, strip, spacings, exercise-1 to exercise-4;
    and of music: temperature (by top-k).

    --json gives the numbers in the pictures too.
    """
    chosen = what or list(QUICK)
    for name in chosen:
        if name not in (*DRAWINGS, MUSIC):
            raise Unknown("what", name, (*DRAWINGS, MUSIC))
    names = [each.strip() for each in samplers.split(",")] if samplers else None
    counts = dials.parse_wholes(steps, "steps", "step counts such as 1,2,4,8") if steps else None
    for each in names or ():
        resolve_names(each)  # refuses what is none
    for count in counts or ():
        checks.whole(count, "steps", range(1, STEPS + 1))
    if chosen == [MUSIC]:
        given = {"samplers": samplers, "steps": steps, "spacing": spacing, "guidance": guidance}
        dials.refuse(given, "temperature", "pictures")
    else:
        drawn = [DRAWINGS[name] for name in chosen if name != MUSIC]
        _check_looked_at("samplers", names, max(drawing.samplers for drawing in drawn), chosen)
        _check_looked_at("steps", counts, max(drawing.steps for drawing in drawn), chosen)
    results: dict[str, Any] = {}
    if MUSIC in chosen:
        path, numbers = temperature(prompt, seed, out, bundle, backend, threads)
        results[MUSIC] = {"file": str(path), **numbers}
        chosen = [name for name in chosen if name != MUSIC]
    if chosen:
        bench = Workbench(bundle, backend, default_folder() / "proofs", threads or os.cpu_count() or 1)
        asked = dials.request(
            bench.bundle.manifest.kind, prompt or bench.prompts[0], size,
            seed=seed, guidance=guidance, spacing=spacing,
        )  # fmt: skip
        table = Table(bench, asked, out, names, counts)
        for name in chosen:
            path, numbers = DRAWINGS[name].draw(table)
            results[name] = {"file": str(path), **numbers}
    show(results if json else {name: result["file"] for name, result in results.items()}, json)


def _check_looked_at(field: str, given: list[Any] | None, most: int, chosen: list[str]) -> None:
    """Refuses what none of the drawings would look at."""
    if given is not None and len(given) > most:
        sentence = f"{len(given)} are given, and {', '.join(chosen)} looks at {most or 'none'}"
        raise Refusal("contradiction", field, sentence, "leave them out" if most == 0 else f"give {most}")
