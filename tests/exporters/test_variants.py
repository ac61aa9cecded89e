"""Networks that read more than text, several things at once: as plans over their torch modules equal to diffusers' own loops.

The graphs of single ones are held in `test_control.py` and `test_adapter.py`; here those of two controls on an inpainting network.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_pictures
from against import assert_painted, at_work
from hurried import hurry

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion import control
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.parity import noise_of
from cadenza.exporters.diffusion.pipeline_call import own_result, own_text
from cadenza.exporters.diffusion.planning import Options, graphs_of, parts_of, variants_of
from cadenza.exporters.families import FAMILIES
from cadenza.exporters.verify import relative
from cadenza.runtime.plans import plan_of_table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
EULER = dict(timestep_spacing="trailing")
PIPELINES = {
    "plain": (toys.stable_diffusion, "lcm_lora"),
    "embeds guidance": (lambda: toys.stable_diffusion(embeds_guidance=True), "lcm"),
    "inpaints": (toys_pictures.inpainting, "lcm_lora"),
    "large": (lambda: toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(**EULER)), "lightning"),
    "large, inpaints": (toys_pictures.inpainting_xl, "lightning"),
}
STEPS = 2


def plain(pipe):
    """The toy that reads text alone, of which ControlNets and adapters are made."""
    if "XL" in type(pipe).__name__:
        return toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(**EULER)).unet
    return toys.stable_diffusion().unet


def options(pipe, folder, adapted=True, face=""):
    unet = plain(pipe)
    for seed, name in enumerate(("depth", "canny"), 1):
        toys_pictures.control(unet, seed).save_pretrained(folder / name)
    controls = tuple((name, str(folder / name)) for name in ("depth", "canny"))
    adapters = ()
    if adapted:
        (folder / "adapter").mkdir()
        adapters = (("style", str(toys_pictures.adapter(unet, folder / "adapter", face))),)
    return Options(controls=controls, adapters=adapters)


@torch.no_grad()
def errors(pipe, family, variants):
    """The error of each variant's latent, by its name."""
    parts = parts_of(pipe, Options())
    text, arguments = own_text(pipe, parts, "low wall")
    condition = torch.from_numpy(np.hstack([text, parts.told.numpy()]))
    prediction = FAMILIES[family].prediction or parts.prediction
    manifest = SimpleNamespace(process=parts.process, prediction=prediction, latent=parts.latent)
    (table,) = FAMILIES[family].tables((STEPS,))
    plan = plan_of_table(manifest, table)
    start, draws = noise_of(parts, plan, 7)
    found = {}
    for variant in variants:
        more, call = variant.example(start.shape)
        beside = [torch.from_numpy(each) for each in more.values()]

        def model(x, time, conditional, variant=variant, beside=beside):
            told = torch.from_numpy(x.astype(np.float32)), torch.tensor([time], dtype=torch.float32), condition
            return variant.step(*told, *beside).numpy()

        ours = plan.run(model, start, lambda k: draws[k])
        told = replace(parts, call={**parts.call, **call})
        theirs = own_result(toys.quiet(variant.own), told, manifest, table, arguments, start, draws)
        found[variant.name] = relative(ours, theirs)
    return found


@pytest.mark.parametrize("name", PIPELINES)
def test_each_control_both_together_and_an_adapter_are_what_diffusers_makes_of_them(name, tmp_path):
    make, family = PIPELINES[name]
    pipe = make()
    told = options(pipe, tmp_path, adapted=name != "embeds guidance")
    parts = parts_of(pipe, Options())
    variants = variants_of(pipe, parts, told)
    assert [variant.name for variant in variants][:3] == ["control_depth", "control_canny", "control_depth_canny"]
    assert list(variants[2].inputs) == [*parts.inputs, "depth", "depth_strength", "canny", "canny_strength"]
    counted = graphs_of(parts, variants)
    nets = [sum(p.numel() for p in variant.nets[0].parameters()) for variant in variants[:2]]
    names = ("step_control_depth", "step_control_canny", "step_control_depth_canny")
    assert [counted[graph] for graph in names] == [*nets, 0]
    found = errors(pipe, family, variants)
    assert len(found) == (3 if name == "embeds guidance" else 4)
    assert all(error <= 1e-5 for error in found.values()), found


