"""The pages and the plot of a report from numbers alone: what a builder reads, also where something is missing."""

import io

import numpy as np
import pytest
from PIL import Image

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.pictures import SHOWN, TITLE, side_by_side
from cadenza.exporters.plots import plot
from cadenza.exporters.report import measured_page, page, report_files

CHECK = {"backend": "onnxruntime", "sampler": "lcm", "steps": 4, "guidance": 1.0, "host": 3e-7, "loop": None}
REPORT = {
    "bundle": "wall",
    "tolerance": 1e-4,
    "passed": True,
    "first_divergence": None,
    "bits": {"onnxruntime": {"version": "1", "same_in_any_batch": True}},
    "apart": {"onnxruntime": 0.0, "openvino": 3e-7},
    "seeds": (7, 8, 9),
    "diffusers": {"text": 4e-7, "input of row 1 of 4": 0.0, "latent, 4 steps": 2e-6, "latent, 8 steps": "no scheduler"},
    "diffusers_mean": {"text": 1e-7, "input of row 1 of 4": 0.0, "latent, 4 steps": 3e-7},
    "checks": [{**CHECK, "decoded": 5e-7, "diverges": None}],
    "bytes": {"step.onnx": 1000, "weights.bin": 400000},
}
ROW = {"step": 0.001, "latent": 0.0005, "picture": 0.0001, "bytes": 1000, "seconds": {"onnxruntime": 0.01}}
NUMBERS = {
    "cells": [8, 12],
    "steps": 4,
    "threads": 1,
    "seconds": {"onnxruntime": {"load step": 0.5, "step": 0.01, "host_loop": 0.04}, "openvino": {"step": 0.005}},
    "bytes": REPORT["bytes"],
    "export_seconds": {"denoiser": 12.5, "decoder": 3.0},
    "precisions": {"fp32": {**ROW, "step": 0.0, "latent": 0.0, "picture": 0.0, "bytes": 2000}, "fp16": ROW},
}


def test_the_page_has_the_largest_and_the_mean_error_of_every_stage():
    lines = page(REPORT).splitlines()
    assert "Largest: 2.0e-06 at latent, 4 steps; all within 0.0001." in lines
    assert "| latent, 4 steps | 2.0e-06 | 3.0e-07 |" in lines
    assert "| latent, 8 steps | no scheduler | - |" in lines
    assert any(line.startswith("Over 3 seeds.") for line in lines)


def test_the_measured_page_has_everything_and_its_pictures():
    told = measured_page(REPORT, NUMBERS, ["plots.png", "pictures.png"])
    lines = told.splitlines()
    assert lines[0] == "# wall: report"
    for line in (
        "![plots](plots.png)",
        "| denoiser | 12.5 |",
        "| onnxruntime | step | 0.5 | 0.01 |",
        "| onnxruntime | host_loop | - | 0.04 |",
        "| fp16 | 1.0e-03 | 5.0e-04 | 1.0e-04 | 1000 | 0.01 |",
        "| latent, 4 steps | 2.0e-06 | 3.0e-07 |",
    ):
        assert line in lines
    headings = [line for line in lines if line.startswith("#")]
    assert headings[1:4] == ["## Seconds of the export", "## Seconds of the graphs", "## Precisions"]
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("missing", [(), ("export_seconds", "precisions")])
def test_the_plot_has_a_panel_for_what_there_is(missing):
    pytest.importorskip("matplotlib")
    numbers = {name: value for name, value in NUMBERS.items() if name not in missing}
    sizes = []
    for report in (REPORT, {**REPORT, "diffusers": {}, "diffusers_mean": {}}):
        with Image.open(io.BytesIO(plot(report, numbers))) as picture:
            sizes.append(picture.size)
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == 800
    assert sizes[0][1] == pytest.approx(80 * 2.6 * (4.5 if missing else 6.7), abs=2)
    assert ("Precisions" in measured_page(REPORT, numbers, [])) == (not missing)


def test_a_report_that_did_not_pass_is_refused_by_its_first_divergence():
    failed = {**REPORT, "passed": False, "first_divergence": "openvino, lcm: latent"}
    with pytest.raises(Refusal, match="first at openvino, lcm: latent"):
        report_files(failed)


def test_pictures_stand_side_by_side_and_a_difference_is_twenty_times_as_bright():
    ours = np.full((1, 3, 8, 16), 0.5, np.float32)
    with Image.open(io.BytesIO(side_by_side(ours, ours + 0.01))) as picture:
        assert picture.size == (3 * 2 * SHOWN, SHOWN + TITLE)
        assert [picture.getpixel((x * 2 * SHOWN + 40, SHOWN))[0] for x in range(3)] == [128, 130, 51]
