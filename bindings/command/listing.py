"""`cadenza samplers`, `spacings`, `names` and `bundles`: what there is, and what it is called."""

from __future__ import annotations

import json as json_format
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from ...assets.refusal import Refusal
from ...runtime.solver.catalogue import describe_live, describe_samplers, describe_spacings
from ...runtime.solver.names import resolve_names
from ...runtime.solver.process import Process
from ...runtime.solver.scheduler_config import read_scheduler_config
from . import dials
from .make import open_game
from .output import show


def samplers(json: dials.Json = False) -> None:
    """List the samplers: order, evaluations a step, whether they draw noise; and those that choose their steps live."""
    rows, live = describe_samplers(), describe_live()
    if json:
        show({"samplers": rows, "live": live}, json)
        return
    typer.echo(f"{'name':<28}{'order':>6}{'evaluations/step':>18}{'noise':>7}  title")
    for row in rows:
        noise = "yes" if row["stochastic"] else ""
        typer.echo(
            f"{row['name']:<28}{row['order'] or '-':>6}{row['evaluations_per_step']:>18.3g}{noise:>7}  {row['title']}"
        )
    for row in live:
        took, dials_ = f"live, {row['evaluations']} in all", ", ".join(f"{k}={v:g}" for k, v in row["options"].items())
        typer.echo(f"{row['name']:<28}{row['order']:>6}{took:>18}{'':>7}  {row['title']}, without --steps; {dials_}")


def spacings(json: dials.Json = False) -> None:
    """List the spacings of noise levels."""
    rows = describe_spacings()
    if json:
        show({"spacings": rows}, json)
        return
    for row in rows:
        options = (
            "  " + ", ".join(f"{name}={value}" for name, value in row["options"].items()) if row["options"] else ""
        )
        typer.echo(f"{row['name']:<18}{row['title']}{options}")


def names(
    name: Annotated[str, typer.Argument(help="A sampler's name of any world, or a diffusers scheduler_config.json.")],
    json: dials.Json = False,
) -> None:
    """Say what a name or a scheduler configuration means here, and which of its settings had no effect there."""
    show(_configured(Path(name)) if name.endswith(".json") else vars(resolve_names(name)), json)


def _configured(path: Path) -> dict[str, Any]:
    try:
        config = json_format.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal("corrupt", str(path), f"is no JSON ({error})", "give a scheduler_config.json") from error
    if not isinstance(config, dict):
        raise Refusal("type", str(path), "is no JSON object", "give a scheduler_config.json")
    read = read_scheduler_config(config)
    return {**vars(read), "process": _process(read.process)}


def _process(process: Process) -> dict[str, Any]:
    if process.kind == "flow":
        return {"kind": "flow", "shift": process.shift}
    if process.kind == "vp":
        ends = [math.exp(process.table[0]), math.exp(process.table[-1])]
        return {"kind": "vp", "timesteps": len(process.table), "noise_ratio": ends}
    return {"kind": process.kind, "noise_ratio": [process.low, process.high]}


def readable(bundle: dict[str, Any]) -> dict[str, Any]:
    """For people: a line a style, a dial and an input, and words without what they stand for."""
    told = dict(bundle)
    for name in ("styles", "dials", "inputs"):
        if isinstance(told.get(name), dict):
            told[name] = [f"{key:<14}{_brief(value)}" for key, value in told[name].items()]
    if isinstance(told.get("words"), dict):
        told["words"] = [word for word, meant in told["words"].items() if word != meant]
    return told


def _brief(row: dict[str, Any]) -> str:
    if "minimum" in row:
        return f"{row['minimum']:g} to {row['maximum']:g}, usual {row.get('usual', row.get('default'))}"
    if "of" in row:
        of = row["of"] if isinstance(row["of"], str) else ", ".join(map(str, row["of"]))
        return f"{of}; usual {row['usual']}"
    return ", ".join(f"{key} {value}" for key, value in row.items())


def bundles(bundle: dials.Bundles = None, server: dials.Server = None, json: dials.Json = False) -> None:
    """List the bundles, their words, sizes and step counts."""
    with open_game(server, bundle) as game:
        found = game.describe()["bundles"]
    if json:
        show({"bundles": found}, json)
        return
    for each in found:
        show(readable(each), json)
        typer.echo("")
