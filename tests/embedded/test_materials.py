"""The procedural materials: every one tiles, is decided by its seed, and modifiers do what they say."""

import numpy as np
import pytest

from cadenza.exporters.embedded.materials import GRAINS, MODIFIERS, RECIPES, make
from cadenza.exporters.embedded.vocabulary import MATERIALS, SYNONYMS, WORDS
from cadenza.exporters.embedded.vocabulary import MODIFIERS as NAMES


@pytest.mark.parametrize("material", RECIPES)
def test_a_material_tiles_and_is_decided_by_its_seed(material):
    ratios = []
    for seed in range(3):
        maps = make(material, {}, seed, 64)
        assert maps.shape == (6, 64, 64)
        assert maps.dtype == np.float32
        assert maps.min() >= 0
        assert maps.max() <= 1
        for axis in (1, 2):
            inside = np.abs(np.diff(maps, axis=axis)).mean()
            wrap = np.abs(np.take(maps, 0, axis) - np.take(maps, -1, axis)).mean()
            ratios.append(wrap / inside)
    assert np.median(ratios) < 1.6, ratios  # a joint may lie on the seam, as on any other line of its lattice
    np.testing.assert_array_equal(make(material, {}, 2, 64), maps)
    assert not np.array_equal(make(material, {}, 3, 64), maps)


def test_modifiers_change_what_they_say():
    plain = make("concrete", {}, 1)
    assert make("concrete", {"wet": 1.0}, 1)[4].mean() < 0.7 * plain[4].mean()
    assert make("concrete", {"dark": 1.0}, 1)[:3].mean() < 0.6 * plain[:3].mean()
    assert make("concrete", {"pale": 1.0}, 1)[:3].mean() > 1.1 * plain[:3].mean()
    red = make("concrete", {"red": 1.0}, 1)
    assert red[0].mean() > 2 * red[2].mean()
    mossy = make("concrete", {"mossy": 1.0}, 1)
    assert mossy[1].mean() > mossy[2].mean() + 0.1


def test_the_vocabulary_is_closed():
    assert len(MATERIALS) >= 24
    assert len(NAMES) >= 12
    assert set(NAMES) == set(MODIFIERS) | set(GRAINS)
    assert set(SYNONYMS.values()) <= set(WORDS)
    assert not set(SYNONYMS) & set(WORDS)
