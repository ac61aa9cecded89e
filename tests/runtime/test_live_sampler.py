"""A live sampler in the engine: the same bits in any company, replay, image and mask, and what is refused."""

import random

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime.looking import Workbench

LIVE = {"prompt": "mossy stone", "size": 64, "sampler": "dpm_adaptive"}
DIALS = [
    {},
    {"options": {"order": 2}},
    {"options": {"rtol": 0.2, "atol": 0.02}, "eta": 0.5},
    {"guidance": 3.0, "options": {"rtol": 0.1}},
    {"spacing": "exponential", "options": {"h_init": 0.2}},
]


def test_a_live_request_gives_the_same_bits_alone_and_among_others(runtime):
    """What it decides depends on its own latent only, so neither neighbours that are live nor ones that are not matter."""
    requests = [{**LIVE, "seed": seed, **dials} for seed in range(2) for dials in DIALS]
    requests += [{"prompt": "sand", "size": 64, "seed": 5, "steps": 9, "sampler": "heun"}]
    alone = [runtime.submit(request).wait(60).digest for request in requests]
    assert len(set(alone)) == len(requests)
    order = list(range(len(requests)))
    random.Random(3).shuffle(order)
    works = {i: runtime.submit(requests[i]) for i in order}
    assert [works[i].wait(60).digest for i in range(len(requests))] == alone


def test_the_recipe_of_a_live_result_makes_it_again(runtime):
    rows = []
    work = runtime.submit({**LIVE, "seed": 3}, on_event=lambda work: rows.append((work.row, work.rows)))
    texture = work.wait(60)
    assert texture.recipe["steps"] == 0
    assert texture.recipe["spacing"] == "karras"
    again = runtime.submit(texture.recipe).wait(60)
    assert (again.digest, again.id) == (texture.digest, texture.id)
    assert all(row <= of for row, of in rows), "progress never exceeds what was promised"


def test_a_tighter_tolerance_ends_nearer_to_the_finest_one(bundle, tmp_path):
    bench = Workbench(bundle.folder, "onnxruntime", tmp_path)
    request = {**LIVE, "seed": 4, "options": {"rtol": 0.02}}
    live, fine = bench.run(request), bench.run({**request, "options": {"rtol": 0.001, "atol": 0.0001}})
    loose = bench.run({**request, "options": {"rtol": 0.5, "atol": 0.2}})
    off = [np.abs(each.latent - fine.latent).mean() for each in (live, loose)]
    assert off[0] < off[1]
    assert off[0] < 0.05 * np.abs(fine.latent).mean()


def test_a_mask_keeps_the_image_under_a_live_sampler_and_denoise_starts_from_it(bundle, tmp_path):
    bench = Workbench(bundle.folder, "onnxruntime", tmp_path)
    image = {"prompt": "brick", "seed": 2, "size": 64, "steps": 4}
    kept = bench.run(image).latent
    made = bench.run({**LIVE, "seed": 9, "image": image, "mask": [0, 0, 32, 64]}).latent
    np.testing.assert_allclose(made[:, :, 4:], kept[:, :, 4:], atol=1e-3)
    assert np.abs(made[:, :, :4] - kept[:, :, :4]).mean() > 0.1
    far, near = (bench.run({**LIVE, "seed": 9, "image": image, "denoise": share}).latent for share in (0.9, 0.1))
    assert np.abs(near - kept).mean() < np.abs(far - kept).mean()


@pytest.mark.parametrize(
    ("field", "dials"),
    [
        ("steps", {"steps": 20}),
        ("corrector", {"corrector": "unic"}),
        ("guidance", {"guidance": [1.0, 3.0]}),
        ("noise", {"noise": "brownian", "eta": 0.5}),
        ("options.rtol", {"options": {"rtol": 5.0}}),
        ("options.order", {"options": {"order": 4}}),
    ],
)
def test_what_a_live_sampler_cannot_do_is_refused_by_name(runtime, field, dials):
    with pytest.raises(Refusal) as refused:
        runtime.resolve({**LIVE, **dials})
    assert refused.value.field == field
    if field == "steps":
        assert "evaluations" in refused.value.sentence
        assert "rtol" in refused.value.remedy
