"""Refusals as exceptions: they can be kept, raised again and handed on to another process."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from cadenza.assets.refusal import Corrupt, OutOfRange, Refusal, Unknown, WrongType, alone
from cadenza.bridge.game import ReplayDiffers
from cadenza.runtime.noise import check_seed

REFUSALS = [
    Refusal("busy", "request", "4096 requests are waiting", "wait"),
    Unknown("sampler", "eular", ["euler", "heun"]),
    OutOfRange("size", 0, "16 to 512", "give one of them"),
    WrongType("seed", "x", "a whole number"),
    Corrupt("files.step.onnx", "differs"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
@pytest.mark.parametrize("way", [copy.copy, lambda each: pickle.loads(pickle.dumps(each)), Refusal.afresh])
def test_one_that_was_kept_or_handed_on_is_the_same(refusal, way):
    other = way(refusal)
    assert type(other) is type(refusal)
    assert (str(other), other.__dict__) == (str(refusal), refusal.__dict__)


def test_one_that_is_raised_afresh_leaves_the_kept_one_without_frames():
    kept = Refusal("busy", "request", "is full")
    with pytest.raises(Refusal, match="is full"):
        raise kept.afresh()
    assert kept.__traceback__ is None


def test_a_replay_that_differs_keeps_what_came():
    class Made:
        digest = "1234"

    differs = ReplayDiffers(Made(), "5678").afresh()
    assert (differs.texture.digest, differs.expected) == ("1234", "5678")


def test_a_pool_of_processes_tells_why_and_lives_on():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.raises(OutOfRange, match="seed: -1 is out of range"):
            pool.submit(check_seed, -1).result(60)
        assert pool.submit(len, "abc").result(60) == 3


@pytest.mark.parametrize("error", [Refusal("busy", "request", "is full"), ZeroDivisionError("deep")])
def test_what_is_kept_has_no_frames_and_what_nobody_meant_is_logged(error, caplog):
    with pytest.raises(type(error)) as caught:
        raise error
    assert alone(caught.value) is error
    assert error.__traceback__ is None
    assert [record.exc_info[1] for record in caplog.records] == ([] if isinstance(error, Refusal) else [error])
