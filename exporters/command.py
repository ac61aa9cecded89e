"""`cadenza verify`: heavy imports wait until a command runs, as every command loads this file."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from ..assets.refusal import Refusal

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    write: Annotated[
        bool, typer.Option("--write", help="Put the report into the bundle, which changes the bundle's digest.")
    ] = False,
    json: Json = False,
) -> None:
    """Check every sampler of a bundle: engine and loop graph against the float64 reference."""
    _needs("onnx")
    from ..assets.bundle import add_files, load_bundle
    from .report import diverged, page, report_files
    from .verify import check_bundle

    opened = load_bundle(bundle)
    report = check_bundle(opened)
    typer.echo(json_format.dumps(report) if json else page(report))
    if not report["passed"]:
        typer.echo(f"cadenza: {diverged(report)}", err=True)
        raise typer.Exit(1)
    if write:
        add_files(opened, report_files(report))


def _needs(*packages: str) -> None:
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise Refusal("missing", "export", f"needs the package {package}", "pip install 'cadenza[export]'")