def test_an_adapter_for_faces_that_reads_a_picture_is_exported(tmp_path):
    pipe = toys.stable_diffusion()
    (variant,) = variants_of(
        pipe, parts_of(pipe, Options()), replace(options(pipe, tmp_path, face="full"), controls=())
    )
    assert type(variant.own.unet.encoder_hid_proj.image_projection_layers[0]).__name__ == "IPAdapterFullImageProjection"
    assert errors(pipe, "lcm_lora", [variant])["adapter_style"] <= 1e-5


def test_an_adapter_that_reads_what_a_face_recogniser_says_is_refused_in_words(tmp_path):
    pipe = toys.stable_diffusion()
    told = replace(options(pipe, tmp_path, face="id"), controls=())
    with pytest.raises(
        Refusal, match=r"adapter\.style: projects by IPAdapterFaceIDImageProjection, which reads more than CLIP"
    ):
        variants_of(pipe, parts_of(pipe, Options()), told)


def test_the_name_of_a_control_alone_stands_for_one_on_the_hub(monkeypatch):
    asked = []

    def opened(library, pipe, name, source):
        asked.append(source)
        return toys_pictures.control(plain(pipe)).eval()

    monkeypatch.setattr(control, "_open", opened)
    for make, name in ((toys.stable_diffusion, "depth"), (PIPELINES["large"][0], "canny")):
        pipe = make()
        control.controls_of(pipe, parts_of(pipe, Options()), dict([control.parse_control(name)]))
    assert asked == ["lllyasviel/control_v11f1p_sd15_depth", "diffusers/controlnet-canny-sdxl-1.0"]
    with pytest.raises(Refusal, match="control: 'smell' is not known"):
        control.controls_of(pipe, parts_of(pipe, Options()), {"smell": ""})


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_two_pictures_and_a_mask_over_the_socket_paint_what_diffusers_paints(tmp_path):
    pipe = toys_pictures.inpainting()
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        made = export_pipeline(pipe, tmp_path / "out", replace(options(pipe, tmp_path, adapted=False), steps=(STEPS,)))
    said = json.loads((made.folder / "report.json").read_text(encoding="utf-8"))["diffusers"]
    stages = [
        f"control {which}, {STEPS} steps{rest}"
        for which in ("depth", "canny", "depth_canny")
        for rest in ("", ", loop graph")
    ]
    assert {*stages} <= {*said}
    assert max(said.values()) <= 1e-5, said
    names = ["depth", "depth_strength", "canny", "canny_strength"]
    assert made.manifest.reads["step_control_depth_canny"] == ["anew", "kept", *names]
    draw = np.random.default_rng(5)
    image, depth, canny = (draw.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(3))
    mask = np.zeros((64, 64), bool)
    mask[16:48, 8:32] = True
    given = dict(zip(names, (depth, 0.7, canny, 0.4), strict=True))
    asked = {"prompt": "low wall", "seed": 3, "size": 64, "steps": STEPS, "image": image, "mask": mask}
    with at_work(made.folder, tmp_path) as game:
        texture = game.submit({**asked, "inputs": given}).result(60)
        one = game.submit({**asked, "inputs": {"depth": depth}}).result(60)
        assert game.replay(texture).digest == texture.digest != one.digest
    own = variants_of(pipe, parts_of(pipe, Options()), options_again(tmp_path))[2].own
    shown = [torch.from_numpy(each.astype(np.float32) / 255).permute(2, 0, 1)[None] for each in (image, depth, canny)]
    told = {
        "image": shown[0], "mask_image": torch.from_numpy(mask[None, None].astype(np.float32)), "strength": 1.0,
        "control_image": shown[1:], "controlnet_conditioning_scale": [0.7, 0.4],
    }  # fmt: skip
    assert_painted(pipe, toys.quiet(own), made, {**asked, "inputs": given}, texture, told)


def options_again(folder):
    return Options(controls=tuple((name, str(folder / name)) for name in ("depth", "canny")))
