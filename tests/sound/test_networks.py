"""The embedded sound network: a ring without ends, the same folded."""

import pytest
import torch

from cadenza.exporters.sound.networks import LATENT, Block, Denoiser, DenoiserShape, fold
from cadenza.exporters.sound.vocabulary import SOUNDS, WORDS


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    model = Denoiser(DenoiserShape(16, 24, 32, 16))
    with torch.no_grad():
        model.gain.fill_(0.7)
        for block in (m for m in model.modules() if isinstance(m, Block)):
            block.strength.fill_(0.3)
    return model.eval()


def given(sound, length=32):
    draw = torch.Generator().manual_seed(1)
    condition = torch.zeros(2, len(WORDS))
    condition[:, SOUNDS.index(sound)] = 1.0
    latent = torch.randn(2, LATENT, 1, length, generator=draw)
    return latent, torch.rand(2, generator=draw), condition, torch.zeros(2, 1 + LATENT, 1, length)


@torch.no_grad()
def test_an_ambience_that_is_turned_gives_a_turned_flow_and_a_sound_that_begins_does_not(denoiser):
    for sound, same in (("rain", True), ("bell", False)):
        latent, *others = given(sound)
        turned = denoiser(latent.roll(8, 3), *others).roll(-8, 3)
        assert torch.allclose(turned, denoiser(latent, *others), rtol=1e-4, atol=1e-4) == same


@torch.no_grad()
@pytest.mark.parametrize("sound", ["rain", "bell"])
def test_folding_changes_nothing(denoiser, sound):
    before = denoiser(*given(sound))
    torch.testing.assert_close(fold(denoiser)(*given(sound)), before, rtol=1e-4, atol=1e-5)
