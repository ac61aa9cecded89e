"""What commands print and write: one JSON object, or lines for people; files and pictures of a texture."""

from __future__ import annotations

import contextlib
import json as json_format
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from ...assets.files import FORMATS, encode
from ...assets.flipbook import Flipbook
from ...assets.preview import PREVIEWS, png
from ...assets.refusal import Refusal, Unknown
from ...assets.sidecar import beside, write
from ...assets.sound import Sound
from ...assets.store import Store, default_folder, write_whole
from ...assets.texture import MAPS, PACKINGS, Texture
from ...runtime.music.piece import Piece

LOADING = "loading the bundle; its first load on a machine proves that its bits do not depend on company"


def show(result: Mapping[str, Any], json: bool) -> None:
    """One JSON object on standard output; or for people a line a field, without empty ones."""
    if json:
        typer.echo(json_format.dumps(result))
        return
    wide = max([13, *map(len, result)]) + 1
    for name, value in result.items():
        for number, line in enumerate(_lines(name, value)):
            typer.echo(f"{name if number == 0 else '':<{wide}}{line}")


def _lines(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        texts = [_text(name, each) for each in value]
        return [", ".join(texts)] if texts and all(len(text) < 30 for text in texts) and name != "files" else texts
    return [] if value in (None, "", {}) else [_text(name, value)]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    if name == "recipe":  # as it can be given to `replay`
        return json_format.dumps(value)
    return ", ".join(f"{key} {each}" for key, each in value.items() if each not in (None, "", {}))


def writable(folder: Path, field: str) -> Path:
    """The folder, made where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"{str(folder)!r} cannot be a folder to write to ({error.strerror})"
        raise Refusal("unwritable", field, sentence, "choose another") from error
    return folder


def place(out: str | None) -> Path | None:
    """What --out names: a file, or a folder, which is made where the text ends as those of folders do."""
    if out is None:
        return None
    return writable(Path(out), "out") if out.endswith(("/", os.sep)) else Path(out)


def remember(texture: Texture | Piece | Sound) -> None:
    """Notes the digest under the recipe id on this machine, for `replay`; where nothing can be kept, goes on."""
    with contextlib.suppress(OSError):
        Store(default_folder() / "store").put(texture.record, None)


def check_format(format: str, formats: Iterable[str] = FORMATS) -> str:
    if format not in formats:
        raise Unknown("format", format, formats)
    return format


def choose_maps(packings: Sequence[str], directx: bool) -> list[str]:
    """The maps to write: the texture's own, normals of one convention, and the packed ones."""
    for layout in packings:
        if layout not in PACKINGS:
            raise Unknown("pack", layout, PACKINGS)
    own = ["normal_directx" if directx and name == "normal" else name for name in MAPS]
    return [*own, *dict.fromkeys(packings)]


def write_texture(texture: Texture, out: Path, format: str, maps: Sequence[str] = MAPS) -> list[Path]:
    """The maps named, and the record (recipe, digest, who made it). The colour map is `out` itself."""
    files, record = [], beside(out)
    frames = (texture.sheet.rows, texture.sheet.columns) if isinstance(texture, Flipbook) else (1, 1)
    for name in waited(maps, "map"):
        path = out if name == "albedo" else out.with_name(f"{out.stem}_{name}.{format}")
        write_whole(path, encode(name, texture.map(name), format, frames))
        files.append(path)
    return [*files, write(record, files, texture.record)]


def write_previews(texture: Texture, out: Path) -> list[Path]:
    """NAME-tiled.png, NAME-sphere.png and NAME-plane.png beside the maps; of a flipbook's first frame, and NAME-playing.png."""
    files = []
    shown = texture
    if isinstance(texture, Flipbook):
        shown, path = texture.frame(0), out.with_name(f"{out.stem}-playing.png")
        write_whole(path, texture.animation("apng"))
        files.append(path)
    for name in waited(PREVIEWS, "picture"):
        path = out.with_name(f"{out.stem}-{name}.png")
        write_whole(path, png(PREVIEWS[name](shown)))
        files.append(path)
    return files


@contextlib.contextmanager
def patience(what: str) -> Iterator[None]:
    """Says to a person at a terminal what is going on, once it has taken a second."""
    timer = threading.Timer(1.0, typer.echo, (f"{what} ...",), {"err": True})
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def waited(items: Any, unit: str) -> Any:
    """The items, with a progress bar at a terminal once they have taken a second."""
    return tqdm(items, unit=unit, delay=1.0, leave=False, disable=None)
