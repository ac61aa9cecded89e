"""What the server promises whoever is at the other end: hostile, slow, gone, or from another age."""

import threading
import time

import msgspec
import numpy as np
import pytest
import zmq
from fakes import FakeRuntime

from cadenza.assets.refusal import Refusal
from cadenza.assets.texture import Texture
from cadenza.bridge import connect
from cadenza.bridge import messages as m
from cadenza.bridge.desk import Desk
from cadenza.bridge.protocol import MAX_FRAME_BYTES, VERSION, decode_server, encode


class Raw:
    """A client that sends what it is told."""

    def __init__(self, address, client=None):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)
        self.client = client
        if client:
            self.send(m.Hello(version=VERSION, client=client))
            assert isinstance(self.hear()[0], m.Welcome)

    def send(self, message):
        self.socket.send(encode(message))

    def hear(self, timeout=5.0):
        assert self.socket.poll(int(timeout * 1e3)), "no answer"
        header, *payload = self.socket.recv_multipart()
        return decode_server(header), payload

    def until(self, kind):
        while not isinstance((heard := self.hear())[0], kind):
            pass
        return heard

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)


def submit(request="a", **fields):
    return m.Submit(request=request, recipe={"prompt": "stone", "size": 64, **fields.pop("recipe", {})}, **fields)


def bomb(depth):
    return b"\x83\xa4type\xa6submit\xa7request\xa1x\xa6recipe\x81\xa1a" + b"\x91" * depth + b"\xc0"


