"""The filter after the decoder: gives lost detail back and nothing else, and stays out of training."""

import numpy as np
import pytest
import torch

from cadenza.exporters.embedded import measures
from cadenza.exporters.embedded.networks import Autoencoder, AutoencoderShape, Sharpen
from cadenza.exporters.embedded.sharpness import FINEST, MOST, fit


@pytest.fixture
def textures():
    return np.random.default_rng(5).uniform(0.2, 0.8, (4, 6, 64, 64)).astype(np.float32)


def softened(maps):
    """What a small blur leaves, 3 dB less at the finest."""
    around = sum(np.roll(maps, by, axis) for axis in (2, 3) for by in (-1, 1)) / 4
    return 0.78 * maps + 0.22 * around


def test_it_gives_back_what_a_blur_took(textures):
    sharpen = Sharpen().eval()
    soft = softened(textures)
    fit(sharpen, soft, textures)
    mended = sharpen(torch.from_numpy(soft)).numpy()
    lost, left = (np.abs(measures.spectrum(maps) - measures.spectrum(textures)) for maps in (soft, mended))
    assert lost.max() > 2.0
    assert left.max() < 0.5


def test_it_raises_no_more_than_it_may_and_nothing_coarse(textures):
    gains = fit(Sharpen().eval(), textures * 0.01, textures)
    middles, _ = measures.rings(64)
    assert gains[:, middles >= FINEST] == pytest.approx(MOST)
    assert (gains[:, middles < FINEST] == 1).all()


def test_an_even_colour_stays_as_it_is(textures):
    sharpen = Sharpen().eval()
    fit(sharpen, softened(textures), textures)
    even = torch.full((1, 6, 16, 16), 0.3)
    assert sharpen(even).numpy() == pytest.approx(0.3, abs=1e-6)


def test_a_decoder_in_training_does_not_pass_through_it(textures):
    model = Autoencoder(AutoencoderShape())
    latent, grain = torch.randn(1, 8, 4, 4), torch.randn(1, 4, 16, 16)
    before = model.eval().decoder(latent, grain)
    model.decoder.sharpen.fine.fill_(0.5)
    assert not torch.allclose(model.decoder(latent, grain), before)
    assert torch.allclose(model.train().decoder(latent, grain), before)
