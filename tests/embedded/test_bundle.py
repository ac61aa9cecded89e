"""The embedded bundle as a game meets it: seamless at every size, replayable, honest about words, small."""

import numpy as np
import pytest

from cadenza.assets.bundle import load_bundle
from cadenza.exporters.embedded.keep import KEPT
from cadenza.exporters.embedded.networks import FACTOR
from cadenza.exporters.embedded.vocabulary import MATERIALS
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.runtime import Runtime

REPOSITORY_LIMIT = 16_000_000
"""Bytes of weights: the bundle's and those that training goes on from."""
PROMPTS = ("mossy stone", "red brick", "wet cobble", "worn planks", "sand", "tech panel", "marble", "rusty metal plate")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    with Runtime(backend="onnxruntime", threads=2) as runtime:
        yield runtime


def made(runtime, prompts, **dials):
    works = [runtime.submit({"prompt": prompt, "seed": seed, **dials}) for seed, prompt in enumerate(prompts)]
    return [work.wait(120) for work in works]


def maps(texture):
    data = (texture.height, texture.roughness, texture.metallic)
    return np.concatenate([texture.albedo.transpose(2, 0, 1), np.stack(data)]) / np.float32(255)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_no_seam_shows_at_any_step_count(runtime, steps):
    textures = made(runtime, [p for p in PROMPTS for _ in range(3)], size=128, steps=steps)
    stack = np.stack([maps(texture) for texture in textures])
    for axis in (2, 3):
        change = np.abs(np.roll(stack[:, :5], -1, axis) - stack[:, :5]).mean((1, 5 - axis))  # (textures, lines)
        borders = change[:, FACTOR - 1 : -1 : FACTOR]  # of latent cells, as the wrap is
        larger = (borders >= change[:, -1:]).mean()  # half of them, where the wrap is a border like any other
        assert 0.35 < larger < 0.65, larger


@pytest.mark.parametrize(("width", "height"), [(64, 64), (80, 112), (256, 128), (512, 64)])
def test_every_multiple_of_16_is_a_size(runtime, width, height):
    (texture,) = made(runtime, ["cobble"], width=width, height=height)
    assert texture.albedo.shape == (height, width, 3)
    assert texture.normal.shape == (height, width, 3)
    assert texture.albedo.std() > 5


def test_a_seed_gives_the_same_bytes_and_another_seed_another_texture(runtime):
    one, again = made(runtime, ["mossy stone"]), made(runtime, ["mossy stone"])
    assert one[0].digest == again[0].digest
    other = runtime.submit({"prompt": "mossy stone", "seed": 99}).wait(120)
    assert np.abs(other.albedo.astype(int) - one[0].albedo).mean() > 5


def test_words_are_heard_and_unknown_ones_are_told(runtime):
    plain, dark, odd = (
        runtime.submit({"prompt": prompt, "seed": 5}).wait(120) for prompt in ("stone", "dark stone", "stone zorp")
    )
    assert dark.albedo.mean() < 0.8 * plain.albedo.mean()
    assert odd.ignored == ("zorp",)


def test_materials_have_the_reflection_that_they_have(runtime):
    """Gold and sand at every seed; plates, of which some seeds come out painted, on average."""
    metallic, rough = {}, {}
    for prompt in ("metal plate", "gold", "sand", "water"):
        textures = [runtime.submit({"prompt": prompt, "seed": seed}).wait(120) for seed in range(8)]
        metallic[prompt] = [texture.metallic.mean() for texture in textures]
        rough[prompt] = np.mean([texture.roughness.mean() for texture in textures])
    assert min(metallic["gold"]) > 200
    assert np.mean(metallic["metal plate"]) > 90
    assert max(metallic["sand"]) < 20
    assert rough["water"] < rough["sand"]


def test_the_weights_fit_the_repository_and_bring_their_notice():
    bundle = load_bundle(EMBEDDED / "texture")
    heavy = [path for folder in (bundle.folder, KEPT) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in heavy) <= REPOSITORY_LIMIT
    assert "Freedoom" in (bundle.folder / "NOTICE").read_text(encoding="utf-8")
    words = bundle.describe()
    assert words["materials"] == list(MATERIALS)
    assert len(words["materials"]) >= 24
    assert len(words["modifiers"]) >= 12
    assert [table["steps"] for table in words["recommended"]] == [1, 2, 4]
