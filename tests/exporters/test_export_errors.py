"""What `cadenza export` and `verify` refuse: one sentence with the field and the remedy, exit status 2, and nothing left behind."""

import json
import re
import sys
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
import toys
import toys_more

from cadenza.bindings.command import app
from cadenza.exporters.diffusion import export

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders beside each other: pipelines that can be exported and some that cannot, and what is no pipeline."""
    folder = tmp_path_factory.mktemp("saved")
    pipe = toys.stable_diffusion()
    pipe.save_pretrained(folder / "sd")
    toys.stable_diffusion(embeds_guidance=True).save_pretrained(folder / "embeds")
    toys.flux().save_pretrained(folder / "flux")
    pipe.unet.register_to_config(class_embed_type="identity")
    pipe.save_pretrained(folder / "told")
    toys_more.stable_audio_3(stochastic=False).save_pretrained(folder / "base_audio")
    (folder / "empty").mkdir()
    (folder / "other").mkdir()
    index = {"_class_name": "KandinskyPipeline", "_diffusers_version": diffusers.__version__}
    (folder / "other" / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    save_file({"weight": torch.zeros(2)}, folder / "some.safetensors")
    return folder


@pytest.fixture
def refused(saved, tmp_path, capsys, monkeypatch):
    """What a command says on standard error; nothing is traced or written."""
    monkeypatch.setattr(export, "trace", lambda *_: pytest.fail("was traced"))

    def refused(*words):
        out = tmp_path / "out"
        told = [str(saved / word) if (saved / str(word)).exists() else str(word) for word in words]
        assert app.run(["export", *told, "--out", str(out)]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("cadenza: ")
        assert list(tmp_path.iterdir()) == []
        return said

    return refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("empty",), r"source: .*empty has no model_index\.json; give the folder of a diffusers pipeline"),
        (("some.safetensors",), "source: .* cannot be opened as a pipeline"),
        (("told",), "unet.class_embed_type: has class_embed_type 'identity', an input"),
        (("base_audio",), "scheduler: draws no noise at its steps, as the base model's"),
        (("sd", "--family", "schnell"), "family: 'schnell' is for flow models, this pipeline is vp; one of lcm, "),
        (
            ("sd", "--family", "lcm"),
            "'lcm' does not fit these weights: .* takes no embedding of guidance; take lcm_lora",
        ),
        (
            ("embeds", "--family", "turbo"),
            "'turbo' does not fit these weights: .* takes an embedding of guidance; take lcm",
        ),
        (("sd", "--family", "lightnin"), "family: 'lightnin' is not known; did you mean 'lightning'"),
        (("sd", "--steps", "9"), "steps: 9 is out of range, valid is one of 2, 3, 4, 5, 6, 7, 8"),
        (("sd", "--steps", "4", "--unrolled", "3"), "unrolled: 3 is out of range, valid is one of 4"),
        (
            ("sd", "--seconds", "3"),
            "seconds: says nothing to StableDiffusionPipeline and the family lcm_lora; leave it",
        ),
        (("sd", "--size", "512"), "size: says nothing to StableDiffusionPipeline"),
        (("sd", "--frames", "8", "--dry-run"), "frames: says nothing to"),
        (("sd", "--adopt", "manifest.toml", "--lora", "a"), "lora: says nothing to a graph that is adopted"),
        (("sd", "--adopt", "manifest.toml"), r"adopt: manifest\.toml: No such file"),
        (("sd", "--precision", "int3"), "precision: 'int3' is not known"),
        (("sd", "--seamless", "z"), "seamless: 'z' is not known"),
        (("sd", "--lora", "some.safetensors"), "lora: .*some.safetensors does not fit this pipeline"),
        (("flux", "--seamless", "xy", "--dry-run"), "seamless: a network has no padded convolution; leave it out"),
        (("sd", "--control", "anew=x"), "control: 'anew' is the name of another input; choose another"),
        (("sd", "--control", "a=x", "--adapter", "a=y"), "control: 'a' is the name of another input"),
        (("sd", "--control", "a=x", "--control", "a_strength=y"), "control: 'a_strength' is the name of another"),
        (("flux", "--control", "depth"), "control: FluxPipeline cannot be controlled yet"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(refused, words, said):
    told = refused(*words)
    assert re.search(said, told), told


def test_a_full_disk_is_told_beforehand(refused, monkeypatch):
    monkeypatch.setattr(export.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert "no space left; the bundle takes about 1 MB; free some" in refused("sd")


def test_a_folder_that_is_no_bundle_is_not_overwritten(saved, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "novel.txt").write_text("years of work", encoding="utf-8")
    assert app.run(["export", str(saved / "sd"), "--out", str(tmp_path / "out")]) == 2
    assert "out is there and is no bundle; give a new folder" in capsys.readouterr().err
    assert (tmp_path / "out" / "novel.txt").read_text(encoding="utf-8") == "years of work"


def test_a_bundle_whose_file_has_another_digest_is_refused_by_the_file(tmp_path, capsys):
    bundle = toy.write(tmp_path)
    data = bytearray((bundle.folder / "step.onnx").read_bytes())
    data[-1] ^= 1
    (bundle.folder / "step.onnx").write_bytes(data)
    assert app.run(["verify", str(bundle.folder)]) == 2
    said = capsys.readouterr().err
    assert "step.onnx" in said
    assert "digest" in said
