"""What the shipped model is worth, measured through the runtime: does it hear intensity, and does a loop's end know its start?

python -m cadenza.exporters.music.evaluate
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ...assets.bundle import load_bundle
from ...assets.store import default_folder
from ...runtime.bundles import EMBEDDED
from ...runtime.engine.engine import Engine
from ...runtime.engine.tokens.job import NOT_YET
from ...runtime.engine.tokens.network import NEVER, ROWS_PER_CALL, TokenNetwork
from ...runtime.music.conditions import Conditions, places, vector
from ...runtime.music.opened import open_tokens, token_job
from ...runtime.music.resolve import MusicResolved, resolve
from ...runtime.music.tokens import DELAYS, DRUM, FIRST, SIZES, Tokens

STYLES = ("exploration", "tense", "combat", "town")


def made(network: TokenNetwork, wanted: Sequence[dict[str, Any]]) -> list[tuple[MusicResolved, Tokens]]:
    """All of these, side by side in one engine."""
    engine = Engine()
    resolved = [resolve(each, network.bundle) for each in wanted]
    jobs = [token_job(network, each) for each in resolved]
    for job in jobs:
        engine.add(job)
    while engine.tick():
        pass
    return [(each, job.tokens) for each, job in zip(resolved, jobs, strict=True)]


def onsets(tokens: Tokens) -> float:
    """Onsets a sixteenth, drums counted by strokes."""
    pitched = sum(int((words >= FIRST).sum()) for stream, words in enumerate(tokens) if stream != DRUM)
    strokes = sum(int(word).bit_count() for word in tokens[DRUM])
    return (pitched + strokes) / tokens.shape[1]


def hears_intensity(network: TokenNetwork, levels: int, seeds: int, bars: int) -> dict[str, float]:
    """Spearman's rank correlation of intensity and onset density, for each style over means of seeds, and over single pieces."""
    grid = np.linspace(0, 1, levels)
    found, each_piece = {}, []
    for style in STYLES:
        wanted = [
            {"styles": [style], "intensity": float(level), "seed": seed, "bars": bars}
            for level in grid
            for seed in range(seeds)
        ]
        density = np.array([onsets(tokens) for _, tokens in made(network, wanted)]).reshape(levels, seeds)
        found[style] = float(spearmanr(grid, density.mean(1)).statistic)
        each_piece.append(spearmanr(np.repeat(grid, seeds), density.ravel()).statistic)
    return {**found, "single pieces": float(np.mean(each_piece))}


def seam(network: TokenNetwork, loops: int, bars: int) -> dict[str, float]:
    """Perplexity of the first bar after the end of a loop over that of its other bars, each after all the others."""
    wanted = [{"styles": [STYLES[seed % len(STYLES)]], "seed": seed, "bars": bars} for seed in range(loops)]
    surprise = np.zeros(bars)
    for resolved, tokens in made(network, wanted):
        surprise += nats(network, resolved.conditions, tokens, range(bars))
    surprise /= loops
    return {
        "ratio": float(np.exp(surprise[0] - surprise[1:].mean())),
        "first bar": surprise[0],
        "others": surprise[1:].mean(),
    }


def nats(network: TokenNetwork, conditions: Conditions, tokens: Tokens, bars: Sequence[int]) -> NDArray[np.float64]:
    """Nats a word of each of these bars, when the loop is heard from the bar after it and so up to it."""
    bar, frames = 4 * conditions.beats, tokens.shape[1]
    starts = [(number + 1) * bar for number in bars]
    runs = np.stack([np.roll(tokens, -start, 1) for start in starts])
    steps = frames + max(DELAYS)
    heard = np.stack(
        [
            np.concatenate([np.tile(vector(conditions), (steps, 1)), places(s, steps, frames, conditions.beats)], 1)
            for s in starts
        ]
    ).astype(np.float32)
    shape = (len(starts), *network.cache.shape)
    keys, values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    total = np.zeros(len(starts))
    assert len(starts) <= ROWS_PER_CALL
    for step in range(steps):
        said = [
            runs[:, k, step - 1 - d] if 0 <= step - 1 - d < frames else np.full(len(starts), SIZES[k] + NOT_YET)
            for k, d in enumerate(DELAYS)
        ]
        mask = np.where(np.arange(network.cache.window) < step, np.float32(0), NEVER)
        logits, key, value = network.evaluate(
            np.stack(said, 1).astype(np.float32),
            heard[:, step],
            np.full(len(starts), step, np.float32),
            keys,
            values,
            np.tile(mask, (len(starts), 1)).astype(np.float32),
        )
        slot = step % network.cache.window
        keys[:, :, :, slot], values[:, :, :, slot] = key, value
        first = 0
        for k, size in enumerate(SIZES):
            frame = step - DELAYS[k]
            if frames - bar <= frame < frames:
                part = logits[:, first : first + size].astype(np.float64)
                part -= part.max(1, keepdims=True)
                chosen = part[np.arange(len(starts)), runs[:, k, frame]]
                total += np.log(np.exp(part).sum(1)) - chosen
            first += size
    return total / (bar * len(SIZES))


def main(
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "music",
    levels: Annotated[int, typer.Option(help="intensities from 0 to 1")] = 8,
    seeds: Annotated[int, typer.Option(help="pieces for each")] = 3,
    loops: Annotated[int, typer.Option(help="loops whose seam is measured")] = 16,
    bars: Annotated[int, typer.Option(help="bars of a piece")] = 4,
) -> None:
    network = open_tokens(load_bundle(bundle), "auto", 1, default_folder() / "proofs")
    print(json.dumps({"intensity": hears_intensity(network, levels, seeds, bars)}), flush=True)
    print(json.dumps({"seam": {name: float(each) for name, each in seam(network, loops, 2 * bars).items()}}))


if __name__ == "__main__":
    typer.run(main)
