"""A bundle that decodes large pictures in tiles: seamless as before, its guess of height made of the whole picture."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
from hurried import hurry

from cadenza.assets.manifest import Tiles
from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.planning import Options, parts_of
from cadenza.exporters.diffusion.tiling import finish_of, tiles_of
from cadenza.exporters.materials import Materials
from cadenza.runtime.looking import Workbench

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_tiles_are_seamless_and_near_the_whole_and_the_guess_of_height_sees_all_of_it(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        options = Options(steps=(2,), seamless="xy", tiles=22)
        made = export_pipeline(toys.stable_diffusion(), tmp_path / "out", options)
    assert made.manifest.tiles == Tiles(22, 5, "xy")
    told = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["tiles"]
    assert 0 < told["mean"] < told["largest"] < 0.2
    bench = Workbench(made.folder, "onnxruntime", tmp_path)
    latent = bench.run({"prompt": "low wall", "size": 64, "steps": 2}).latent
    maps = bench.network.maps(latent)
    turned = bench.network.maps(np.roll(latent, (16, 16), (1, 2)))  # by a whole stride of tiles: the same tiles, turned
    assert maps.shape == (6, 64, 64)
    np.testing.assert_allclose(np.roll(turned, (-32, -32), (1, 2)), maps, atol=2e-3)
    with torch.no_grad():
        whole = Materials(torch.nn.Identity())(torch.from_numpy(maps[None, :3]))[0].numpy()
    np.testing.assert_allclose(maps, whole, atol=1e-4)


def test_tiles_that_cannot_be_are_refused_and_what_finishes_them_is_the_guess():
    parts = parts_of(toys.stable_diffusion(), Options())
    assert tiles_of(parts, 0, "xy") is None
    assert tiles_of(parts, 64, "x") == Tiles(64, 16, "x")
    with pytest.raises(Refusal, match="16 to 1024 latent cells"):
        tiles_of(parts, 8, "")
    colours = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(finish_of(parts)(colours), Materials(torch.nn.Identity())(colours))
