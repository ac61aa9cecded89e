"""Music on disk: WAV, FLAC or OGG, stems beside it, and a JSON file of everything an engine wants to know."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..refusal import OutOfRange, Refusal, Unknown
from ..sidecar import beside, write
from ..store import write_whole
from .grid import sample_of
from .music import Music
from .score import STREAMS
from .signal import Wave
from .tagged import flac_with, ogg_with
from .wav import samples, wav

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
LOOP = "LOOPSTART"
"""The tag of what loops: the loop's first sample."""


def encode(
    sound: Wave,
    rate: int,
    format: str,
    bits: int | None = None,
    bpm: float | None = None,
    loop: bool = True,
    cues: Sequence[int] = (),
) -> bytes:
    """Samples float32 (frames, channels) as a file of FORMATS; `bits` 32 (float, WAV only), 24 or 16; OGG has no bits.

    What loops says so in its tags or `smpl` chunk, and its loop is the whole; a WAV file has a cue point at each of `cues`.
    """
    if format not in FORMATS:
        raise Unknown("format", format, FORMATS)
    tags: dict[str, object] = {LOOP: 0, "LOOPLENGTH": len(sound)} if loop else {}
    tags |= {"BPM": f"{bpm:g}"} if bpm else {}
    return FORMATS[format](sound, rate, bits, tags, cues)


def save(
    music: Music, path: str | Path, *, bits: int | None = None, stems: bool = False, sidecar: bool = True
) -> list[Path]:
    """Writes it in the format that the file's suffix names, on request its stems (name.drums.wav, ...), and the facts
    (name.json). Returns the paths."""
    path = Path(path)
    format = path.suffix[1:].lower()
    score = music.score
    if stems and not music.stems:
        raise Refusal("missing", "stems", "did not come with this music", "ask for it with stems")
    sounds: dict[Path, Wave] = {path: music.audio}
    if stems:
        sounds |= {path.with_suffix(f".{name}{path.suffix}"): stem for name, stem in music.stems.items()}
    encoded = {
        p: encode(sound, music.rate, format, bits, score.bpm, score.loops, music.downbeats)
        for p, sound in sounds.items()
    }
    described = beside(path) if sidecar else None
    path.parent.mkdir(parents=True, exist_ok=True)
    for each, data in encoded.items():
        write_whole(each, data)
    written = list(encoded)
    if described is not None:
        names = {name: path.with_suffix(f".{name}{path.suffix}").name for name in music.stems} if stems else {}
        written.append(write(described, written, facts(music, path.name, names)))
    return written


def facts(music: Music, file: str = "", stems: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the JSON file says; all places are samples from the start. `body` is where the last bar ends: music that is heard once
    rings on after it, a loop does not."""
    score = music.score
    starts = [sample_of(chord.start, score, music.rate) for chord in score.chords]
    return {
        "kind": "music",
        "file": file,
        "rate": music.rate,
        "frames": music.frames,
        "seconds": music.seconds,
        "loop": {"start": 0, "end": music.frames} if score.loops else None,
        "body": music.body,
        "bpm": score.bpm,
        "bars": score.bars,
        "beats_per_bar": score.beats,
        "key": {"tonic": NAMES[score.tonic], "scale": score.scale},
        "style": score.style,
        "chords": [
            {"at": at, "degree": chord.degree, "pitches": [NAMES[pitch] for pitch in chord.pitches]}
            for at, chord in zip(starts, score.chords, strict=True)
        ],
        "beats": list(music.beats),
        "downbeats": list(music.downbeats),
        "stems": dict(stems or {}),
        "streams": {name: sum(STREAMS[n.stream] == name for n in score.notes) for name in music.stems},
        "loudness_lufs": round(music.loudness, 2),
        "true_peak_dbtp": round(music.true_peak, 2),
        "gain_db": music.gain_db,
        "limited_db": music.limited_db,
        "digest": music.digest,
        "recipe": dict(music.recipe),
    }


def _wav(sound: Wave, rate: int, bits: int | None, tags: Mapping[str, object], cues: Sequence[int]) -> bytes:
    return wav(sound, rate, 32 if bits is None else bits, loop=LOOP in tags, cues=cues)


def _flac(sound: Wave, rate: int, bits: int | None, tags: Mapping[str, object], cues: Sequence[int]) -> bytes:
    bits = 24 if bits is None else bits
    if bits not in (24, 16):
        raise OutOfRange("bits", bits, "24 or 16 in FLAC", "write WAV for float")
    import numpy as np

    whole = samples(sound, bits)
    if bits == 24:  # as the upper three bytes of 32
        whole = np.concatenate([np.zeros((*whole.shape[:2], 1), np.uint8), whole], axis=2).view("<i4")[..., 0]
    return flac_with(_encoded(whole, rate, "FLAC", f"PCM_{bits}"), tags)


def _ogg(sound: Wave, rate: int, bits: int | None, tags: Mapping[str, object], cues: Sequence[int]) -> bytes:
    if bits is not None:
        raise OutOfRange("bits", bits, "nothing in OGG, which has none")
    if (peak := float(abs(sound).max(initial=0.0))) > 1.0:  # which players cut off
        remedy = "write a WAV of 32 bits (float), or render at a lower loudness"
        raise Refusal("clipped", "format", f"a peak of {peak:.3f} does not fit into OGG", remedy)
    return ogg_with(_encoded(sound, rate, "OGG", "VORBIS"), tags)


def _encoded(sound: Any, rate: int, format: str, subtype: str) -> bytes:
    try:
        import soundfile
    except ImportError:
        raise Refusal(
            "missing", "format", f"{format} needs the package soundfile", "pip install 'cadenza[audio]', or write .wav"
        ) from None
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, sound.shape[1], subtype, format=format) as file:
        for start in range(0, len(sound), 1 << 14):  # libsndfile's Vorbis encoder overflows its stack on long pieces
            file.write(sound[start : start + (1 << 14)])
    return out.getvalue()


FORMATS: dict[str, Callable[[Wave, int, int | None, Mapping[str, object], Sequence[int]], bytes]] = {
    "wav": _wav,
    "flac": _flac,
    "ogg": _ogg,
}
