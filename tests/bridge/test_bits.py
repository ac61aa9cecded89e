"""The same bytes through the server, whatever the company, slot, order, priority and thread count, and after a restart.

The fast form serves on threads of this process, the whole one (`pytest -m slow`) in processes of their own.
"""

import random
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.bindings.figures import server
from cadenza.bridge import connect
from cadenza.runtime.bundles import embedded_bundles
from cadenza.runtime.runtime import Runtime

BACKENDS = ("onnxruntime", "openvino")
DIALS = [
    {},
    {"steps": 1},
    {"steps": 3, "sampler": "euler"},
    {"steps": 4, "sampler": "dpmpp_2m", "spacing": "karras", "guidance": 3.0},
    {"steps": 4, "sampler": "euler_ancestral", "noise": "brownian"},
    {"steps": 2, "sampler": "heun", "variation_seed": 9, "variation_strength": 0.3},
]
SIZES = [64, 128, (64, 128)]


def pool(word):
    """Different requests: every dial at every size, and seeds that share all the rest."""
    asked = [{"prompt": word, "seed": 7, "size": size, **dials} for dials in DIALS for size in SIZES]
    return asked + [{"prompt": word, "seed": seed, "size": 64, "steps": 4} for seed in range(6)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))


def alone(game, requests):
    return [game.submit(request).result(60).digest for request in requests]


def mixed(games, requests, expected, mixes, seed):
    """Random companies on random servers; says how many requests were compared."""
    draw, compared = random.Random(seed), 0
    for mix in range(mixes):
        chosen = draw.choices(range(len(requests)), k=draw.randint(2, 9))  # with repeats, which are joined
        clients = draw.choice(games)
        tickets = [(i, draw.choice(clients).submit(requests[i], priority=draw.choice([0, 0, 0, 1, 5]))) for i in chosen]
        for i, ticket in draw.sample(tickets, len(tickets)):
            assert ticket.result(60).digest == expected[i], f"mix {mix} of seed {seed}: {requests[i]} among {chosen}"
            compared += 1
    return compared


def shared_calls(game):
    """Model evaluations that were made together with others."""
    told = game.stats()
    return told["evaluations"] - (told["ticks"] - told["done"] + told["joined"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_bytes_in_random_companies_with_one_thread_and_with_two(backend, serving, tmp_path, home):
    folder, requests = toy.write(tmp_path / "toy").folder, pool("stone")
    with ExitStack() as all_of:
        games = []
        for threads in (1, 2):
            address = all_of.enter_context(serving(all_of.enter_context(Runtime([folder], backend, threads))))
            games.append([all_of.enter_context(connect(address)) for _ in range(2)])
        expected = alone(games[0][0], requests)
        assert alone(games[1][0], requests) == expected
        assert len(set(expected)) == len(requests)
        assert mixed(games, requests, expected, 20, seed=1) > 60
        assert all(shared_calls(clients[0]) > 0 for clients in games), "no call was shared: nothing was tried"


def test_the_same_bytes_after_the_server_process_was_ended_and_started_again(tmp_path, home):
    folder, requests = toy.write(tmp_path / "toy").folder, pool("stone")[:6]
    digests = []
    for number in (signal.SIGTERM, signal.SIGKILL):  # however it ended
        with server(folder, "onnxruntime") as (address, process):
            with connect(address, timeout=30) as game:
                digests.append(alone(game, requests))
            process.send_signal(number)
            process.wait(10)
    assert digests[0] == digests[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)  # seconds; a minute or two where nothing else runs
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bundle", ["toy", "embedded"])
def test_the_same_bytes_in_200_random_companies_and_after_a_restart(bundle, backend, tmp_path, home):
    if bundle == "embedded" and not embedded_bundles():
        pytest.skip("this build has no embedded bundle")
    folder = toy.write(tmp_path / "toy").folder if bundle == "toy" else embedded_bundles()[0]
    requests, expected, compared = pool("stone"), None, 0
    for seed in range(2):  # the second time after a restart
        with ExitStack() as all_of:
            games = []
            for threads in (1, 2):
                address, _ = all_of.enter_context(server(folder, backend, threads))
                games.append([all_of.enter_context(connect(address, timeout=60)) for _ in range(2)])
            expected = expected or alone(games[0][0], requests)
            assert alone(games[1][0], requests) == expected
            compared += mixed(games, requests, expected, 100, seed)
            assert all(shared_calls(clients[0]) > 0 for clients in games)
    assert compared > 800
