"""What diffusers would let pass in silence is refused in a sentence, or done as its own pipelines do it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_more
import toys_pictures
from original_layout import save_single_file

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion.additions import add_inversions, fuse_loras
from cadenza.exporters.diffusion.autoencoder import encoder_of, replace_vae
from cadenza.exporters.diffusion.opening import open_pipeline
from cadenza.exporters.diffusion.parity import PROMPT, noise_of
from cadenza.exporters.diffusion.pipeline_call import own_result, own_text
from cadenza.exporters.diffusion.planning import Options, family_of, parts_of, plan_export, tables_of, variants_of
from cadenza.runtime.plans import plan_of_table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
VP = toys_more.VP
MEAN, DEVIATION = [-1.6, 1.1, 0.2, -1.5], [8.4, 5.9, 6.8, 6.4]


def trailing_xl():
    return toys.stable_diffusion_xl(diffusers.EulerDiscreteScheduler(timestep_spacing="trailing"))


def without(folder, ending):
    """Takes the first weight whose name ends so out of a folder's file; gives its name."""
    file = next(folder.glob("*.safetensors"))
    weights = load_file(file)
    gone = next(name for name in weights if name.endswith(ending))
    save_file({name: weight for name, weight in weights.items() if name != gone}, file, metadata={"format": "pt"})
    return gone


@pytest.mark.parametrize(
    ("part", "ending"),
    [("text_encoder", "token_embedding.weight"), ("unet", "time_emb_proj.weight"), ("vae", "conv_in.bias")],
)
def test_a_pipeline_whose_files_lack_a_weight_is_refused_by_it(tmp_path, part, ending):
    toys.stable_diffusion().save_pretrained(tmp_path)
    open_pipeline(str(tmp_path))
    gone = without(tmp_path / part, ending)
    with pytest.raises(Refusal, match=rf"source\.{part}: the files hold no weight '{gone}'"):
        open_pipeline(str(tmp_path))


def test_statistics_that_an_autoencoder_lacks_are_missed_though_they_have_a_start(tmp_path):
    toys_more.flux_2_klein().save_pretrained(tmp_path)
    without(tmp_path / "vae", "bn.running_var")
    with pytest.raises(Refusal, match=r"source\.vae: the files hold no weight 'bn\.running_var'"):
        open_pipeline(str(tmp_path))


def test_a_component_of_a_pipelines_own_module_is_looked_at_too(tmp_path):
    toys_more.stable_audio().save_pretrained(tmp_path)
    assert type(open_pipeline(str(tmp_path))).__name__ == "StableAudioPipeline"
    without(tmp_path / "projection_model", "weight")
    with pytest.raises(Refusal, match=r"source\.projection_model: the files hold no weight"):
        open_pipeline(str(tmp_path))


def test_a_model_of_the_hub_is_looked_at_where_it_was_downloaded_to(tmp_path, monkeypatch):
    toys.stable_diffusion().save_pretrained(tmp_path)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", lambda *_, **__: str(tmp_path))
    assert open_pipeline("someone/wall").config._name_or_path == "someone/wall"
    without(tmp_path / "text_encoder", "token_embedding.weight")
    with pytest.raises(Refusal, match="text_encoder: the files hold no weight"):
        open_pipeline("someone/wall")


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("time_embed.0.weight", "source: .*a.safetensors holds not all weights of its model"),
        ("token_embedding.weight", r"source\.text_encoder: the files hold no weight '.*token_embedding\.weight'"),
    ],
)
def test_a_single_file_that_lacks_a_weight_is_refused(tmp_path, ending, said):
    toys.stable_diffusion().save_pretrained(tmp_path / "config")
    (tmp_path / "single").mkdir()
    save_single_file(toys.stable_diffusion(), tmp_path / "single" / "a.safetensors")
    without(tmp_path / "single", ending)
    with pytest.raises(Refusal, match=said):
        open_pipeline(str(tmp_path / "single" / "a.safetensors"), str(tmp_path / "config"))


def test_networks_beside_a_pipeline_are_refused_by_a_weight_they_lack(tmp_path):
    pipe = toys.stable_diffusion()
    toys_pictures.control(pipe.unet).save_pretrained(tmp_path / "control")
    toys.vae().save_pretrained(tmp_path / "vae")
    without(tmp_path / "control", "conv_in.weight")
    without(tmp_path / "vae", "conv_in.weight")
    with pytest.raises(Refusal, match=r"control\.depth: the files hold no weight"):
        variants_of(pipe, parts_of(pipe, Options()), Options(controls=(("depth", str(tmp_path / "control")),)))
    with pytest.raises(Refusal, match="vae: the files hold no weight"):
        replace_vae(pipe, str(tmp_path / "vae"))


