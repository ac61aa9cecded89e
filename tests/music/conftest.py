"""Renderings that many tests look at are made once."""

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `sound_scores` and `sound_analysis`

from sound_scores import score

from cadenza.assets.music.render import render


@cache
def _rendered(style, seed, bars, options):
    return render(score(seed, style, bars), **dict(options))


@pytest.fixture(scope="session")
def rendered():
    """rendered(style, seed=1, bars=4, **options of render) -> Music, shared: look, do not touch."""
    return lambda style, seed=1, bars=4, **options: _rendered(style, seed, bars, tuple(sorted(options.items())))
