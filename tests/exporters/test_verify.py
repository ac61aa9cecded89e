"""What `cadenza verify` holds a bundle to, on a small one."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
import toy_inputs

from cadenza.exporters import verify
from cadenza.exporters.report import page


def test_a_backend_that_answers_otherwise_fails_the_report_by_name(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    bundle, true = toy.write(tmp_path), verify._bits
    report = verify.check_bundle(bundle, samplers=())
    assert report["passed"]
    assert report["apart"]["onnxruntime"] == 0.0 <= report["apart"]["openvino"] <= 1e-5
    assert "one evaluation on openvino against onnxruntime's: " in page(report)

    def wrong(bundle, backend, step):
        answer, alike = true(bundle, backend, step)
        return answer * (1.5 if backend == "openvino" else 1.0), alike

    monkeypatch.setattr(verify, "_bits", wrong)
    report = verify.check_bundle(bundle, samplers=())
    assert not report["passed"]
    assert report["first_divergence"] == "openvino: answers that are not onnxruntime's"


@pytest.mark.parametrize(
    ("graph", "named"),
    [
        ("depth_graph", "onnxruntime, step_depth: answers that are not finite"),
        ("style_graph", "onnxruntime, step_style: answers that are not finite"),
        ("encoder_graph", "onnxruntime, encode_image: answers that are not finite"),
        ("style_encoder_graph", "onnxruntime, encode_style, embedding: answers that are not finite"),
    ],
)
def test_weights_that_are_no_numbers_are_found_in_every_graph_of_a_bundle(tmp_path, monkeypatch, graph, named):
    monkeypatch.setattr(verify, "PROCESSORS", ("onnxruntime",))
    whole = getattr(toy_inputs, graph)
    assert verify.check_bundle(toy_inputs.write(tmp_path / "whole"), samplers=())["passed"]
    monkeypatch.setattr(toy_inputs, graph, lambda: spoilt(whole()))
    report = verify.check_bundle(toy_inputs.write(tmp_path / "spoilt"), samplers=())
    assert (report["passed"], report["first_divergence"]) == (False, named)


def test_step_graphs_that_read_more_are_run_by_plans_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "PROCESSORS", ("onnxruntime",))
    report = verify.check_bundle(toy_inputs.write(tmp_path), samplers=("euler", "heun"))
    names = [check["sampler"] for check in report["checks"]]
    assert len(names) == len(set(zip(names, (check["steps"] for check in report["checks"]), strict=True)))
    assert {"euler", "heun", "euler, step_depth", "euler, step_style", "lcm, step_depth"} <= set(names)
    assert "heun, step_depth" not in names
    assert "| euler, step_depth | 3 | 3 |" in page(report)


def test_an_encoder_that_answers_otherwise_on_a_backend_is_named(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    bundle, true = toy_inputs.write(tmp_path), verify._others
    report = verify.check_bundle(bundle, samplers=())
    assert report["passed"]
    assert all(error <= 1e-5 for error in report["others"]["openvino"].values())
    calls = []

    def wrong(bundle, graphs):
        calls.append(graphs)
        answers = true(bundle, graphs)
        return {**answers, "encode_image": answers["encode_image"] * (1.5 if len(calls) == 2 else 1.0)}

    monkeypatch.setattr(verify, "_others", wrong)
    report = verify.check_bundle(bundle, samplers=())
    assert report["first_divergence"] == "openvino, encode_image: answers that are not onnxruntime's"


def test_a_graph_that_finishes_tiles_is_run_behind_the_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "PROCESSORS", ("onnxruntime",))
    field = [toy._value(name, "B", len(toy.MAPS), "H", "W") for name in ("colours", "maps")]
    for factor, passed in ((0.5, True), (np.nan, False)):
        nodes = [onnx.helper.make_node("Mul", ["colours", "factor"], ["maps"])]
        finish = toy._model(nodes, field[:1], field[1:], [toy_inputs.constant("factor", factor)])
        files = {"step.onnx": toy.step_graph(), "decode.onnx": toy.decode_graph(), "finish.onnx": finish}
        report = verify.check_bundle(toy_inputs._write(tmp_path / str(factor), files), samplers=())
        assert report["passed"] == passed
    assert report["first_divergence"].endswith("decoded maps")


def spoilt(graph):
    """The graph, its mixing weights not a number."""
    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.name == "mix":
            tensor.CopyFrom(toy_inputs.constant("mix", np.full(tuple(tensor.dims), np.nan)))
    return model.SerializeToString()
