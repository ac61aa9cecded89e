"""`cadenza make music`: a loop into a sound file, its stems, and all that an engine wants to know in a JSON file."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ...assets.music.files import FORMATS
from ...assets.refusal import Refusal, Unknown
from ...runtime.music import fonts
from ...runtime.music.piece import Piece
from .output import remember, show, writable

Bars = Annotated[int | None, typer.Option(help="Music: 1 to 32 bars.")]
Bpm = Annotated[float | None, typer.Option(help="Music: 60 to 200 quarter notes a minute.")]
Key = Annotated[str | None, typer.Option(help='Music: such as "D minor", "F# dorian".')]
Style = Annotated[list[str] | None, typer.Option(help="Music: a style; may be repeated, the last names the sound.")]
Section = Annotated[str | None, typer.Option(help="Music: intro, loop, fill, ending, stinger.")]
Signature = Annotated[str | None, typer.Option(help="Music: 3/4, 4/4, 5/4.")]
Intensity = Annotated[float | None, typer.Option(help="Music: 0 to 1; chords and lead stay where it changes.")]
Density = Annotated[float | None, typer.Option(help="Music: 0 to 1, how many notes.")]
Brightness = Annotated[float | None, typer.Option(help="Music: 0 to 1, how high.")]
Temperature = Annotated[
    float | None, typer.Option(help="Music: 0 is the likeliest word always, 1 the model's own odds.")
]
TopK = Annotated[int | None, typer.Option(help="Music: draw among so many likeliest words; 0 all.")]
TopP = Annotated[float | None, typer.Option(help="Music: draw among words of this total chance; goes before top-k.")]
Mute = Annotated[list[str] | None, typer.Option(help="Music: leave out drums, bass, chords, arpeggio or lead; repeat.")]
Only = Annotated[list[str] | None, typer.Option(help="Music: only these streams sound; repeat.")]
Loudness = Annotated[
    str | None, typer.Option(help="Music: LUFS, -40 to -10, or broadcast (-23, the usual), game (-16), loud (-14).")
]
Rate = Annotated[int | None, typer.Option(help="Music: 48000 or 44100 samples a second.")]
SoundFont = Annotated[
    str | None,
    typer.Option(help="Music: a SoundFont that plays: FILE or NAME=FILE; with --server, a name that it offers."),
]
Stems = Annotated[bool, typer.Option("--stems", help="Music: also a file for each stream; added, they are the mix.")]


def request(prompt: str, seed: int, dials: Mapping[str, Any]) -> dict[str, Any]:
    """A request for `submit`; a dial of pictures is refused by its name, never ignored."""
    asked: dict[str, Any] = {"kind": "music", "prompt": prompt, "seed": seed}
    for name, value in dials.items():
        if value is not None:
            asked[name] = value
    if "style" in asked:
        asked["styles"] = asked.pop("style")
    if "loudness" in asked:
        with contextlib.suppress(ValueError):  # a name then
            asked["loudness"] = float(asked["loudness"])
    if "guidance" in asked:
        try:
            asked["guidance"] = float(asked["guidance"])
        except ValueError:
            raise Refusal("type", "guidance", f"{asked['guidance']!r} is no number", "music takes one number") from None
    return asked


def played_by(soundfont: str | None, server: str | None) -> str | None:
    """The name of the SoundFont of an option; a file is offered under it, as music is made in this process."""
    if soundfont is not None and server is None:
        fonts.offer_all([soundfont])
        name, equals, _ = soundfont.partition("=")
        return name if equals else Path(soundfont).stem
    return soundfont


def target(out: Path | None, prompt: str, seed: int, format: str | None, kind: str = "music") -> Path:
    """The file of music or of a sound: `out`, or named after the prompt in the folder `out`."""
    if format is not None and format not in FORMATS:
        raise Unknown("format", format, FORMATS)
    if out is None or out.is_dir():
        words = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-")[:60] or kind
        return (out or Path()) / f"{words}-{seed}.{format or 'wav'}"
    ending = out.suffix.lstrip(".").lower()
    if not ending:
        return out.with_suffix(f".{format or 'wav'}")
    if ending not in FORMATS:
        raise Unknown("out", out.suffix, [f".{each}" for each in FORMATS])
    if format not in (None, ending):
        raise Refusal("contradiction", "format", f"{format!r} stands against {out.name!r}", "give one of them")
    return out


def write(piece: Piece, path: Path, stems: bool, bits: int | None, preview: bool, json: bool) -> None:
    """Writes the files, notes the digest for `replay`, and tells what was made."""
    milliseconds = dict(piece.milliseconds)
    began = time.perf_counter()
    files = piece.save(writable(path.parent, "out") / path.name, stems=stems, bits=bits)
    milliseconds["files"] = 1e3 * (time.perf_counter() - began)
    if preview:
        began = time.perf_counter()
        files += pictures(piece, path)
        milliseconds["preview"] = 1e3 * (time.perf_counter() - began)
    remember(piece)
    score = piece.score
    summary = {
        "id": piece.id,
        "recipe": dict(piece.recipe),
        "digest": piece.digest,
        "ignored": list(piece.ignored),
        "made_by": dict(piece.made_by),
        "seconds": round(piece.music.seconds, 3),
        "notes": len(score.notes),
        "files": [str(file) for file in files],
        "milliseconds": {stage: round(ms, 3) for stage, ms in milliseconds.items()},
    }
    show(summary, json)


def pictures(piece: Piece, path: Path) -> list[Path]:
    """NAME-roll.png, NAME-spectrogram.png and, of a loop, NAME-seam.png."""
    if find_spec("matplotlib") is None:
        raise Refusal("missing", "preview", "pictures need matplotlib", "pip install 'cadenza[plots]'")
    from ...assets.music.pictures import piano_roll, seam, spectrogram

    names = {kind: path.with_name(f"{path.stem}-{kind}.png") for kind in ("roll", "spectrogram", "seam")}
    drawn = [piano_roll(piece.score, names["roll"]), spectrogram(piece.music, names["spectrogram"])]
    return [*drawn, seam(piece.music, names["seam"])] if piece.score.loops else drawn
