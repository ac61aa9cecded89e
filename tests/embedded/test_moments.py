"""Moments: a loss along them moves a mean to the data's, and chance alone moves nothing far."""

import pytest
import torch

from cadenza.exporters.embedded.moments import WAVES, Moments, coarse


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def members(count, materials):
    return torch.eye(materials)[torch.arange(count) % materials]


def test_descending_the_loss_brings_each_materials_mean_to_the_datas():
    moments, of = Moments(1, 2, 3), members(32, 2)
    apart = torch.tensor([[1.0, 0.0, -2.0], [-1.0, 0.5, 0.0]])
    moved = torch.zeros(2, 3)
    for _ in range(400):
        statistics = (of @ (apart + moved) + torch.randn(32, 3) * 0.5).requires_grad_()
        loss = (statistics * moments.pull(0, of)).sum() / 32
        moments.update(0, of, (statistics - torch.randn(32, 3) * 0.5).detach())
        loss.backward()
        moved -= 0.5 * of.T @ statistics.grad
    assert (apart + moved).abs().max() < 0.3


def test_equal_means_are_left_nearly_alone_and_steps_are_apart():
    moments, of = Moments(2, 2, 50), members(64, 2)
    for _ in range(100):
        moments.update(0, of, torch.randn(64, 50))
        moments.update(1, of, torch.randn(64, 50) + 1.0)
    assert moments.size(0) < 0.2
    assert moments.size(1) == pytest.approx(1.0, abs=0.2)


def test_who_is_of_no_material_neither_pulls_nor_counts():
    moments, nobody = Moments(1, 2, 3), torch.zeros(8, 2)
    moments.update(0, nobody, torch.ones(8, 3) * 9)
    assert not moments.shift.any()
    moments.update(0, members(8, 2), torch.ones(8, 3))
    assert not moments.pull(0, nobody).any()
    assert (moments.pull(0, members(8, 2)) > 0).all()


def test_coarse_waves_of_any_picture_that_is_linear_in_the_latents_have_their_power_in_the_statistics():
    latents, mixing = torch.randn(3, 4, 16, 12), torch.randn(4)
    picture = torch.einsum("bchw,c->bhw", latents, mixing)
    power = torch.fft.fft2(picture, norm="ortho").abs() ** 2
    expected = torch.stack([torch.stack([power[:, a, b] for a, b in waves]).mean(0) for waves in WAVES], 1)
    first, second = torch.triu_indices(4, 4)
    weights = mixing[first] * mixing[second] * torch.where(first == second, 1.0, 2.0)
    found = coarse(latents).reshape(3, len(weights), len(WAVES))
    assert torch.einsum("bkw,k->bw", found, weights) == pytest.approx(expected, rel=1e-4)


def test_coarse_waves_do_not_see_a_shift_around_the_torus():
    latents = torch.randn(2, 3, 16, 16)
    assert torch.allclose(coarse(latents.roll((5, 3), (2, 3))), coarse(latents), atol=1e-5)