def test_an_ip_adapter_is_refused_by_a_weight_that_its_encoder_lacks(tmp_path):
    pipe = toys.stable_diffusion()
    options = Options(adapters=(("style", str(toys_pictures.adapter(pipe.unet, tmp_path))),))
    assert len(variants_of(pipe, parts_of(pipe, options), options)) == 1
    without(tmp_path / "image_encoder", "visual_projection.weight")
    with pytest.raises(Refusal, match=r"adapter\.style\.image_encoder: the files hold no weight"):
        variants_of(pipe, parts_of(pipe, options), options)


@torch.no_grad()
def test_xl_decodes_and_encodes_with_the_spread_that_its_autoencoder_states():
    pipe = trailing_xl()
    pipe.vae.register_to_config(latents_mean=MEAN, latents_std=DEVIATION, scaling_factor=0.5)
    parts = parts_of(pipe, Options())
    latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(numbers).view(1, 4, 1, 1) for numbers in (MEAN, DEVIATION))
    theirs = pipe.vae.decode(latent * deviation / 0.5 + mean, return_dict=False)[0]  # as its pipeline writes it
    torch.testing.assert_close(parts.decode(latent), (theirs / 2 + 0.5).clamp(0, 1))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    mode = pipe.vae.encode(2 * image - 1).latent_dist.mode()
    torch.testing.assert_close(parts.encode(image) * deviation / 0.5 + mean, mode)


@torch.no_grad()
def test_a_spread_is_left_out_where_diffusers_leaves_it_out():
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    pipe = toys.stable_diffusion()
    plain = parts_of(pipe, Options()).decode(latent)
    pipe.vae.register_to_config(latents_mean=MEAN, latents_std=DEVIATION)
    torch.testing.assert_close(parts_of(pipe, Options()).decode(latent), plain)


def test_a_spread_that_is_half_honoured_or_of_other_channels_is_refused():
    pipe = toys_pictures.inpainting_xl()
    pipe.vae.register_to_config(latents_mean=MEAN, latents_std=DEVIATION)
    with pytest.raises(
        Refusal, match=r"vae\.latents_mean: is read by StableDiffusionXLInpaintPipeline where it decodes"
    ):
        parts_of(pipe, Options())
    pipe = trailing_xl()
    pipe.vae.register_to_config(latents_mean=MEAN[:3], latents_std=DEVIATION)
    with pytest.raises(Refusal, match=r"vae\.latents_mean: has 3 numbers where latents have 4 channels"):
        parts_of(pipe, Options())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("down_blocks.1", "down_blocks.7", r"8 of 32 weights fit no module, first 'unet\.down_blocks\.7"),
        ("unet.", "transformer.", r"32 of 32 weights fit no module, first 'transformer\."),
        ("unet.", "", "does not fit this pipeline|fit no module"),
    ],
)
def test_a_lora_of_which_a_part_fits_nothing_is_refused_by_its_first_weight(tmp_path, old, new, said):
    folder = Path(toys.save_lora(tmp_path / "one", 1))
    weights = load_file(folder / "pytorch_lora_weights.safetensors")
    save_file({name.replace(old, new): weight for name, weight in weights.items()}, tmp_path / "x.safetensors")
    with pytest.raises(Refusal, match=f"^lora: .*x.safetensors.*({said})"):
        fuse_loras(toys.stable_diffusion(), [(str(tmp_path / "x.safetensors"), 1.0)])


def test_the_scales_of_a_dora_are_not_left_out_in_silence(tmp_path):
    folder = Path(toys.save_lora(tmp_path / "one", 1))
    weights = load_file(folder / "pytorch_lora_weights.safetensors")
    first = next(iter(weights)).rsplit(".lora", 1)[0]
    save_file({**weights, f"{first}.dora_scale": torch.ones(16)}, tmp_path / "dora.safetensors")
    with pytest.raises(Refusal, match=r"lora: .*dora\.safetensors has 'unet\..*dora_scale'"):
        fuse_loras(toys.stable_diffusion(), [(str(tmp_path / "dora.safetensors"), 1.0)])


def test_a_lora_in_half_precision_fits_as_its_whole_does(tmp_path):
    folder = Path(toys.save_lora(tmp_path / "one", 1))
    weights = load_file(folder / "pytorch_lora_weights.safetensors")
    save_file({name: weight.half() for name, weight in weights.items()}, tmp_path / "half.safetensors")
    pipe = toys.stable_diffusion()
    fuse_loras(pipe, [(str(tmp_path / "half.safetensors"), 1.0)])
    plain = toys.stable_diffusion().unet.state_dict()
    assert sum(not torch.equal(weight, plain[name]) for name, weight in pipe.unet.state_dict().items()) == 16


