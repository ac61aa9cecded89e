"""`cadenza demo`: a server, a client, a texture and music on disk, and their seeds replayed by a server started anew."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ...assets.refusal import Refusal
from ...assets.texture import MAPS
from ...bridge import Game, connect
from . import demo_music, dials
from .make import summary, watched
from .output import remember, show, writable, write_previews, write_texture

ASKED = {"kind": "texture", "prompt": "mossy stone", "seed": 7, "size": 256}
START_S = 50.0
"""Seconds for a server to say that it serves: it loads the bundle, and on a machine's first run proves it."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("cadenza-demo"),
    bundle: dials.Bundles = None,
    json: dials.Json = False,
) -> None:
    """Make a texture and music through a server and prove their seeds. A second server makes them again, to the same bytes."""
    writable(out, "out")
    took: dict[str, float] = {}
    with timed(took, "all", silent=True), interruptible():
        piece = stream = None
        with playing(bundle, took, "server", json) as game:
            with timed(took, "texture", json):
                texture = watched(game, ASKED)
            if demo_music.served(game):
                with timed(took, "music", json):
                    piece, sounds = demo_music.loop(game, out)
                with timed(took, "live music", json):
                    stream, more = demo_music.into_combat(game, out)
        with timed(took, "files", json):
            files = write_texture(texture, out / "mossy-stone-7.png", "png", (*MAPS, "normal_directx", "orm"))
        with timed(took, "previews", json):
            files += write_previews(texture, out / "mossy-stone-7.png")
        with playing(bundle, took, "second server", json) as game, timed(took, "replay", json):
            again = watched(game, dict(texture.recipe))
            music = {}
            if piece is not None and stream is not None:
                files += [*sounds, *more]
                remember(piece)
                replayed = watched(game, dict(piece.recipe)), game.replay(stream)
                music = {"music": demo_music.told(piece, replayed[0], stream, replayed[1])}
    remember(texture)
    same = again.digest == texture.digest and all(demo_music.same(found) for found in music.values())
    stages = {f"texture.{stage}": round(ms, 1) for stage, ms in texture.milliseconds.items()}
    told = {**summary(texture, files, {**took, **stages}), "replayed": again.digest, "same": same, **music}
    if json:
        show(told, json)
    else:
        tell(told)
    if not same:
        raise typer.Exit(1)


def tell(told: Mapping[str, Any]) -> None:
    """The result for people."""
    recipe, ms, by = told["recipe"], told["milliseconds"], told["made_by"]
    parts = ", ".join(f"{stage} {ms['texture.' + stage]:.0f}" for stage in ("model", "decode", "finish"))
    lines = {
        "made": f"{recipe['prompt']!r}, seed {recipe['seed']}, {recipe['width']} x {recipe['height']} px, "
        f"{recipe['steps']} steps of {recipe['sampler']}",
        "by": f"{by['backend']} {by['version']}, {by['device']}, {by['precision']}",
        "in": f"{ms['texture.total']:.0f} ms ({parts})",
        "files": "\n              ".join(told["files"]),
        "digest": told["digest"],
        "replayed": f"{told['replayed']}, by a second server: {'the same bytes' if told['replayed'] == told['digest'] else 'OTHER BYTES'}",
        **(demo_music.lines(told["music"]) if "music" in told else {}),
        "all": f"{ms['all'] / 1e3:.1f} s",
    }
    for name, text in lines.items():
        typer.echo(f"{name:<14}{text}")


@contextlib.contextmanager
def playing(bundles: Sequence[Path] | None, took: dict[str, float], stage: str, silent: bool) -> Iterator[Game]:
    """A server process of our own on a free loopback port and a connection to it; ends both whatever happens."""
    command = [sys.executable, "-m", "cadenza", "serve", "--bind", "tcp://127.0.0.1:*"]
    command += [word for folder in bundles or () for word in ("--bundle", str(folder))]
    with contextlib.ExitStack() as undo:
        with timed(took, stage, silent):
            process = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")
            undo.callback(_end, process)
            game = undo.enter_context(connect(_address(process), timeout=10))
        yield game


def _address(process: subprocess.Popen[str]) -> str:
    """What the server announces, or its refusal as ours."""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(process, said), daemon=True).start()
    end, last = time.monotonic() + START_S, ""
    while True:
        try:
            line = said.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise Refusal("timeout", "server", f"did not start within {START_S:g} s", "try `cadenza serve`") from None
        if not line:
            raise Refusal("closed", "server", f"did not start: {last or 'it said nothing'}", "try `cadenza serve`")
        if line.startswith("serving on "):
            return line.removeprefix("serving on ").partition(";")[0]
        last = line.strip().removeprefix("cadenza: ")


def _listen(process: subprocess.Popen[str], said: queue.SimpleQueue[str]) -> None:
    """Hands on every line, so that the server never waits for us; an empty one is the end."""
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            said.put(line)
    said.put("")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the body as Ctrl-C does, so that nothing it started is left running."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def timed(took: dict[str, float], stage: str, silent: bool) -> Iterator[None]:
    """Milliseconds of a stage into `took`, and a line on standard error once it is done."""
    began = time.perf_counter()
    yield
    took[stage] = round(1e3 * (time.perf_counter() - began), 1)
    if not silent:
        typer.echo(f"{stage:<14}{took[stage] / 1e3:6.2f} s", err=True)
