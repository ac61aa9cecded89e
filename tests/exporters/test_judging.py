"""How far from diffusers an export may be, by precision."""

import pytest

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.export import NEAR, judge
from cadenza.exporters.precision import PRECISIONS

SEEN = {"fp32": 1e-5, "fp16": 1e-3, "bf16": 5e-3, "int8": 0.05, "int8_weights": 0.03, "int4_weights": 0.05}
"""The largest errors of latents that the toys of the tests are held to."""
STAGES = ("text", "input of row 2 of 4", "latent, 4 steps", "latent, 4 steps, openvino", "decoded", "painted")


def test_every_precision_has_a_bound_that_lets_its_rounding_pass():
    assert set(NEAR) == set(PRECISIONS)
    for precision, error in SEEN.items():
        judge({**dict.fromkeys(STAGES, min(error, 0.01)), "latent, 4 steps": error}, {}, precision)
        judge({"latent, 8 steps": "no scheduler of diffusers takes this grid"}, {}, precision)


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [0.8, float("inf")])
def test_what_is_off_by_its_range_is_refused_by_its_stage_in_every_precision(precision, stage, error):
    errors = {**dict.fromkeys(STAGES, 0.0), stage: error}
    with pytest.raises(Refusal, match=f"diffusers, {stage}: differs by {error:g}, more than") as refused:
        judge(errors, errors, precision)
    assert refused.value.code == "diverged"


@pytest.mark.parametrize("precision", ["int8", "int8_weights", "int4_weights"])
def test_text_is_judged_by_the_precision_that_it_has_itself(precision):
    judge({"latent, 4 steps": 0.3}, {}, precision)
    for stage in ("text", "text, openvino", "encoded", "adapter style, embedding"):
        with pytest.raises(Refusal, match=f"{stage}: differs by 0.3, more than 0.05"):
            judge({stage: 0.3}, {}, precision)


def test_a_picture_with_one_edge_elsewhere_passes_in_fewer_bits_and_not_in_float32():
    judge({"painted": 0.9}, {"painted": 0.01}, "int4_weights")
    with pytest.raises(Refusal, match="painted"):
        judge({"painted": 0.9}, {"painted": 0.01}, "fp32")
