"""Memory: what a game has let go of is given back at once, without waiting for the collector of cycles, which comes seldom."""

import asyncio
import gc
import logging
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.refusal import Refusal
from cadenza.assets.texture import Texture
from cadenza.bridge import aio, connect
from cadenza.bridge.inproc import InprocGame
from cadenza.bridge.pending import Pending
from cadenza.bridge.session import Entry
from cadenza.runtime.flight import Flight
from cadenza.runtime.runtime import Runtime
from cadenza.runtime.work import Work

IMAGE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime([toy.write(tmp_path_factory.mktemp("toy")).folder], "onnxruntime") as made:
            yield made


@pytest.fixture(params=["inproc", "socket"])
def game(request, real, serving):
    if request.param == "inproc":
        yield InprocGame(real, owned=False)
    else:
        with serving(real) as address, connect(address) as game:
            yield game


def asked(seed, **more):
    return {"prompt": "stone", "seed": seed, "size": 64, **more}


@contextmanager
def given_back(kind, but=0):
    """All objects of a kind that were made inside are gone soon after, all but so many."""
    gc.collect()
    gc.disable()
    try:
        before = {id(each) for each in gc.get_objects() if type(each) is kind}
        yield
        end = time.monotonic() + 5
        while len(left := [each for each in gc.get_objects() if type(each) is kind and id(each) not in before]) > but:
            assert time.monotonic() < end, f"{len(left)} are left: {gc.get_referrers(left[0])}"[:2000]
            del left
            time.sleep(0.01)
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [Texture, Pending, Flight, Work, Entry])
def test_what_was_made_is_held_by_nobody_but_the_caller(game, kind):
    with given_back(kind, but=2 if kind is Texture else 0):  # of the last one the digest may be asked for
        for seed in range(5):
            game.submit(asked(seed)).result(20)
        for encoding in ("png", "dds"):
            game.submit(asked(0), encoding=encoding).result(20)
        for ticket in [game.submit(asked(7)) for _ in range(3)]:
            ticket.result(20)
        del ticket


@pytest.mark.parametrize("kind", [Pending, Flight, Work, Entry])
def test_what_was_refused_or_cancelled_is_held_by_nobody(game, kind):
    with given_back(kind):
        for wrong in ({"steps": 0}, {"image": IMAGE, "denoise": 7.0}, {"image": IMAGE, "size": 128, "denoise": 0.5}):
            with pytest.raises(Refusal):
                game.submit(asked(1, **wrong)).result(20)
        for seed in range(5):
            ticket = game.submit(asked(seed))
            ticket.cancel()
            with suppress(Refusal):  # "cancelled", unless it was done first
                ticket.result(20)
        del ticket


def test_the_picture_of_a_request_that_has_ended_is_not_kept_for_it(real, serving):
    with serving(real) as address, connect(address) as game:
        ticket = game.submit(asked(3, image=IMAGE, denoise=0.5))
        assert ticket._pending.payload
        with pytest.raises(Refusal, match="image"):  # the toy bundle has no encoder
            ticket.result(20)
        assert not ticket._pending.payload


def test_with_asyncio_too(real, serving):
    async def play(address):
        game = await aio.connect(address)
        for seed in range(5):
            await (await game.submit(asked(seed)))
        await game.close()

    with serving(real) as address, given_back(Pending):
        asyncio.run(play(address))


def test_an_error_that_nobody_meant_is_in_the_log_with_where_it_came_from(real, serving, caplog, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("somewhere deep")

    with serving(real) as address, connect(address) as game, caplog.at_level(logging.ERROR, "cadenza"):
        monkeypatch.setattr(Flight, "begin", fails)
        with pytest.raises(Refusal, match="somewhere deep") as refused:
            game.submit(asked(4)).result(20)
        assert refused.value.code == "internal"
    (record,) = caplog.records
    assert "in fails" in caplog.text
    assert record.exc_info[0] is ZeroDivisionError
