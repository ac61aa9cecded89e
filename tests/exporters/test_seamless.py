"""Circular padding makes the wrap an edge like any other: measured on a toy pipeline over many seeds, by torch."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.flow import stable_diffusion_3
from cadenza.exporters.diffusion.seamless import edge_ratio, make_seamless
from cadenza.exporters.diffusion.stable_diffusion import stable_diffusion
from cadenza.runtime.solver import Process, compile_plan

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
SEEDS, CELLS = 96, 16


def paint(axes):
    """(SEEDS, 3, 32, 32) of a 2-step LCM run, and the pixels of the coarsest stride."""
    parts = stable_diffusion(toys.stable_diffusion())
    if axes:
        make_seamless((parts.step, parts.decode), axes)
    plan = compile_plan("lcm", {"times": [999.0, 499.0]}, 2, Process.vp(parts.process.alphas_cumprod), "epsilon")
    rng = np.random.default_rng(0)
    shape = (SEEDS, 4, CELLS, CELLS)
    draws = rng.standard_normal((plan.noise_draws, *shape), np.float32)
    condition = torch.from_numpy(rng.standard_normal((1, parts.size), np.float32)).expand(SEEDS, -1)

    def model(x, time, conditional):
        return parts.step(torch.from_numpy(x.astype(np.float32)), torch.full((SEEDS,), time), condition).numpy()

    with torch.no_grad():
        latent = plan.run(model, rng.standard_normal(shape, np.float32), lambda k: draws[k])
        maps = parts.decode(torch.from_numpy(latent.astype(np.float32))).numpy()
    return maps, parts.latent.multiple


def test_the_wrap_is_an_edge_like_any_other_over_many_seeds():
    ratio = edge_ratio(*paint("xy"))
    assert 1 / 1.05 <= ratio <= 1.05
    assert abs(edge_ratio(*paint("")) - 1) > 0.05


@pytest.mark.parametrize(("axes", "other"), [("x", "y"), ("y", "x")])
def test_one_axis_closes_and_the_other_stays_as_it_was(axes, other):
    """x goes along a row: the last column meets the first."""
    maps, stride = paint(axes)
    assert 1 / 1.05 <= edge_ratio(maps, stride, axes) <= 1.05
    assert abs(edge_ratio(maps, stride, other) - 1) > 0.05


def test_a_transformer_of_patches_is_refused():
    parts = stable_diffusion_3(toys.stable_diffusion_3())
    with pytest.raises(Refusal, match="does not tile"):
        make_seamless((parts.step, parts.decode), "xy")
