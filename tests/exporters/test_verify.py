"""What `cadenza verify` holds a bundle to, on a small one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

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
