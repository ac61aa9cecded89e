"""`cadenza compare temperature`: one seed of music at temperatures by top-k, as a grid of piano rolls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...assets.music.pictures import grid
from ...runtime.bundles import EMBEDDED
from ...runtime.runtime import Runtime
from .output import waited

TEMPERATURES = (0.0, 0.5, 0.95, 1.5)
"""Down; 0 takes the likeliest word, whatever top-k."""
TOP_KS = (4, 24, 0)
"""Across; 0 draws from all words."""
BARS = 4


def temperature(
    prompt: str, seed: int, out: Path, bundle: Path | None, backend: str, threads: int | None
) -> tuple[Path, dict[str, Any]]:
    """The grid, and of each cell its dials, how many notes and different chords it has, and the recipe that makes it."""
    cells = [(heat, k) for heat in TEMPERATURES for k in TOP_KS]
    asked = {"kind": "music", "prompt": prompt or "exploration", "seed": seed, "bars": BARS}
    scores, numbers = [], []
    with Runtime([bundle or EMBEDDED / "music"], backend, threads) as runtime:
        works = [runtime.submit({**asked, "temperature": heat, "top_k": k}) for heat, k in cells]
        for (heat, k), work in waited(list(zip(cells, works, strict=True)), "piece"):
            piece = work.wait()
            chords = len({(chord.degree, chord.pitches) for chord in piece.score.chords})
            told = f"temperature {heat:g}, top-k {k or 'all'}: {len(piece.score.notes)} notes, {chords} chords"
            scores.append((told, piece.score))
            cell = {"temperature": heat, "top_k": k, "notes": len(piece.score.notes), "chords": chords, "id": piece.id}
            numbers.append(cell)
    out.mkdir(parents=True, exist_ok=True)
    return grid(scores, len(TOP_KS), out / "temperature.png"), {"cells": numbers}
