"""The embedded networks: seamless by construction, of unit variance, the same folded."""

import copy

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from cadenza.assets.refusal import Refusal
from cadenza.exporters.embedded import critic, losses
from cadenza.exporters.embedded.keep import pack, unpack
from cadenza.exporters.embedded.last_layer import fit_last_layer
from cadenza.exporters.embedded.networks import (
    GRAIN,
    Autoencoder,
    AutoencoderShape,
    Block,
    Denoiser,
    DenoiserShape,
    Shuffled,
    draw_grain,
    fold,
    renormalise,
    up,
)
from cadenza.exporters.graph import trace
from cadenza.runtime.engine.backends import openvino

SMALL = DenoiserShape(latent=4, words=6, wide=(16, 32), embedding=16, blocks=1, inner=2)
SMALL_AUTOENCODER = AutoencoderShape(latent=4, encoder=(16, 16), decoder=(16, 16, 16), blocks=(1, 1, 1))


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(0)
    model = Denoiser(SMALL)
    with torch.no_grad():
        model.gain.fill_(0.7)
        for block in (m for m in model.modules() if isinstance(m, Block)):
            block.strength.fill_(0.3)
    return model.eval()


def given(h, w, batch=2):
    draw = torch.Generator().manual_seed(h * w)
    latent = torch.randn(batch, 4, h, w, generator=draw)
    return latent, torch.rand(batch, generator=draw), torch.rand(batch, 6, generator=draw)


