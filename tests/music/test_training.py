"""Training goes on: from the shipped weights, and from where it was."""

import json

import numpy as np
import pytest
import torch

from cadenza.assets.refusal import Refusal
from cadenza.exporters.music import train
from cadenza.exporters.music.export import examples, notice
from cadenza.exporters.music.network import Decoder, Shape
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.engine.backends import open_backend


def test_the_shipped_weights_are_read_back_from_the_bundle():
    model = Decoder(Shape())
    model.load_state_dict(train.shipped(EMBEDDED / "music"))
    inputs = examples(model)
    with torch.no_grad():
        expected = model(*inputs.values())[0].numpy()
    graph = open_backend("onnxruntime")(EMBEDDED / "music" / "step.onnx", 1)
    found = graph.run({name: value.numpy() for name, value in inputs.items()})["logits"]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("minutes", [0.0, -1.0])
def test_a_budget_that_would_never_end_is_refused_before_anything_is_made(tmp_path, minutes):
    with pytest.raises(Refusal, match="minutes"):
        train.train(minutes, tmp_path, 20)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_training_goes_on_from_the_shipped_weights_and_then_from_where_it_was(tmp_path):
    pytest.importorskip("mido")
    pytest.importorskip("vizdoom")
    train.train(0.1, tmp_path, 20)
    model, first = train.trained(tmp_path)
    shipped = train.shipped(EMBEDDED / "music")["head.weight"]
    assert 0 < (model.head.weight - shipped).abs().max() < 0.1
    train.train(0.1, tmp_path, 20)
    rows = [json.loads(line) for line in (tmp_path / "music" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert first < train.trained(tmp_path)[1] == rows[-1]["pieces"]
    assert set(rows[-1]["held_out"]) == {"composed", "freedoom"}


def test_the_notice_names_freedoom_and_its_terms():
    assert "Freedoom" in notice()
    assert "Redistribution and use in source and binary forms" in notice()
    assert "procedural materials" not in notice()