def test_pipelines_that_take_no_loras_or_inversions_say_so():
    pipe = toys_more.pixart(diffusers.DPMSolverMultistepScheduler(**VP))
    with pytest.raises(Refusal, match="lora: PixArtAlphaPipeline takes no LoRAs"):
        fuse_loras(pipe, [("x.safetensors", 1.0)])
    with pytest.raises(Refusal, match="inversion: StableDiffusion3Pipeline takes no textual inversions"):
        add_inversions(toys.stable_diffusion_3(), ["x.safetensors"])


def test_an_inversion_of_several_vectors_is_refused_and_one_of_one_is_not(tmp_path):
    for many in (1, 3):
        save_file({f"<moss{many}>": torch.randn(many, 32)}, tmp_path / f"{many}.safetensors")
    pipe = toys.stable_diffusion()
    add_inversions(pipe, [str(tmp_path / "1.safetensors")])
    with pytest.raises(Refusal, match=r"inversion: .*3\.safetensors has 3 vectors for '<moss3>'"):
        add_inversions(pipe, [str(tmp_path / "3.safetensors")])


def planned(pipe, **options):
    options = Options(**options)
    family, _ = family_of(pipe, parts_of(pipe, options), options)
    return family, tables_of(pipe, family, options)


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.0])
def test_the_table_of_sd3_has_the_shift_of_its_scheduler(shift):
    pipe = toys.stable_diffusion_3(shift)
    family, tables = planned(pipe)
    assert family == "sd3"
    for table in tables:
        pipe.scheduler.set_timesteps(table.steps)
        np.testing.assert_allclose(table.times, pipe.scheduler.sigmas[:-1].numpy(), rtol=1e-5)


def test_a_flux_that_shifts_by_size_or_by_a_number_is_no_schnell():
    pipe = toys.flux()
    assert planned(pipe)[0] == "schnell"
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    with pytest.raises(Refusal, match=r"scheduler\.use_dynamic_shifting: is true: FluxPipeline"):
        planned(pipe)
    assert planned(pipe, family="schnell")[0] == "schnell"  # the user knows that it was distilled so
    with pytest.raises(Refusal, match="'klein' does not fit FluxPipeline"):
        planned(pipe, family="klein")
    for said in (("its name", "black-forest-labs/FLUX.1-schnell"), ("its name", "someone/flux-klein")):
        with pytest.raises(Refusal, match=r"scheduler\.use_dynamic_shifting"):
            planned(pipe, said=(said,))
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=2.0)
    with pytest.raises(Refusal, match=r"scheduler\.shift: is 2, and FLUX\.1-schnell runs without"):
        planned(pipe)
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=1.0986, max_shift=1.0986
    )
    assert planned(pipe)[0] == "qwen_lightning"  # 3 at any size


def test_klein_is_for_a_distilled_flux_2():
    pipe = toys_more.flux_2_klein()
    assert planned(pipe)[0] == "klein"
    pipe.register_to_config(is_distilled=False)
    for family in ("auto", "klein"):
        with pytest.raises(Refusal, match="source: the pipeline says is_distilled false"):
            planned(pipe, family=family)


@pytest.mark.parametrize("trained", [500, 4000])
def test_another_number_of_training_timesteps_is_refused_on_vp_and_on_flows(trained):
    for pipe in (
        toys.stable_diffusion(diffusers.DDIMScheduler(**VP, num_train_timesteps=trained)),
        toys_more.pixart(diffusers.DPMSolverMultistepScheduler(**VP, num_train_timesteps=trained)),
    ):
        with pytest.raises(Refusal, match=rf"scheduler\.num_train_timesteps: is {trained}, and every family"):
            plan_export(pipe, Options())
    pipe = toys.stable_diffusion_3()
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=trained, shift=3.0)
    with pytest.raises(Refusal, match=rf"scheduler\.num_train_timesteps: is {trained}"):
        plan_export(pipe, Options())


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 7.0])
def test_guided_stable_audio_is_diffusers_own_without_a_negative_prompt(guidance):
    pipe, options = toys_more.stable_audio(), Options(steps=(50,))
    parts = parts_of(pipe, options)
    (table,) = tables_of(pipe, "stable_audio", options)
    manifest = SimpleNamespace(process=parts.process, prediction=parts.prediction, latent=parts.latent)
    plan = plan_of_table(manifest, table, guidance)
    text, arguments = own_text(pipe, parts, PROMPT)
    start, draws = noise_of(parts, plan, 7)
    conditions = torch.from_numpy(text), torch.zeros(1, parts.size)  # zeros: what a bundle's manifest says of no prompt

    def model(x, time, conditional):
        given = torch.from_numpy(x.astype(np.float32)), torch.full((1,), float(time))
        return parts.step(*given, conditions[0 if conditional else 1]).numpy()

    ours = plan.run(model, start, lambda k: draws[k])
    told = replace(parts, call={**parts.call, "guidance_scale": guidance})
    theirs = own_result(pipe, told, manifest, table, arguments, start, draws)
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_a_controlnet_that_acts_on_the_prompt_alone_is_refused(tmp_path):
    pipe = toys.stable_diffusion()
    net = toys_pictures.control(pipe.unet)
    net.register_to_config(global_pool_conditions=True)
    net.save_pretrained(tmp_path)
    with pytest.raises(Refusal, match=r"control\.shuffle: has global_pool_conditions"):
        variants_of(pipe, parts_of(pipe, Options()), Options(controls=(("shuffle", str(tmp_path)),)))


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (diffusers.EDMEulerScheduler(), "scheduler: EDMEulerScheduler has no alphas_cumprod"),
        (diffusers.FlowMatchEulerDiscreteScheduler(), "FlowMatchEulerDiscreteScheduler has no alphas_cumprod"),
        (
            diffusers.UniPCMultistepScheduler(**VP, prediction_type="flow_prediction", use_flow_sigmas=True),
            r"scheduler\.prediction_type: 'flow_prediction'",
        ),
        (
            diffusers.DDIMScheduler(**VP, rescale_betas_zero_snr=True),
            r"scheduler\.rescale_betas_zero_snr: ends in pure",
        ),
    ],
)
def test_a_scheduler_of_another_process_or_prediction_is_refused(scheduler, said):
    with pytest.raises(Refusal, match=said):
        parts_of(toys.stable_diffusion_xl(scheduler), Options())


