"""`cadenza make sound`: samples into a sound file, and the record that makes them again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ...assets.sound import Sound
from .dials import parse_numbers
from .output import remember, show, writable

Seconds = Annotated[
    float | None, typer.Option(help="Sound: its length, rounded up to one that the bundle makes; 10, or its longest.")
]
Bits = Annotated[
    int | None,
    typer.Option(help="Sound, music: 32 (float), 24 or 16; without it 32 in WAV and 24 in FLAC; OGG has none."),
]
GainDb = Annotated[float, typer.Option("--gain-db", help="Sound: louder, or below 0 softer, in the file.")]
Anew = Annotated[
    list[str] | None,
    typer.Option(help="Sound: make only this span of the image anew, BEGIN,END in seconds; may be repeated."),
]


def spans(texts: list[str] | None) -> list[list[float]] | None:
    """What --anew gives, as a request has it."""
    return [parse_numbers(text, "anew", "two numbers of seconds, such as 0.5,1.25") for text in texts or ()] or None


def write(sound: Sound, path: Path, bits: int | None, gain_db: float, json: bool) -> None:
    """Writes the file, notes the digest for `replay`, and tells what was made."""
    milliseconds = dict(sound.milliseconds)
    began = time.perf_counter()
    files = sound.save(writable(path.parent, "out") / path.name, bits, gain_db)
    milliseconds["files"] = 1e3 * (time.perf_counter() - began)
    remember(sound)
    summary = {
        "id": sound.id,
        "recipe": dict(sound.recipe),
        "digest": sound.digest,
        "ignored": list(sound.ignored),
        "made_by": dict(sound.made_by),
        "seconds": round(sound.seconds, 3),
        "rate_hz": sound.rate,
        "channels": sound.audio.shape[1],
        "files": [str(file) for file in files],
        "milliseconds": {stage: round(ms, 3) for stage, ms in milliseconds.items()},
    }
    show(summary, json)
