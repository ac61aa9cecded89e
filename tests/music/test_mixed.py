"""A hundred requests for textures and music, and streams among them, through one server: the bits they have alone."""

import random
import threading

import pytest

from cadenza.bridge import connect
from cadenza.bridge.server import serve
from cadenza.runtime.runtime import Runtime

COUNT, STREAMS, CLIENTS = 100, 4, 4


def requests(draw):
    """Of both kinds in any order, with every dial that changes how the engine groups them."""
    found = []
    for seed in range(COUNT):
        if draw.random() < 0.35:
            found.append(
                {
                    "kind": "music",
                    "prompt": draw.choice(["tense", "calm town", "boss", "dark dungeon", "menu"]),
                    "seed": seed,
                    "bars": draw.choice([1, 1, 2]),
                    "bpm": draw.choice([150, 180, 200]),
                    "guidance": draw.choice([1.0, 2.0, 3.0]),
                    "temperature": draw.choice([0.0, 0.9, 1.1]),
                    "signature": draw.choice(["3/4", "4/4"]),
                }
            )
        else:
            steps = draw.choice([1, 2, 4])
            found.append(
                {
                    "kind": "texture",
                    "prompt": draw.choice(["moss", "wet brick", "rusty metal plate", "stone"]),
                    "seed": seed,
                    "size": draw.choice([64, 64, 128]),
                    "steps": steps,
                    **({"sampler": draw.choice(["euler", "heun", "dpmpp_2m"])} if steps == 4 else {}),
                    "guidance": draw.choice([1.0, 1.5]),
                }
            )
    return found


def streamed(game, seed):
    with game.stream("exploration, 200 bpm", seed=seed, ahead=1 + seed % 3) as music:
        music.steer("combat", bar=2).result(60)
        music.close(tail=True, bars=4)
        for _ in music:
            pass
    return music.digest


def through(threads, orders):
    """Digests by number, of clients that each ask for their part all at once, in their order."""
    bound, ready, stop, found = [], threading.Event(), threading.Event(), {}

    def announce(at):
        bound.append(at)
        ready.set()

    def ask(order, wanted, streams):
        with connect(bound[0], timeout=30) as game:
            tickets = {number: game.submit(wanted[number], priority=number % 3) for number in order}
            for seed in streams:
                found["stream", seed] = streamed(game, seed)
            for number, ticket in tickets.items():
                found[number] = ticket.result(250).digest

    wanted = requests(random.Random(5))
    with Runtime(threads=threads) as runtime:
        server = threading.Thread(
            target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=dict(ready=announce, stop=stop)
        )
        server.start()
        assert ready.wait(30)
        clients = [threading.Thread(target=ask, args=(order, wanted, streams)) for order, streams in orders]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        stop.set()
        server.join()
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_mixed_requests_have_the_bits_they_have_alone_on_any_threads_and_after_a_restart(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    wanted = requests(random.Random(5))
    assert {each["kind"] for each in wanted} == {"music", "texture"}
    with connect("inproc", threads=1) as game:
        alone = {number: game.submit(each).result().digest for number, each in enumerate(wanted)}
        alone |= {("stream", seed): streamed(game, seed) for seed in range(STREAMS)}
    assert len(set(alone.values())) > 0.9 * len(alone)  # greedy music does not hear its seed
    for threads in (1, 2):
        order = list(range(COUNT))
        random.Random(threads).shuffle(order)
        parts = [(order[k::CLIENTS], range(k, STREAMS, CLIENTS)) for k in range(CLIENTS)]
        mixed = through(threads, parts)
        assert mixed.keys() == alone.keys()
        assert [key for key in alone if mixed[key] != alone[key]] == []
