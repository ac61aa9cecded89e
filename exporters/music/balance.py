"""Is the model's music as rich as what it learned from? The same figures of its pieces and of the composer's, side by side.

python -m cadenza.exporters.music.balance --seeds 64
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ...assets.bundle import load_bundle
from ...assets.store import default_folder
from ...runtime.bundles import EMBEDDED
from ...runtime.engine.tokens.network import TokenNetwork
from ...runtime.music.conditions import STYLES, Conditions
from ...runtime.music.opened import open_tokens
from ...runtime.music.tokens import ARPEGGIO, CHORDS, DRUM, FIRST, LEAD, LOWEST, SHAPES, Tokens, harmony
from .composer import compose
from .evaluate import made


def figures(pieces: Sequence[tuple[Conditions, Tokens]]) -> dict[str, float]:
    """Means over pieces, or shares of them.

    chords, degrees      different chords, and roots, of a piece; changes: of the chord, a bar
    lead, arpeggio, drums  share of pieces that have any; lead_onsets: a bar, where there is a lead
    *_bars               different bars over bars, of those pieces that have the stream: 1 never repeats
    *_entropy            bits, over all pieces: of the lead's degrees, of the lead's places in the bar, of the drums' words
    """
    lead = [(c, t) for c, t in pieces if (t[LEAD] >= FIRST).any()]
    drums = [(c, t) for c, t in pieces if t[DRUM].any()]
    arpeggio = [(c, t) for c, t in pieces if (t[ARPEGGIO] >= FIRST).any()]
    degrees, places = [], []
    for conditions, tokens in lead:
        words, at = tokens[LEAD], np.nonzero(tokens[LEAD] >= FIRST)[0]
        degrees += [((int(word) - FIRST) // 2 + LOWEST[LEAD]) % 7 for word in words[at]]
        places += (at % (4 * conditions.beats)).tolist()
    return {
        "chords": _mean([len(set(harmony(t).tolist())) for _, t in pieces]),
        "degrees": _mean([len(set(((harmony(t) - FIRST) // len(SHAPES)).tolist())) for _, t in pieces]),
        "two_chords_at_most": _mean([len(set(harmony(t).tolist())) <= 2 for _, t in pieces]),
        "changes": _mean([float((np.diff(harmony(t)) != 0).sum() + 1) / c.bars for c, t in pieces]),
        "chord_rhythms": _variety(pieces, CHORDS),
        "lead": len(lead) / len(pieces),
        "arpeggio": len(arpeggio) / len(pieces),
        "drums": len(drums) / len(pieces),
        "lead_onsets": _mean([float((t[LEAD] >= FIRST).sum()) / c.bars for c, t in lead]),
        "lead_bars": _variety(lead, LEAD),
        "drum_bars": _variety(drums, DRUM),
        "lead_degree_entropy": _entropy(degrees),
        "lead_place_entropy": _entropy(places),
        "drum_word_entropy": _entropy(np.concatenate([t[DRUM] for _, t in drums]).tolist() if drums else []),
    }


def composed(wanted: Sequence[Conditions]) -> list[tuple[Conditions, Tokens]]:
    """Pieces of the composer under these conditions."""
    return [(c, compose(c, np.random.default_rng(70_000 + number))) for number, c in enumerate(wanted)]


def played(network: TokenNetwork, seeds: int, bars: int, **dials: Any) -> list[tuple[Conditions, Tokens]]:
    """Pieces of the model, the styles in turn."""
    asked = [{"styles": [STYLES[seed % len(STYLES)]], "seed": seed, "bars": bars, **dials} for seed in range(seeds)]
    found = []
    for first in range(0, seeds, 8):
        found += [(resolved.conditions, tokens) for resolved, tokens in made(network, asked[first : first + 8])]
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _variety(pieces: Sequence[tuple[Conditions, Tokens]], stream: int) -> float:
    """Different rhythms of bars over bars; of drums what strikes counts too."""
    found = []
    for conditions, tokens in pieces:
        bars = tokens[stream].reshape(conditions.bars, -1)
        rhythms = bars if stream == DRUM else np.where(bars >= FIRST, FIRST, bars)
        found.append(len({bar.tobytes() for bar in rhythms}) / conditions.bars)
    return _mean(found)


def _entropy(values: Sequence[int]) -> float:
    counts: NDArray[np.int64] = np.unique(np.asarray(values), return_counts=True)[1]
    chances = counts / counts.sum() if len(counts) else np.ones(1)
    return float(-(chances * np.log2(chances)).sum())


def main(
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")] = EMBEDDED / "music",
    seeds: Annotated[int, typer.Option(help="pieces, the styles in turn")] = 64,
    bars: Annotated[int, typer.Option(help="of each")] = 8,
    temperature: Annotated[float | None, typer.Option(help="instead of the bundle's")] = None,
    top_k: Annotated[int | None, typer.Option(help="instead of the bundle's")] = None,
    top_p: Annotated[float | None, typer.Option(help="instead of the bundle's")] = None,
    guidance: Annotated[float | None, typer.Option(help="instead of the bundle's")] = None,
) -> None:
    network = open_tokens(load_bundle(bundle), "auto", 1, default_folder() / "proofs")
    dials = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
    model = played(network, seeds, bars, **{name: value for name, value in dials.items() if value is not None})
    rows = {"model": figures(model), "composer": figures(composed([conditions for conditions, _ in model]))}
    for name, row in rows.items():
        print(json.dumps({"of": name, **{key: round(value, 3) for key, value in row.items()}}), flush=True)


if __name__ == "__main__":
    typer.run(main)
