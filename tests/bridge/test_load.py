"""A real runtime behind a server: a thousand requests wait, all are cancelled, clients vanish, it is stopped while it works."""

import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
from test_server import Raw, submit

from cadenza.assets.refusal import Refusal
from cadenza.bindings.figures import server
from cadenza.bridge import connect
from cadenza.bridge import messages as m
from cadenza.runtime.runtime import Runtime


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A runtime whose every call takes 5 ms."""
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    with Runtime([toy.write(tmp_path / "toy").folder], "null:5") as runtime:
        yield runtime


def asked(seed, **dials):
    return {"prompt": "stone", "seed": seed, "size": 64, "steps": 4, **dials}


def test_an_urgent_request_passes_a_thousand_that_wait_and_all_of_them_can_be_cancelled(slow, serving):
    with serving(slow) as address, ExitStack() as all_of:
        games = [all_of.enter_context(connect(address)) for _ in range(4)]
        waiting = [games[seed % 4].submit(asked(seed)) for seed in range(1000)]
        assert games[0].stats()["unfinished"] > 900
        urgent = games[0].submit(asked(5000), priority=50)
        urgent.result(20)
        assert slow.stats()["unfinished"] > 500, "what waited was to wait"
        began = time.monotonic()
        for ticket in waiting:
            ticket.cancel()
        ended = []
        for ticket in waiting:
            try:
                ticket.result(20)
            except Refusal as refusal:
                ended.append(refusal.code)
        assert set(ended) == {"cancelled"}
        assert len(ended) > 500
        assert time.monotonic() - began < 10
        assert slow.stats()["unfinished"] == 0
        assert games[1].submit(asked(6000)).result(20).id


def test_clients_that_vanish_in_the_middle_of_their_requests_harm_nobody(slow, serving):
    with serving(slow, limits=m.Limits(keep_s=300)) as address, connect(address) as game:
        digest = game.submit(asked(1)).result(20).digest
        for number in range(10):
            with Raw(address, f"vanishing-client-{number}") as gone:
                for row in range(5):
                    gone.send(submit(f"r{row}", recipe=asked(100 * number + row)))
                if number % 2:
                    gone.until(m.Accepted)
        assert game.submit(asked(1), priority=1).result(20).digest == digest


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX here")
def test_a_server_is_gone_within_two_seconds_while_hundreds_wait(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    folder = toy.write(tmp_path / "toy").folder
    with server(folder, "onnxruntime", 1) as (address, process), connect(address, timeout=30) as game:
        for seed in range(200):
            game.submit(asked(seed, size=512))
        assert game.stats()["unfinished"] > 100
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2