HOSTILE = {
    "empty": [b""],
    "not msgpack": [b"\xc1"],
    "text": [b"GET / HTTP/1.1\r\n\r\n"],
    "no map": [b"\x93\x01\x02\x03"],
    "no type": [b"\x80"],
    "truncated": [encode(m.Submit(request="a", recipe={"prompt": "stone"}))[:-3]],
    "nested bomb": [bomb(60_000)],
    "array that claims four thousand million entries": [b"\x82\xa4type\xa6submit\xa6recipe\xdd\xff\xff\xff\xff"],
    "too many frames": [encode(m.Ping(request="a"))] * 50,
    "payload to the server": [encode(m.Ping(request="a")), b"x" * 1000],
    "over the header limit": [b"\x00" * 70_000],
    "unknown type": [msgspec.msgpack.encode({"type": "dance", "request": "q"})],
    "no text for a name": [msgspec.msgpack.encode({"type": "ping", "request": 5})],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_malformed_bytes_get_a_sentence_and_harm_nobody_else(name, address):
    with connect(address) as good, Raw(address, "hostile-client") as bad:
        before = good.texture("stone", size=64).digest
        bad.socket.send_multipart(HOSTILE[name])
        answer, _ = bad.hear()
        assert isinstance(answer, m.Failed)
        assert answer.code in ("corrupt", "type", "unknown", "missing", "too_large")
        assert answer.field
        assert answer.sentence
        bad.send(m.Ping(request="still here"))
        assert bad.hear()[0] == m.Pong(request="still here")
        assert good.texture("stone", size=64).digest == before


def test_a_thousand_random_messages_harm_nobody(address):
    random = np.random.default_rng(7)
    with connect(address) as good, Raw(address, "random-client") as bad:
        before = good.texture("stone", size=64).digest
        whole = encode(submit("fuzz"))
        for _ in range(1000):
            data = bytearray(whole if random.random() < 0.7 else random.bytes(random.integers(0, 200)))
            for place in random.integers(0, max(1, len(data)), 3):
                data[place : place + 1] = random.bytes(1)
            bad.socket.send_multipart([bytes(data)] * int(random.choice([1, 1, 1, 3])))
        assert good.texture("stone", size=64).digest == before
        assert good.stats()["clients"] >= 1


def test_a_giant_frame_cuts_only_its_sender(address):
    with connect(address) as good, Raw(address, "giant-client") as bad:
        bad.socket.send(b"\x00" * MAX_FRAME_BYTES)
        assert bad.hear()[0].code == "too_large"
        bad.socket.send(b"\x00" * (MAX_FRAME_BYTES + 1))
        assert good.texture("stone", size=64).id
        bad.send(m.Ping(request="p"))
        assert bad.hear()[0].code == "hello"  # it is a new connection
        with Raw(address, "after-giant") as again:
            again.send(m.Ping(request="p"))
            assert again.hear()[0] == m.Pong(request="p")


def test_before_hello_nothing_is_served(address, runtime):
    with Raw(address) as rude:
        rude.send(submit())
        answer, _ = rude.hear()
        assert (answer.code, answer.request) == ("hello", "a")
        assert runtime.submitted == 0


def test_another_major_version_is_refused_with_both_versions(address):
    for version, extra in (([2, 3], {}), ([2, "beta"], {}), ([2], {"client": 5})):
        with Raw(address) as old:
            hello = {"type": "hello", "version": version, "client": "from-the-future", **extra}
            old.socket.send(msgspec.msgpack.encode(hello))
            answer, _ = old.hear()
            assert answer.code == "version"
            assert "1.2" in answer.sentence
            assert ".".join(map(str, version)) in answer.sentence


def test_unknown_fields_and_a_newer_minor_version_are_taken(address):
    with Raw(address) as newer:
        hello = {"type": "hello", "version": [1, 99], "client": "newer-client", "mood": {"x": [1]}}
        newer.socket.send(msgspec.msgpack.encode(hello))
        assert isinstance(newer.hear()[0], m.Welcome)


def test_the_engines_own_bug_is_told_and_the_next_request_served(address):
    with connect(address) as game:
        with pytest.raises(Refusal, match="ZeroDivisionError") as refused:
            game.submit({"prompt": "stone", "explode": True}).result(5)
        assert refused.value.code == "internal"
        assert game.texture("stone", size=64).id


def test_a_result_that_cannot_be_told_ends_its_request_and_not_the_server(address, monkeypatch):
    def broken(texture, names=()):
        raise MemoryError("no room for the maps")

    with connect(address) as game:
        with monkeypatch.context() as patch:
            patch.setattr(Texture, "maps", broken)
            with pytest.raises(Refusal, match="no room for the maps"):
                game.submit({"prompt": "stone", "size": 64}).result(5)
        assert game.texture("stone", size=64).id


def test_an_event_that_raises_is_logged_and_the_server_goes_on(address, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("the desk's own bug")

    with connect(address) as game:
        with monkeypatch.context() as patch:
            patch.setattr(Desk, "_event", broken)
            ticket = game.submit({"prompt": "stone", "size": 64})
            with pytest.raises(TimeoutError):
                ticket.result(0.3)
        assert game.texture("stone", size=64).id
    assert "the desk's own bug" in caplog.text


def test_a_client_that_never_reads_does_not_hold_up_others_and_gets_no_more_than_its_credit(address):
    with Raw(address, "slow-reader") as slow, connect(address) as good:
        for number in range(40):
            slow.send(submit(f"r{number}", recipe={"size": 256, "seed": number}))
        began = time.monotonic()
        for seed in range(5):
            good.texture("stone", seed=seed, size=64)
        assert time.monotonic() - began < 5
        results = 0
        while slow.socket.poll(500):
            header = decode_server(slow.socket.recv_multipart()[0])
            results += isinstance(header, m.Result)
        assert results == m.Limits().results
        slow.send(m.Received(request="r0"))
        assert isinstance(slow.until(m.Result)[0], m.Result)


def test_a_client_that_reconnects_gets_its_requests_by_their_old_ids(held, serving):
    with serving(held) as address:
        with Raw(address, "reconnecting") as first:
            first.send(submit("kept"))
            first.until(m.Accepted)
        with Raw(address, "reconnecting") as second:
            second.send(submit("kept"))
            second.until(m.Accepted)
            held.release()
            header, payload = second.until(m.Result)
            assert header.request == "kept"
            assert [len(frame) for frame in payload] == [part.bytes for part in header.payload]
        with Raw(address, "reconnecting") as third:  # the result was not acknowledged: it is still there
            third.send(submit("kept"))
            assert third.until(m.Result)[0].digest == header.digest
            third.send(submit("kept", recipe={"seed": 9}))
            assert third.until(m.Failed)[0].code == "contradiction"
        assert held.submitted == 1


def test_the_client_comes_back_by_itself_after_the_server_was_restarted(serving, tmp_path, monkeypatch):
    monkeypatch.setattr("cadenza.bridge.conversation.PING_S", 0.1)
    bind = f"ipc://{tmp_path}/s"
    first, second = FakeRuntime(hold=True), FakeRuntime()
    with serving(first, bind) as address:
        game = connect(address)
        ticket = game.submit({"prompt": "stone", "size": 64})
        game.stats()
    with serving(second, bind), game:
        deadline = time.monotonic() + 10
        while not ticket.poll() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ticket.result(0).albedo.shape == (64, 64, 3)


def test_a_plan_that_takes_long_to_compile_holds_up_nobody_else(runtime, address):
    with Raw(address, "long-compiles") as slow, connect(address) as good:
        slow.send(submit("long", recipe={"slow": True}))
        for seed in range(5):
            assert good.texture("stone", seed=seed, size=64).id
        slow.send(m.Ping(request="p"))
        assert slow.hear()[0] == m.Pong(request="p")
        runtime.compiled.set()
        assert slow.until(m.Result)[0].request == "long"


def test_the_submits_of_a_client_are_answered_in_their_order(runtime, address):
    """Whatever is refused at once waits for the answer to the request before it."""
    with Raw(address, "orderly-client") as raw:
        raw.send(submit("a", recipe={"slow": True}))
        raw.send(submit("b", encoding="bmp"))
        raw.send(submit("c", recipe={"sampler": "eulerr"}))
        raw.send(submit("d"))
        raw.send(submit("e", preview=True))
        raw.send(submit("f", maps=["albido"]))
        raw.send(submit("g"))
        raw.send(m.Ping(request="all are in"))
        raw.until(m.Pong)
        runtime.compiled.set()
        answers = []
        while len(answers) < 7:
            message = raw.hear()[0]
            if isinstance(message, m.Accepted | m.Failed):
                answers.append((message.request, type(message).__name__))
        told = dict(a="Accepted", b="Failed", c="Failed", d="Accepted", e="Failed", f="Failed", g="Accepted")
        assert answers == list(told.items())


def test_accepted_comes_before_what_becomes_of_a_request(runtime, address):
    with Raw(address, "impatient-one") as raw:
        raw.send(submit("doomed", recipe={"slow": True}))
        raw.send(m.Cancel(request="doomed"))
        raw.send(submit("doomed", recipe={"slow": True}))  # once more, as after a reconnect
        raw.send(m.Ping(request="all are in"))
        raw.until(m.Pong)
        runtime.compiled.set()
        assert isinstance(raw.hear()[0], m.Accepted)
        raw.send(m.Received(request="doomed"))
        for number in range(20):
            raw.send(submit(f"r{number}"))
            assert isinstance(raw.until(m.Accepted)[0], m.Accepted)
            heard = [raw.hear()[0]]
            while not isinstance(heard[-1], m.Result):
                heard.append(raw.hear()[0])
            assert {message.request for message in heard} <= {f"r{number}", "doomed"}
            raw.send(m.Received(request=f"r{number}"))


def test_a_request_cancelled_before_it_is_accepted_is_accepted_and_then_cancelled(held, serving):
    with serving(held) as address, Raw(address, "second-thoughts") as raw:
        raw.send(submit("a", recipe={"slow": True}))
        raw.send(m.Cancel(request="a"))
        raw.send(m.Ping(request="in"))
        raw.until(m.Pong)
        held.compiled.set()
        assert [type(raw.hear()[0]) for _ in range(2)] == [m.Accepted, m.Cancelled]


def test_a_client_that_leaves_while_its_request_is_compiled_leaves_no_work(serving):
    held = FakeRuntime(hold=True)
    with serving(held) as address, Raw(address, "leaving-early") as raw, connect(address) as game:
        raw.send(submit("a", recipe={"slow": True}))
        raw.send(m.Bye())
        raw.send(m.Ping(request="gone"))
        assert raw.until(m.Failed)[0].code == "hello"
        held.compiled.set()
        deadline = time.monotonic() + 5
        while not held.cancelled and time.monotonic() < deadline:
            game.stats()
        assert (held.submitted, held.cancelled) == (1, 1)
    held = FakeRuntime(hold=True)
    with serving(held) as address, Raw(address, "at-the-end") as raw:
        raw.send(submit("a", recipe={"slow": True}))
        raw.send(m.Ping(request="in"))
        raw.until(m.Pong)
        threading.Timer(0.3, held.compiled.set).start()
    assert (held.submitted, held.cancelled) == (1, 1)


def test_requests_of_one_client_are_bounded(held, serving):
    with serving(held, limits=m.Limits(requests=3)) as address, Raw(address, "greedy-client") as greedy:
        for number in range(4):
            greedy.send(submit(f"r{number}"))
        assert greedy.until(m.Failed)[0].code == "busy"
        with connect(address) as game:
            tickets = [game.submit({"prompt": "stone", "seed": seed}) for seed in range(3)]
            with pytest.raises(Refusal, match="3 requests are unfinished"):
                game.submit({"prompt": "stone"})
            tickets[0].cancel()
            with pytest.raises(Refusal, match="cancelled"):
                tickets[0].result(5)
            game.submit({"prompt": "stone"})


def test_results_nobody_fetches_and_silent_clients_are_let_go(held, serving, monkeypatch):
    monkeypatch.setattr("cadenza.bridge.server.EXPIRE_MS", 50)
    with serving(held, limits=m.Limits(keep_s=1, clients=1)) as address:
        with Raw(address, "silent-client") as silent:
            silent.send(submit())
            silent.until(m.Accepted)
        deadline = time.monotonic() + 12
        while not held.cancelled and time.monotonic() < deadline:
            time.sleep(0.05)
        assert held.cancelled == 1
        with connect(address) as game:
            assert game.stats() is not None


def test_sixteen_clients_at_once_each_get_their_own(address):
    digests, errors = {}, []

    def play(seed):
        try:
            with connect(address, timeout=10) as game:
                digests[seed] = {game.texture("stone", seed=seed, size=64).digest for _ in range(3)}
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=play, args=(seed,)) for seed in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert all(len(found) == 1 for found in digests.values())
    assert len(set().union(*digests.values())) == 16
