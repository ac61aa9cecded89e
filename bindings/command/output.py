"""What commands print and write: one JSON object, or lines for people; files of a texture."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ...assets.files import FORMATS, encode
from ...assets.refusal import Unknown
from ...assets.texture import Texture


def show(result: Mapping[str, Any], json: bool) -> None:
    """One JSON object on standard output, or a line a field."""
    if json:
        typer.echo(json_format.dumps(result))
        return
    for name, value in result.items():
        for line in value if isinstance(value, list) and value else [value]:
            text = json_format.dumps(line) if isinstance(line, dict) else line
            typer.echo(f"{name:<14}{text}")


def write_texture(texture: Texture, out: Path, format: str | None) -> list[Path]:
    """All maps, the record (recipe, digest, who made it). The colour map is `out` itself."""
    format = format or out.suffix.lstrip(".").lower() or "png"
    if format not in FORMATS:
        raise Unknown("format", format, FORMATS)
    out.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for name, array in texture.maps().items():
        path = out if name == "albedo" else out.with_name(f"{out.stem}_{name}.{format}")
        path.write_bytes(encode(name, array, format))
        files.append(path)
    record = out.with_name(f"{out.stem}.json")
    record.write_text(json_format.dumps(texture.record, indent=1) + "\n")
    files.append(record)
    return files
