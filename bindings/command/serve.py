"""`cadenza serve`: the server, until it is interrupted."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...assets.store import Store
from ...bridge.server import serve as run_server
from ...runtime.music import beforehand, fonts
from ...runtime.runtime import Runtime
from . import dials
from .output import LOADING, patience, writable

PATIENCE_S = 0.2
"""How much later a server may listen so that it can play at once; what is not made by then is made while it serves."""
DEFAULT_ADDRESS = "tcp://127.0.0.1:5557"
SWITCH_S = 0.001
"""Python's threads change turns this often, not every 5 ms: a long plan that compiles then holds up the engine a third less."""


def serve(
    bind: Annotated[
        str, typer.Option(help="Address to listen on; anything wider than this machine needs keys.")
    ] = DEFAULT_ADDRESS,
    bundle: dials.Bundles = None,
    store: Annotated[Path | None, typer.Option(help="Folder that keeps every result by recipe id.")] = None,
    backend: dials.Backend = "auto",
    threads: dials.Threads = None,
    soundfont: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: a SoundFont that requests for music may name; may be repeated.")
    ] = None,
    insecure_public: Annotated[bool, typer.Option(help="Listen beyond this machine without keys.")] = False,
) -> None:
    """Serve bundles over ZeroMQ."""
    fonts.offer_all(soundfont or ())
    keep = Store(writable(store, "store")) if store else None
    sys.setswitchinterval(SWITCH_S)
    usual = beforehand.begin() if beforehand.plays(bundle) else None  # while the graphs are loaded, by another core
    with patience(LOADING):
        runtime = Runtime(bundle, backend, threads, keep)
        if usual is not None:
            usual.help(PATIENCE_S)
    gc.collect()
    gc.freeze()  # what is loaded stays: to look through it again would hold a request up by 25 ms now and then
    with runtime:
        run_server(runtime, bind, insecure_public=insecure_public, ready=_announce)


def _announce(address: str) -> None:
    typer.echo(f"serving on {address}; interrupt to stop", err=True)
