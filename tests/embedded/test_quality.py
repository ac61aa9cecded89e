"""The quality report: its judge learns from other textures than it is tested on, and equal sets get the figures of equals."""

import numpy as np
import pytest
import torch

from cadenza.exporters.embedded import quality
from cadenza.exporters.embedded.classifier import FALSE_ALARMS, Classifier, Judged, judge, parts, set_limits
from cadenza.exporters.embedded.dataset import Dataset, sample
from cadenza.exporters.embedded.vocabulary import MATERIALS


@pytest.fixture(scope="module")
def data():
    maps, conditions = zip(*(sample(seed, 32) for seed in range(20 * len(MATERIALS))), strict=True)
    return Dataset(np.stack(maps), np.stack(conditions), np.ones(len(maps), bool))


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier().eval()


def test_what_teaches_the_judge_sets_its_limits_and_tests_it_is_apart_and_of_every_material(data):
    lots = parts(data)
    assert sorted(np.concatenate(lots).tolist()) == list(range(len(data)))
    for lot in lots:
        assert (data.conditions[lot][:, : len(MATERIALS)].sum(0) == len(lot) / len(MATERIALS)).all()


def test_a_modifier_is_seen_in_as_many_textures_without_it_as_may_be_false_alarms(data, classifier):
    set_limits(classifier, data)
    _, tune, _ = parts(data)
    absent = data.conditions[tune][:, len(MATERIALS) :] == 0
    seen = judge(classifier, data.maps[tune]).modifiers
    assert seen[absent].mean() == pytest.approx(FALSE_ALARMS, abs=0.015)


def test_a_model_that_serves_the_data_has_the_figures_of_the_data(data):
    maps, truth = data.maps[:280], np.arange(280) % len(MATERIALS)
    features = np.random.default_rng(0).standard_normal((280, 8)) + truth[:, None] % 5
    seen = Judged(features, truth, np.zeros((280, 16), bool))
    figures = quality.figures(maps, seen, truth, maps, seen, truth)
    assert figures["materials_right"] == figures["variety"] == figures["edges_agree"] == figures["physical"] == 1.0
    assert figures["kernel_distance"] < 0.01
    assert all(not any(bands) for bands in figures["spectrum_db"].values())
    darker = np.concatenate([maps[:, :3] // 2, maps[:, 3:]], 1)
    off = quality.figures(darker, seen, truth, maps, seen, truth)["spectrum_db"]
    assert off["albedo.g"] == pytest.approx([-6.0] * len(off["albedo.g"]), abs=0.5)
    assert not any(off["height"])