@torch.no_grad()
def test_a_shifted_latent_gives_a_shifted_flow_so_there_is_no_border(denoiser):
    latent, time, condition = given(8, 12)
    shifted = denoiser(latent.roll((2, 6), (2, 3)), time, condition)  # by whole cells of the inner scale
    torch.testing.assert_close(shifted, denoiser(latent, time, condition).roll((2, 6), (2, 3)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_shifted_latent_decodes_to_a_shifted_texture():
    torch.manual_seed(0)
    decoder = Autoencoder(SMALL_AUTOENCODER).decoder.eval()
    latent, noise = torch.randn(1, 4, 6, 10), torch.randn(1, GRAIN, 24, 40)
    maps = decoder(latent, noise)
    assert maps.shape == (1, 6, 48, 80)
    shifted = decoder(latent.roll((1, 3), (2, 3)), noise.roll((4, 12), (2, 3)))
    torch.testing.assert_close(shifted, maps.roll((8, 24), (2, 3)), rtol=1e-4, atol=1e-5)


def test_detail_asks_how_much_grain_there_is_and_not_where():
    torch.manual_seed(0)
    flat = torch.full((4, 6, 64, 64), 0.5)
    grain, other = (flat + 0.1 * torch.randn_like(flat) for _ in range(2))
    weight = losses.weights(torch.ones(4, dtype=torch.bool))
    filters = losses.draw_filters(32)
    assert losses.detail(other, grain, weight, filters) < 0.3 * losses.detail(flat, grain, weight, filters)
    blurred = torch.nn.functional.avg_pool2d(other, 3, 1, 1) * 3  # as much in all, but coarser
    assert losses.detail(other, grain, weight, filters) < 0.5 * losses.detail(blurred, grain, weight, filters)


def test_the_critic_trains_the_student_and_the_student_not_the_critic(denoiser):
    teacher = copy.deepcopy(denoiser).requires_grad_(False)
    judge = critic.Critic(teacher)
    made, time, condition = given(8, 8)
    made.requires_grad_()
    found = critic.seen(teacher, made, time, condition)
    fooled, told, _ = critic.losses(judge, found, critic.seen(teacher, made.detach() + 1, time, condition))
    fooled.backward(retain_graph=True)
    assert made.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.parameters())
    made.grad = None
    told.backward()
    assert made.grad is None
    assert all(parameter.grad is not None for parameter in judge.parameters())


def test_filters_do_not_answer_to_an_even_colour():
    assert losses.draw_filters(16).sum((2, 3)).abs().max() < 1e-5


@torch.no_grad()
def test_activations_keep_unit_variance_without_normalisation():
    torch.manual_seed(0)
    model = Denoiser(DenoiserShape())
    seen = {}
    for name, block in model.named_modules():
        if isinstance(block, Block):
            block.register_forward_hook(lambda _, __, y, name=name: seen.__setitem__(name, float(y.std())))
    model(torch.randn(4, 8, 16, 16), torch.rand(4), (torch.rand(4, 44) < 0.08).float())
    assert all(0.7 < deviation < 1.4 for deviation in seen.values()), seen


@torch.no_grad()
def test_folding_and_renormalising_change_nothing(denoiser):
    inputs = given(4, 6)
    before = denoiser(*inputs)
    torch.testing.assert_close(fold(copy.deepcopy(denoiser))(*inputs), before, rtol=1e-5, atol=1e-6)
    again = copy.deepcopy(denoiser)
    renormalise(again)
    torch.testing.assert_close(again(*inputs), before, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_last_layer_gives_an_even_picture_no_pattern_of_pixels():
    torch.manual_seed(0)
    last = Shuffled(16, 24, 3)
    even = torch.randn(3, 16, 1, 1).expand(3, 16, 8, 8)
    before = F.pixel_shuffle(last(even), 2).std((2, 3))
    for _ in range(3):  # as after each step of a training
        last.renormalise()
    after = F.pixel_shuffle(last(even), 2).std((2, 3))
    assert before.min() > 1e-2
    assert after.max() < 1e-4
    norms = last.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, norms.mean().expand_as(norms), rtol=1e-3, atol=0)


@torch.no_grad()
def test_a_fitted_last_layer_leaves_the_error_that_it_says():
    torch.manual_seed(0)
    model = Autoencoder(SMALL_AUTOENCODER).eval()
    maps, complete = torch.rand(4, 6, 32, 32), torch.tensor([True, True, True, False])
    maps[:, 5] = (maps[:, :3].mean(1) > 0.6).float()
    said = fit_last_layer(model, [(maps, complete)] * 8)
    made = model.decoder(model.encoder(maps[:3], torch.ones(3)), draw_grain(3, 32, 32))
    left = (made - maps[:3])[:, 5].square().mean().sqrt()
    assert said == pytest.approx(float(left), rel=0.05)
    assert left < 1.02 * maps[:3, 5].std()


@torch.no_grad()
def test_kept_weights_come_back_close_enough_to_go_on_from(denoiser):
    back = copy.deepcopy(denoiser)
    back.load_state_dict(unpack(pack(denoiser)))
    inputs = given(4, 6)
    torch.testing.assert_close(back(*inputs), denoiser(*inputs), rtol=0.1, atol=0.08)


@torch.no_grad()
def test_hidden_data_maps_do_not_reach_the_latent():
    torch.manual_seed(0)
    encoder = Autoencoder(SMALL_AUTOENCODER).encoder.eval()
    maps = torch.rand(2, 6, 32, 32)
    other = torch.cat([maps[:, :3], torch.rand(2, 3, 32, 32)], 1)
    assert torch.equal(encoder(maps, torch.zeros(2)), encoder(other, torch.zeros(2)))
    assert not torch.equal(encoder(maps, torch.ones(2)), encoder(other, torch.ones(2)))


@torch.no_grad()
def test_a_grid_of_cells_is_seen_and_an_even_texture_is_not():
    maps = torch.rand(4, 6, 64, 64)
    blocky = torch.nn.functional.interpolate(maps[:, :, :8, :8], scale_factor=8) + 0.1 * maps
    assert losses.grid(maps) < 0.01 < losses.grid(blocky)


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 8), (8, 8)])
def test_growing_inside_a_block_is_up_sampling_before_it(inputs, outputs):
    block, x = Block(inputs, outputs), torch.randn(2, inputs, 6, 10)
    with torch.no_grad():
        torch.testing.assert_close(block(x, grow=True), block(up(x)), rtol=0, atol=1e-5)


