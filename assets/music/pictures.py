"""Pictures of one piece: piano roll, spectrogram, loop seam. matplotlib comes with the extra `plots` and is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..refusal import Refusal
from .files import NAMES
from .music import Music
from .score import STREAMS, Score
from .signal import Wave

COLOURS = dict(zip(STREAMS, ("#777777", "#c0392b", "#2e86c1", "#1e9e62", "#d68910"), strict=True))
PERCUSSION_NAMES = {
    35: "low kick", 36: "kick", 37: "side stick", 38: "snare", 39: "clap", 40: "snare 2", 41: "low floor tom", 42: "hat",
    43: "floor tom", 44: "pedal hat", 45: "low tom", 46: "open hat", 47: "tom", 48: "high tom", 49: "crash", 50: "highest tom",
    51: "ride", 52: "china", 53: "ride bell", 54: "tambourine", 55: "splash", 56: "cowbell", 57: "crash 2", 59: "ride 2",
}  # fmt: skip
"""General MIDI's percussion, those of a drum set."""
WINDOW = 4096
SEAM = 0.02
"""Seconds shown on each side of the loop's end."""


def picture(music: Music, path: str | Path) -> Path:
    """One PNG with piano roll, spectrogram and seam, one above the other, on one time axis where they have one."""
    figure = _figure(13, 12)
    axes = figure.subplots(3, 1, height_ratios=(3, 3, 2))
    _roll(axes[0], music.score)
    _spectrogram(axes[1], music)
    _seam(axes[2], music)
    return _saved(figure, path)


def piano_roll(score: Score, path: str | Path) -> Path:
    """A PNG of the notes: time in bars, pitch, a colour for each stream, strength by opacity; drums stand below."""
    figure = _figure(13, 5.5)
    _roll(figure.subplots(), score)
    return _saved(figure, path)


def grid(scores: Sequence[tuple[str, Score]], columns: int, path: str | Path) -> Path:
    """A PNG of the notes of several scores, each under its title, row by row."""
    rows = -(-len(scores) // columns)
    figure = _figure(6.5 * columns, 3.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for each, (title, score) in zip(axes, scores, strict=False):
        _roll(each, score)
        each.set_title(title, fontsize=9, pad=18)  # above the names of the chords
        if each.get_legend() is not None:
            each.get_legend().remove()
    return _saved(figure, path)


def spectrogram(music: Music, path: str | Path) -> Path:
    """A PNG of the loudness in dB by time and frequency (logarithmic), with the downbeats."""
    figure = _figure(13, 5.5)
    _spectrogram(figure.subplots(), music)
    return _saved(figure, path)


def seam(music: Music, path: str | Path) -> Path:
    """A PNG of the samples around the loop's end, where a click would show as a step."""
    figure = _figure(13, 4)
    _seam(figure.subplots(), music)
    return _saved(figure, path)


def _roll(axes: Any, score: Score) -> None:
    bar = 4 * score.beats
    lowest = min((n.pitch for n in score.notes if n.stream), default=48)
    drums = sorted({n.pitch for n in score.notes if n.stream == 0})
    row = {pitch: lowest - 4 - 2.3 * (len(drums) - k) for k, pitch in enumerate(drums)}
    for stream, name in enumerate(STREAMS):
        notes = [n for n in score.notes if n.stream == stream]
        if not notes:
            continue
        y = [row[n.pitch] if stream == 0 else n.pitch for n in notes]
        shade = [0.3 + 0.7 * n.velocity / 127 for n in notes]
        axes.barh(
            y, [n.length / bar for n in notes], left=[n.start / bar for n in notes], height=0.85, label=name,
            color=[(*_rgb(COLOURS[name]), s) for s in shade],
        )  # fmt: skip
    for chord in score.chords:
        axes.axvline(chord.start / bar, color="#999999", linewidth=0.5)
        label = " ".join(NAMES[p] for p in chord.pitches)
        axes.annotate(label, (chord.start / bar, 1.01), xycoords=("data", "axes fraction"), fontsize=7)
    octaves = [p for p in range(0, 128, 12) if lowest - 3 <= p <= axes.get_ylim()[1]]
    axes.set_yticks(
        [*(row[p] for p in drums), *octaves],
        [*(PERCUSSION_NAMES.get(p, f"drum {p}") for p in drums), *(f"C{p // 12 - 1}" for p in octaves)],
        fontsize=7,
    )
    axes.set(xlim=(0, score.bars), xlabel="bars")
    axes.set_title(f"{score.style}, {score.bpm:g} bpm, {NAMES[score.tonic]} {score.scale}", pad=16)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _spectrogram(axes: Any, music: Music) -> None:
    levels, times, frequencies = levels_of(music.audio, music.rate)
    shown = axes.pcolormesh(
        times, frequencies[1:], levels[1:], vmin=-110, vmax=-20, shading="auto", rasterized=True, cmap="magma"
    )
    for beat in music.downbeats:
        axes.axvline(beat / music.rate, color="white", linewidth=0.4, alpha=0.5)
    axes.set(yscale="log", ylim=(25, music.rate / 2), xlim=(0, music.seconds), xlabel="seconds", ylabel="Hz")
    axes.set_title(f"{music.loudness:.1f} LUFS, true peak {music.true_peak:.1f} dBTP")
    axes.figure.colorbar(shown, ax=axes, label="dB of full scale")


def levels_of(audio: Wave, rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Levels in dB (frequencies, times), seconds and Hz, of both channels together, around the loop."""
    step = max(WINDOW // 4, len(audio) // 1600)
    starts = np.arange(0, len(audio), step)
    window = np.hanning(WINDOW)
    power = np.zeros((len(starts), WINDOW // 2 + 1))
    for number, start in enumerate(starts):
        index = np.arange(start - WINDOW // 2, start + WINDOW // 2) % len(audio)
        power[number] = (np.abs(np.fft.rfft(audio[index] * window[:, None], axis=0)) ** 2).sum(axis=1)
    levels = 10 * np.log10(power.T / window.sum() ** 2 * 4 + 1e-14)
    frequencies = np.arange(WINDOW // 2 + 1, dtype=np.float64) * (rate / WINDOW)
    return levels, starts / rate, frequencies


def _seam(axes: Any, music: Music) -> None:
    side = int(SEAM * music.rate)
    place = np.arange(-side, side)
    for channel, name in enumerate(("left", "right")):
        axes.plot(1000 * place / music.rate, music.audio[place % music.frames, channel], linewidth=0.9, label=name)
    axes.axvline(-0.5 / music.rate * 1000, color="#999999", linewidth=0.8)
    axes.set(xlabel="milliseconds from the loop's end", xlim=(-1000 * SEAM, 1000 * SEAM), title="loop seam")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Refusal("missing", "picture", "pictures need matplotlib", "pip install 'cadenza[plots]'") from None
    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _saved(figure: Any, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