@torch.no_grad()
@pytest.mark.parametrize(("kind", "steps"), [("DDIMScheduler", 20), ("LCMScheduler", 4)])
def test_a_schedule_that_ends_in_pure_noise_gives_diffusers_latents(kind, steps):
    settings = dict(**VP, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
    pipe, options = toys.stable_diffusion(getattr(diffusers, kind)(**settings)), Options(steps=(steps,))
    parts = parts_of(pipe, options)
    (table,) = planned(pipe, steps=(steps,))[1]
    assert float(pipe.scheduler.alphas_cumprod[-1]) == 0.0 < parts.process.alphas_cumprod[-1]
    manifest = SimpleNamespace(process=parts.process, prediction=parts.prediction, latent=parts.latent)
    plan = plan_of_table(manifest, table)
    text, arguments = own_text(pipe, parts, PROMPT)
    start, draws = noise_of(parts, plan, 7)

    def model(x, time, _):
        given = torch.from_numpy(x.astype(np.float32)), torch.full((1,), float(time)), torch.from_numpy(text)
        return parts.step(*given).numpy()

    ours = plan.run(model, start, lambda k: draws[k])
    theirs = own_result(pipe, parts, manifest, table, arguments, start, draws)
    assert np.isfinite(ours).all()
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_a_network_with_two_sides_is_planned_up_to_twice_the_longer():
    pipe = toys.stable_diffusion()
    assert plan_export(pipe, Options())["sizes"] == [64, 64, 4]
    pipe.unet.register_to_config(sample_size=(16, 24))
    assert plan_export(pipe, Options())["sizes"] == [64, 96, 4]


def test_more_frames_than_the_motion_layers_count_are_refused():
    pipe = toys_more.animate_diff(diffusers.DPMSolverMultistepScheduler(**VP))
    most = pipe.unet.config.motion_max_seq_length
    assert parts_of(pipe, Options(frames=most)).frames == most
    with pytest.raises(Refusal, match=f"frames: {most + 1} is out of range, valid is 2 to {most}"):
        parts_of(pipe, Options(frames=most + 1))


@pytest.mark.parametrize("make", [toys_more.stable_audio, toys_more.flux_2_klein, toys_more.sana_sprint])
def test_an_autoencoder_in_place_of_another_kind_is_refused(tmp_path, make):
    toys.vae().save_pretrained(tmp_path)
    pipe = make()
    assert encoder_of(pipe.vae) is None
    with pytest.raises(Refusal, match=f"vae: {type(pipe).__name__} has {type(pipe.vae).__name__}, in whose place"):
        replace_vae(pipe, str(tmp_path))


def test_an_index_does_not_say_what_is_imported(tmp_path, monkeypatch):
    """A downloaded one would run what it names; diffusers judges such a component, and leaves one alone that it has no use for."""
    toys.stable_diffusion().save_pretrained(tmp_path / "model")
    (tmp_path / "named_by_an_index.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    index = tmp_path / "model" / "model_index.json"
    named = {**json.loads(index.read_text(encoding="utf-8")), "extra": ["named_by_an_index", "X"]}
    index.write_text(json.dumps(named), encoding="utf-8")
    assert type(open_pipeline(str(tmp_path / "model"))).__name__ == "StableDiffusionPipeline"
    assert "named_by_an_index" not in sys.modules
