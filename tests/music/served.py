"""What is heard of pieces as a game is given them, by analyses that know nothing of how they were made; prints all figures.

python tests/music/served.py --seed 1
"""

import argparse
import json
import random

import numpy as np
import pyloudnorm
from sound_analysis import PROFILES, constant_q, folded, heard, major_or_minor, tempo

from cadenza.assets.music.grid import sample_of
from cadenza.bridge import connect
from cadenza.runtime.bundles import EMBEDDED

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
STYLES = {
    "ambient": "lydian", "exploration": "dorian", "tense": "phrygian", "combat": "minor", "boss": "harmonic minor",
    "victory": "major", "town": "major", "dungeon": "minor", "menu": "dorian",
}  # fmt: skip
"""With the scale that each has where none is named."""
MINOR = ("minor", "dorian", "phrygian", "harmonic minor")
CHROMAS = {"constant-Q": constant_q, "STFT": folded}


def wanted(seed):
    """Requests: every style in its own scale, in minor and in major, in any key."""
    draw = random.Random(seed)
    for style, own in STYLES.items():
        for scale in (own, "minor", "major"):
            yield {"prompt": f"{style}, {draw.choice(TONICS)} {scale}, 8 bars", "seed": draw.randrange(1 << 20)}


def pieces(requests):
    with connect("inproc", bundles=[EMBEDDED / "music"], threads=1) as game:
        for request in requests:
            yield game.music(request["prompt"], seed=request["seed"], stems=True)


def keys(piece):
    """By analysis and profiles: whether tonic and mode are found."""
    score = piece.score
    asked = score.tonic, "minor" if score.scale in MINOR else "major"
    chromas = {name: chroma(piece.audio, piece.rate) for name, chroma in CHROMAS.items()}
    return {f"{n} {p}": major_or_minor(each, p) == asked for n, each in chromas.items() for p in PROFILES}


def levels(piece):
    """dBFS and LUFS: the peak, the mean of each side, the quietest tenth of a second, and how far the loudness is from -23."""
    audio = piece.audio.astype(np.float64)
    tenths = audio[: len(audio) // 4800 * 4800].reshape(-1, 4800, 2)
    around = np.concatenate([audio] * max(1, -(-20 * piece.rate // len(audio))))
    decibels = lambda value: float(20 * np.log10(max(value, 1e-9)))  # noqa: E731
    return {
        "peak": decibels(np.abs(audio).max()),
        "offset": decibels(np.abs(audio.mean(axis=0)).max()),
        "quietest": decibels(np.sqrt((tenths**2).mean(axis=(1, 2))).min()),
        "off": abs(pyloudnorm.Meter(piece.rate).integrated_loudness(around) + 23.0),
    }


def transcribed(piece):
    """By stream: the part of its notes that a transcriber hears in its stem; none where it does not play."""
    found = {}
    for number, stream in ((1, "bass"), (4, "lead")):
        notes = [note for note in piece.score.notes if note.stream == number]
        if notes:
            sound = piece.stems[stream] * (0.1 / np.sqrt((piece.stems[stream] ** 2).mean()))
            found[stream] = heard(sound, piece.rate, notes, lambda at: sample_of(at, piece.score, piece.rate))
    return found


def tempo_ratio(piece):
    return tempo(piece.audio, piece.rate, 56, 205) / piece.score.bpm


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="another list of 27 requests")
    key, level, notes, ratios = [], [], [], []
    for piece in pieces(wanted(parser.parse_args().seed)):
        key.append(keys(piece))
        level.append(levels(piece))
        notes.append(transcribed(piece))
        ratios.append(tempo_ratio(piece))
    right = [any(abs(ratio * times - 1) < 0.005 for times in (0.5, 1, 2)) for ratio in ratios]
    told = {
        "pieces": len(key),
        "key found": {name: round(float(np.mean([each[name] for each in key])), 3) for name in key[0]},
        "tempo found": float(np.mean(right)),
        "peak dBFS": max(each["peak"] for each in level),
        "offset dBFS": max(each["offset"] for each in level),
        "quietest tenth of a second dBFS": min(each["quietest"] for each in level),
        "LUFS off": max(each["off"] for each in level),
        **{
            f"{stream} transcribed": float(np.mean([each[stream] for each in notes if stream in each]))
            for stream in ("bass", "lead")
        },
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
