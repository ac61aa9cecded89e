"""The command's frame: its words, what others register, and one sentence with exit status 2 for anything refused."""

from __future__ import annotations

import io
import re
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

import click
import typer
import typer.core

from ...assets.refusal import Refusal
from . import bench, compare, demo, fit, listing, make, replay, serve, travel

typer.core.HAS_RICH = (
    False  # with it the library writes its help's brackets with backslashes before them, plain help too
)

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "serve": serve.serve,
    "make": make.make,
    "replay": replay.replay,
    "travel": travel.travel,
    "compare": compare.compare,
    "fit": fit.fit,
    "bench": bench.bench,
    "samplers": listing.samplers,
    "spacings": listing.spacings,
    "names": listing.names,
    "bundles": listing.bundles,
}


def build() -> click.Command:
    """The command line: the words above and whatever is registered under the entry point group `cadenza.commands`."""
    app = typer.Typer(
        help="Textures and music for games from a seed, the same bytes every time.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, function in COMMANDS.items():
        app.command(name)(function)
    for registered in entry_points(group="cadenza.commands"):
        app.command(registered.name)(_load(registered))
    return typer.main.get_command(app)


def _load(registered: EntryPoint) -> Callable[..., None]:
    """The registered command; one whose libraries are not installed says so when it is called, and harms no other."""
    try:
        function: Callable[..., None] = registered.load()
        return function
    except (ImportError, AttributeError) as error:
        reason = str(error)

    def unavailable() -> None:
        raise Refusal("missing", registered.name, f"cannot be loaded ({reason})", "pip install 'cadenza[export]'")

    unavailable.__doc__ = f"Not available: {reason}."
    return unavailable


def main() -> NoReturn:
    """Exit status: 0 done, 1 a check failed, 2 bad arguments or input, 3 a fault of Cadenza's own, 130 interrupted,
    141 nobody reads the output (`| head`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of few letters shows the others escaped
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        status = build().main(arguments, prog_name="cadenza", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "cadenza"
        sentence = _once(" ".join(error.format_message().split()).rstrip("."))
        return _refuse(f"{sentence}; see {command} --help")
    except Refusal as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or 'system'}: {error.strerror or error}")
    except SystemExit:  # how the library ends where a pipe is closed, with the status of a check that failed
        return 141
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        traceback.print_exc()
        click.echo(f"cadenza: internal: {type(error).__name__}: {error}; report it with the lines above", err=True)
        return 3
    return int(status or 0)


def _once(sentence: str) -> str:
    """What both libraries of the command line suggest is suggested once."""
    return re.sub(r"( Did you mean [^?]*\?)\1+", r"\1", sentence)


def _refuse(sentence: str) -> int:
    click.echo(f"cadenza: {sentence}", err=True)
    return 2
