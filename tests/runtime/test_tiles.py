"""Decoding in tiles: the picture decoded at once, as far as a decoder looks, and seamless where that is."""

import msgspec
import numpy as np
import pytest
import toy
from hypothesis import given, settings
from hypothesis import strategies as st

from cadenza.assets import manifest as manifest_format
from cadenza.assets.manifest import Tiles
from cadenza.assets.refusal import Refusal
from cadenza.runtime.engine.tiles import decode_tiled, fade, starts
from cadenza.runtime.looking import Workbench

FACTOR = 4


def blurring(wraps):
    """A decoder that looks two cells far, as a convolution does; zeros outside, or around the torus."""

    def decode(latent, grain):
        mode = "wrap" if wraps else "constant"
        around = np.pad(latent, ((0, 0), (2, 2), (2, 2)), mode=mode)
        high, wide = latent.shape[1:]
        seen = sum(around[:, dy : dy + high, dx : dx + wide] * (1 + dy + 3 * dx) for dy in range(5) for dx in range(5))
        maps = seen.repeat(FACTOR, 1).repeat(FACTOR, 2)
        return maps if grain is None else maps + grain

    return decode


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    tile=st.integers(16, 24),
    wrap=st.sampled_from(["", "xy"]),
    noisy=st.booleans(),
)
def test_tiles_give_what_the_whole_gives_where_no_tile_lacks_its_neighbours(sides, tile, wrap, noisy):
    rng = np.random.default_rng(1)
    latent = rng.standard_normal((3, *sides)).astype(np.float32)
    grain = rng.standard_normal((1, sides[0] * FACTOR, sides[1] * FACTOR)).astype(np.float32) if noisy else None
    tiles = Tiles(tile, 8, wrap)
    decode = blurring(bool(wrap))
    np.testing.assert_allclose(decode_tiled(decode, latent, grain, tiles), decode(latent, grain), rtol=1e-4, atol=1e-3)


@given(cells=st.integers(4, 300), tile=st.integers(8, 64), wraps=st.booleans())
def test_tiles_cover_every_cell_overlap_as_said_and_fade_into_each_other(cells, tile, wraps):
    tiles = Tiles(tile, tile // 2, "xy")
    at = starts(cells, tiles, wraps)
    total = np.zeros(cells * FACTOR)
    for start in at:
        weights = fade(start, cells, tiles, wraps, FACTOR)
        assert weights.min() >= 0.0
        assert weights.max() <= 1.0
        total[(start * FACTOR + np.arange(len(weights))) % len(total)] += weights
    assert total.min() > 0.4, "nowhere is a picture made of margins"
    if len(at) > 1:
        gaps = np.diff([*at, at[0] + cells] if wraps else at)
        assert gaps.max() <= tile - tile // 2


def test_no_tile_is_larger_than_said():
    sides = []

    def decode(latent, grain):
        sides.append(latent.shape[1:])
        return latent

    decode_tiled(decode, np.zeros((2, 100, 20), np.float32), None, Tiles(32, 8))
    assert set(sides) == {(32, 20)}
    decode_tiled(decode, np.zeros((2, 100, 100), np.float32), None, Tiles(32, 8, "x"))
    assert set(sides[-4:]) == {(32, 32)}


def test_a_bundle_decodes_in_tiles_and_stays_seamless(tmp_path):
    whole = toy.write(tmp_path / "whole")
    manifest = msgspec.structs.replace(whole.manifest, tiles=Tiles(16, 8, "xy"), name="tiled", files={})
    files = {name: (whole.folder / name).read_bytes() for name in whole.manifest.files}
    tiled = toy.write_bundle(tmp_path / "tiled", manifest, files)
    asked = {"prompt": "stone", "seed": 3, "size": 256, "steps": 1}
    benches = [Workbench(each.folder, "onnxruntime", tmp_path) for each in (whole, tiled)]
    (ours, theirs) = ((bench, bench.run(asked)) for bench in benches)
    (once, many) = (bench.network.maps(run.latent) for bench, run in (ours, theirs))
    np.testing.assert_allclose(many, once, atol=1e-5)


@pytest.mark.parametrize("tiles", [Tiles(64, 2), Tiles(64, 40), Tiles(4096, 64)])
def test_tiles_that_cannot_be_are_refused(tiles):
    with pytest.raises(Refusal, match="an overlap of 4 to half of them"):
        manifest_format.check(msgspec.structs.replace(toy.manifest(), tiles=tiles))
