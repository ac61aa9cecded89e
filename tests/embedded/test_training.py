"""Trainings: a budget that ends, checkpoints that survive, and what is to stay as it is."""

import pytest
import torch

from cadenza.assets.refusal import Refusal
from cadenza.exporters.embedded import build, train_decoder
from cadenza.exporters.embedded.dataset import Dataset
from cadenza.exporters.embedded.networks import Autoencoder, AutoencoderShape, MPConv
from cadenza.exporters.embedded.training import Run, averaged, store

SMALL = AutoencoderShape(latent=4, encoder=(16, 16), decoder=(16, 16, 16), blocks=(1, 1, 1))
SHORT = 0.004
"""Minutes, in which some turns are made."""


def turn(folder):
    torch.manual_seed(0)
    model = MPConv(3, 2, 0)
    run = Run(folder, {"model": model}, SHORT, batch=8)
    for note in run.steps():
        loss = model(torch.ones(4, 3)).square().mean()
        run.update("model", loss)
        note({"loss": float(loss.detach())})
    return run


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    first, second = turn(tmp_path), turn(tmp_path)
    assert 0 == first.begun < first.images == second.begun < second.images
    kept = averaged(tmp_path, "model", MPConv(3, 2, 0))
    assert torch.equal(kept.weight, second.averages["model"].weight)
    assert not torch.equal(kept.weight, first.averages["model"].weight)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_a_budget_that_would_never_end_is_refused(tmp_path, minutes):
    with pytest.raises(Refusal, match="minutes"):
        Run(tmp_path, {}, minutes)


def test_who_is_stopped_while_writing_has_the_checkpoint_before(tmp_path, monkeypatch):
    store({"images": 1}, tmp_path / "state.pt")

    def stopped(state, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        store({"images": 2}, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == {"images": 1}


@pytest.mark.parametrize("begin", [1, 11])
def test_a_short_build_gives_every_training_some_time_and_writes_where_it_is_told(tmp_path, monkeypatch, begin):
    calls = []
    monkeypatch.setattr(build, "stage", lambda *arguments: calls.append(arguments))
    build.main(1.0, tmp_path / "out", tmp_path / "bundle", begin=begin)
    minutes = [float(call[call.index("--minutes") + 1]) for call in calls if "--minutes" in call]
    assert len(minutes) == len(build.STAGES) - begin + 1
    assert min(minutes) > 0
    assert sum(share for _, share, _ in build.STAGES) == pytest.approx(1)
    assert all(str(tmp_path / "out") in call for call in calls)


def test_a_training_of_the_decoder_leaves_the_encoder_that_latents_came_from(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    monkeypatch.setattr(train_decoder, "AutoencoderShape", lambda: SMALL)
    torch.manual_seed(0)
    raw, average = Autoencoder(SMALL).state_dict(), Autoencoder(SMALL).state_dict()
    store({"images": 1000, "autoencoder": raw, "autoencoder.average": average}, tmp_path / "state.pt")
    maps = torch.randint(256, (4, 6, 64, 64), dtype=torch.uint8).numpy()
    data = Dataset(maps, torch.zeros(4, 44).numpy(), torch.ones(4, dtype=torch.bool).numpy())
    train_decoder.train(tmp_path, data, SHORT, batch=2)
    after = averaged(tmp_path, "autoencoder", Autoencoder(SMALL)).state_dict()
    moved = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, average[name])}
    assert moved == {"decoder"}
