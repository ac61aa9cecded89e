"""What many tests of music want: renderings, made once, and the embedded bundle opened."""

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `sound_scores` and `sound_analysis`

from sound_scores import score

from cadenza.assets.bundle import load_bundle
from cadenza.assets.music.render import render
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music.opened import open_tokens
from cadenza.runtime.runtime import Runtime


@cache
def _rendered(style, seed, bars, options):
    return render(score(seed, style, bars), **dict(options))


@pytest.fixture(scope="session")
def rendered():
    """rendered(style, seed=1, bars=4, **options of render) -> Music, shared: look, do not touch."""
    return lambda style, seed=1, bars=4, **options: _rendered(style, seed, bars, tuple(sorted(options.items())))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """The embedded music bundle behind a runtime, on a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime([EMBEDDED / "music"], "onnxruntime", threads=2) as runtime:
            yield runtime


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The embedded music bundle opened, without a runtime."""
    return open_tokens(load_bundle(EMBEDDED / "music"), "onnxruntime", 1, tmp_path_factory.mktemp("proofs"))
