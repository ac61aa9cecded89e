"""What may be exported is opened, and what may not is refused in a sentence: folders, single files, hub ids."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
from original_layout import save_single_file

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.opening import open_pipeline
from cadenza.exporters.diffusion.planning import Options, parts_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    toys.stable_diffusion().save_pretrained(folder / "diffusers")
    save_single_file(toys.stable_diffusion(), folder / "single.safetensors")
    return folder


def test_a_single_file_in_the_original_layout_gives_the_same_weights_without_a_network(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    described = tmp_path / "config"
    shutil.copytree(saved / "diffusers", described, ignore=shutil.ignore_patterns("*.safetensors"))
    whole, single = (
        open_pipeline(str(saved / "diffusers")),
        open_pipeline(str(saved / "single.safetensors"), str(described)),
    )
    assert type(single) is type(whole)
    assert type(single.scheduler) is type(whole.scheduler)
    for part in ("unet", "vae", "text_encoder"):
        ours, theirs = getattr(single, part).state_dict(), getattr(whole, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), part


def test_a_single_file_whose_configuration_is_nowhere_says_what_to_give(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("cadenza.exporters.diffusion.opening._offline", lambda: True)
    monkeypatch.setattr("diffusers.loaders.single_file.snapshot_download", _nothing)
    with pytest.raises(Refusal, match=r"cannot be opened as a pipeline.*give --config FOLDER"):
        open_pipeline(str(saved / "single.safetensors"))


def _nothing(*_, **__):
    raise OSError("cannot find the requested files in the disk cache")


def test_a_file_of_other_weights_is_refused(saved, tmp_path):
    from safetensors.torch import save_file

    save_file({"lora.up": torch.zeros(2, 2)}, tmp_path / "lora.safetensors")
    with pytest.raises(Refusal, match="cannot be opened as a pipeline"):
        open_pipeline(str(tmp_path / "lora.safetensors"), str(saved / "diffusers"))


@pytest.mark.parametrize(
    ("source", "config", "said"),
    [
        (".", "", r"has no model_index\.json"),
        ("diffusers", "diffusers", "describes a single file"),
        ("single.safetensors", ".", r"config: .* has no model_index\.json"),
    ],
)
def test_what_is_no_pipeline_is_refused_in_a_sentence(saved, source, config, said):
    with pytest.raises(Refusal, match=said):
        open_pipeline(str(saved / source), config and str(saved / config))


@pytest.mark.parametrize("field", ["class_embed_type", "encoder_hid_dim_type", "addition_embed_type"])
def test_a_network_that_reads_more_than_text_and_time_is_refused_by_the_setting(field):
    pipe = toys.stable_diffusion()
    assert parts_of(pipe, Options()).kind == "texture"
    pipe.unet.register_to_config(**{field: "image"})
    with pytest.raises(Refusal, match=f"unet.{field}: has {field} 'image', an input"):
        parts_of(pipe, Options())


def test_another_pipeline_is_refused_by_its_class():
    with pytest.raises(Refusal, match="'StableDiffusionControlNetPipeline'"):
        parts_of(type("StableDiffusionControlNetPipeline", (), {"components": {}})(), Options())