def test_the_graph_rounds_the_same_with_its_sizes_open_and_known(denoiser, tmp_path, monkeypatch):
    """So OpenVINO may compile it for the sizes in use; products beside sums were what it rounded otherwise."""
    monkeypatch.setattr(openvino, "SHORT_S", 60.0)  # a busy machine makes every call a long one
    words, latent = denoiser.shape.words, denoiser.shape.latent
    examples = {"latent": torch.randn(2, latent, 8, 12), "time": torch.rand(2), "condition": torch.rand(2, words)}
    axes = {"latent": {0: "batch", 2: "height", 3: "width"}, "time": {0: "batch"}, "condition": {0: "batch"}}
    onnx.save(trace(fold(copy.deepcopy(denoiser)), examples, ["raw"], axes), tmp_path / "step.onnx")
    graph = openvino.load(tmp_path / "step.onnx", 1)
    alone = {name: value[:1].numpy() for name, value in examples.items()}
    for _ in range(openvino.FIXED_AFTER):
        graph.run(alone)
    graph.settle()
    assert [fixed.result() is not None for fixed in graph._fixed.values()] == [True]
    both = graph.run({name: value.numpy() for name, value in examples.items()})["raw"]
    np.testing.assert_array_equal(graph.run(alone)["raw"][0], both[0])


@pytest.mark.parametrize("precision", openvino.PRECISIONS)
def test_the_decoder_rounds_the_same_with_its_sizes_open_and_known(precision, tmp_path, monkeypatch):
    """Where its grain joins: else the graph for the sizes in use is turned down, and decoding takes a third longer."""
    monkeypatch.setattr(openvino, "SHORT_S", 60.0)
    torch.manual_seed(0)
    decoder = fold(Autoencoder(SMALL_AUTOENCODER).decoder)
    examples = {"latent": torch.randn(1, 4, 6, 10), "noise": torch.randn(1, GRAIN, 24, 40)}
    axes = {name: {0: "batch", 2: f"{name}_height", 3: f"{name}_width"} for name in examples}
    onnx.save(trace(decoder, examples, ["maps"], axes), tmp_path / "decode.onnx")
    try:
        graph = openvino.load(tmp_path / "decode.onnx", 1, precision)
    except Refusal as refusal:
        pytest.skip(str(refusal))  # a processor without bfloat16
    for _ in range(openvino.FIXED_AFTER):
        graph.run({name: value.numpy() for name, value in examples.items()})
    graph.settle()
    assert [fixed.result() is not None for fixed in graph._fixed.values()] == [True]


def test_a_folded_decoder_runs_in_bfloat16():
    decoder = fold(Autoencoder(SMALL_AUTOENCODER).decoder)
    given = torch.randn(1, 4, 6, 10), torch.randn(1, GRAIN, 24, 40)
    exact, rounded = decoder(*given), decoder.bfloat16()(*(each.bfloat16() for each in given))
    assert (exact - rounded.float()).square().mean() < 0.01 * exact.var()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
def test_compiled_gradients_are_the_eager_ones_in_bfloat16():
    """Torch 2.13 gave gradients of 0 below a compiled `interpolate`, in silence."""
    torch.manual_seed(0)
    model = Autoencoder(SMALL_AUTOENCODER).to(memory_format=torch.channels_last)
    maps, noise = torch.rand(4, 6, 64, 64).contiguous(memory_format=torch.channels_last), torch.randn(4, GRAIN, 32, 32)

    def loss(maps, noise):
        with torch.autocast("cpu", torch.bfloat16):
            made = model.decoder(model.encoder(maps, torch.ones(4)), noise)
        return losses.structure(made, maps, losses.weights(torch.ones(4, dtype=torch.bool)))

    def gradients(of):
        model.zero_grad()
        of(maps, noise).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    eager, compiled = gradients(loss), gradients(torch.compile(loss))
    assert eager.keys() == compiled.keys()
    for name, gradient in eager.items():
        off = (compiled[name] - gradient).norm() / (gradient.norm() + 1e-9)
        assert off < 0.2, f"{name}: {float(off):.2f}"
