"""`cadenza samplers`, `spacings` and `bundles`: what there is."""

from __future__ import annotations

import typer

from ...runtime.solver.catalogue import describe_samplers, describe_spacings
from . import dials
from .make import open_game
from .output import show


def samplers(json: dials.Json = False) -> None:
    """List the samplers: order, evaluations a step, whether they draw noise."""
    rows = describe_samplers()
    if json:
        show({"samplers": rows}, json)
        return
    typer.echo(f"{'name':<28}{'order':>6}{'evaluations/step':>18}{'noise':>7}  title")
    for row in rows:
        noise = "yes" if row["stochastic"] else ""
        typer.echo(
            f"{row['name']:<28}{row['order'] or '-':>6}{row['evaluations_per_step']:>18.3g}{noise:>7}  {row['title']}"
        )


def spacings(json: dials.Json = False) -> None:
    """List the spacings of noise levels."""
    rows = describe_spacings()
    if json:
        show({"spacings": rows}, json)
        return
    for row in rows:
        typer.echo(f"{row['name']:<24}{row['title']}")


def bundles(bundle: dials.Bundles = None, server: dials.Server = None, json: dials.Json = False) -> None:
    """List the bundles, their words, sizes and step counts."""
    with open_game(server, bundle) as game:
        found = game.describe()["bundles"]
    if json:
        show({"bundles": found}, json)
        return
    for each in found:
        show(each, json)
        typer.echo("")
