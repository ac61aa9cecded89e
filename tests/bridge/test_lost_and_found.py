"""Whoever waits hears how it ended: results that have no room, connections and servers that go, clients that are turned away."""

import asyncio
import time

import msgspec
import numpy as np
import pytest
from desks import Prompt, Table
from fakes import FakeRuntime

from cadenza.assets.refusal import Refusal
from cadenza.bridge import aio, connect
from cadenza.bridge import messages as m
from cadenza.bridge.conversation import PATIENCE_S, PING_S, Conversation
from cadenza.bridge.inproc import InprocGame
from cadenza.bridge.payload import pack_arrays
from cadenza.bridge.pending import Pending
from cadenza.bridge.protocol import LIMITS, VERSION, encode
from cadenza.runtime.pictures import digest_of
from cadenza.runtime.work import Work

WELCOME = m.Welcome(version=VERSION, server="tests", limits=LIMITS, encodings=["raw"], bundles=[])
TEXTURE_BYTES = 64 * 64 * 10


def submit(request, **recipe):
    return m.Submit(request=request, recipe={"prompt": "stone", "size": 64, **recipe})


def kinds(messages):
    return [type(message).__name__ for message in messages]


def heard(talk, message):
    talk.receive([encode(message)])


def said(talk):
    """Types of what the client has to say, which is then said."""
    types = [msgspec.msgpack.decode(frames[0])["type"] for frames in talk.outgoing]
    talk.outgoing.clear()
    return types


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def talk(clock):
    """A client that has been welcomed and has said all it had to."""
    talk = Conversation(lambda: clock[0])
    heard(talk, WELCOME)
    said(talk)
    return talk


def test_a_result_without_room_that_was_not_sent_is_told_and_the_others_come():
    table = Table(limits=m.Limits(results=1, keep_bytes=2 * TEXTURE_BYTES + 5000))
    table.greet()
    for seed in range(4):
        table.now = seed
        table.say(submit(f"r{seed}", seed=seed))
    table.desk.expire()
    ended, answers = {}, table.hear()
    while answers:
        for answer in answers:
            if isinstance(answer, m.Result | m.Failed):
                ended[answer.request] = answer
                table.say(m.Received(request=answer.request))
        answers = table.hear()
    assert kinds(ended[f"r{seed}"] for seed in range(4)) == ["Result", "Failed", "Result", "Result"]
    assert (ended["r1"].code, ended["r1"].request) == ("forgotten", "r1")
    assert "submit it again" in ended["r1"].remedy


def test_a_client_that_acknowledges_nothing_is_sent_no_more_because_results_were_let_go():
    table = Table(limits=m.Limits(results=2, keep_bytes=0))
    table.greet()
    for seed in range(5):
        table.say(submit(f"r{seed}", seed=seed))
        table.desk.expire()
    assert kinds(table.hear()).count("Result") == 2


def test_what_was_let_go_is_made_anew_for_a_client_that_comes_back():
    table = Table(limits=m.Limits(results=1, keep_bytes=0))
    table.greet()
    table.say(submit("sent"))
    table.say(submit("not sent", seed=1))
    first = table.hear()[1]
    table.desk.expire()
    table.greet(route=b"second")
    table.say(submit("not sent", seed=1), b"second")
    table.say(submit("sent"), b"second")
    assert kinds(table.hear(b"second")) == ["Accepted", "Result", "Accepted"]
    table.say(m.Received(request="not sent"), b"second")
    assert table.hear(b"second") == [first]
    assert table.runtime.submitted == 4


def test_a_result_waits_for_credit_for_as_long_as_its_client_is_there_and_does_not_outlive_a_lost_acknowledgement():
    table = Table(limits=m.Limits(results=1))
    table.greet()
    table.say(submit("r1"))
    table.say(submit("r2"))
    for table.now in range(0, 2000, 100):
        table.say(m.Ping(request="p"))
        table.desk.expire()
    table.hear()
    table.say(m.Received(request="r1"))
    assert [answer.request for answer in table.hear()] == ["r2"]
    table.greet(route=b"second")  # with the connection `received` of r2 was lost: nobody asks for it again
    session = table.desk.routes[b"second"]
    for table.now in range(2000, 2400, 50):
        assert ("r2" in session.requests) == (table.now <= 2250)
        table.say(m.Ping(request="p"), b"second")
        table.desk.expire()


def test_room_for_arrays_is_looked_for_among_those_that_brought_some_and_a_client_that_goes_leaves_it():
    array = np.zeros((8, 8, 3), np.uint8)
    parts, frames = pack_arrays({digest_of(array): array})
    table = Table(FakeRuntime(hold=True), m.Limits(arrays_bytes=array.nbytes))
    table.greet()
    for number in range(20):
        table.say(submit(f"plain-{number}"))
    shown = m.Submit(request="shown", recipe={"prompt": "stone", "image": digest_of(array)}, payload=parts)
    table.say(shown, payload=frames)
    assert kinds(table.hear()) == ["Accepted"] * 21
    assert [entry.submit.request for entry in table.desk.bringing] == ["shown"]
    table.greet("another-client", b"second")
    table.say(shown, b"second", frames)
    assert [told.code for told in table.hear(b"second")] == ["busy"]
    table.say(m.Bye())
    table.runtime.works.clear()
    end = time.monotonic() + 5
    while len(table.desk.bringing) and time.monotonic() < end:  # the runtime tells of the end on a thread of its own
        time.sleep(0.001)
    table.say(shown, b"second", frames)
    assert kinds(table.hear(b"second")) == ["Accepted"]


def test_a_request_that_the_server_does_not_know_has_ended_and_the_end_of_one_that_has_is_no_news(talk):
    lost, done = talk.submit({"prompt": "stone"}), talk.submit({"prompt": "moss"})
    heard(talk, m.Cancelled(request=done.message.request))
    outcome = done.outcome
    for pending in (lost, done):
        talk.cancel(pending)
        told = dict(code="unknown", field="request", sentence="is not known here")
        heard(talk, m.Failed(request=pending.message.request, **told))
    assert lost.outcome.code == "unknown"
    assert done.outcome is outcome


def test_a_submit_that_is_refused_in_its_turn_is_not_unknown_when_it_is_cancelled_before():
    table = Table(hold=True)
    table.greet()
    table.say(submit("long", sampler="lcm"))
    table.say(m.Submit(request="wrong", recipe={"prompt": "stone"}, encoding="bmp"))
    table.say(m.Cancel(request="wrong"))
    table.work()
    assert [answer.field for answer in table.hear() if isinstance(answer, m.Failed)] == ["encoding"]


def test_a_frame_loop_hears_that_the_server_is_gone(held, serving, monkeypatch):
    monkeypatch.setattr("cadenza.bridge.conversation.PING_S", 0.02)
    monkeypatch.setattr("cadenza.bridge.conversation.PATIENCE_S", 0.2)
    with serving(held) as address:
        game = connect(address)
        ticket = game.submit({"prompt": "stone", "size": 64})
        game.stats()
    end = time.monotonic() + 10
    while not ticket.poll():
        assert time.monotonic() < end
    with pytest.raises(Refusal, match="has been silent") as lost:
        ticket.result()
    assert lost.value.code == "lost"
    game.close()


def test_a_server_that_is_given_up_may_be_asked_again(talk, clock):
    first = talk.submit({"prompt": "stone"})
    for clock[0] in (PING_S + 1, PING_S + PATIENCE_S + 2):
        talk.tick()
        talk.check_alive()
    assert first.outcome.code == "lost"
    second = talk.submit({"prompt": "stone"})
    talk.tick()
    talk.check_alive()
    assert not second.done


def test_after_a_reconnect_nothing_is_said_of_what_is_open_before_the_welcome_and_then_all_of_it(talk):
    ticket, stream = talk.submit({"prompt": "stone"}), talk.stream(recipe={"prompt": "tense"})
    said(talk)
    heard(talk, m.Failed(request="ping", code="hello", field="type", sentence="has not said hello"))
    talk.cancel(ticket)
    talk.tell(stream.take(3))
    talk.steer(stream, {"intensity": 0.5}, None)
    assert said(talk) == ["hello"]
    heard(talk, WELCOME)
    assert said(talk) == ["submit", "cancel", "open", "taken", "steer"]


def test_a_server_of_another_version_after_a_reconnect_is_told(talk):
    for answer in (
        m.Failed(code="version", field="version", sentence="this side speaks protocol 2.0, the other 1.2"),
        msgspec.structs.replace(WELCOME, version=(2, 0)),
    ):
        pending = talk.submit({"prompt": "stone"})
        heard(talk, m.Failed(request="ping", code="hello", field="type", sentence="has not said hello"))
        heard(talk, answer)
        assert pending.outcome.code == "version"


def test_a_server_that_is_full_after_a_reconnect_is_asked_again_and_given_up_after_a_while(talk, clock):
    full = m.Failed(code="busy", field="client", sentence="256 clients are connected", remedy="try again later")
    unknown = m.Failed(request="ping", code="hello", field="type", sentence="has not said hello")
    for patient in (True, False):
        pending = talk.submit({"prompt": "stone"})
        heard(talk, unknown)
        said(talk)
        began = clock[0]
        while clock[0] - began < (PATIENCE_S / 2 if patient else 2 * PATIENCE_S):
            heard(talk, full)
            clock[0] += PING_S + 0.1
            talk.tick()
            talk.check_alive()
            assert pending.done or said(talk) == ["hello"]
        assert pending.done != patient
        if patient:
            heard(talk, WELCOME)
            assert said(talk) == ["submit"]
            heard(talk, m.Cancelled(request=pending.message.request))
    assert (pending.outcome.code, pending.outcome.field) == ("busy", "client")


def test_asyncio_ends_what_is_awaited_when_it_is_closed_and_is_closed_in_words(held, serving):
    async def session(address):
        game = await aio.connect(address)
        ticket = await game.submit({"prompt": "stone", "size": 64})
        waiting = asyncio.create_task(ticket.result())
        await game.stats()
        await game.close()
        for awaited in (waiting, game.texture("stone"), game.stats(), game.stream("tense")):
            with pytest.raises(Refusal) as refused:
                await asyncio.wait_for(awaited, 5)
            assert refused.value.code == "closed"

    with serving(held) as address:
        asyncio.run(session(address))


class Songs(FakeRuntime):
    def describe(self):
        named = [("stone", "texture", "00"), ("song", "music", "11")]
        return {"bundles": [dict(name=name, kind=kind, digest=digest) for name, kind, digest in named]}


@pytest.mark.parametrize("bundle", ["song", "11"])
def test_parts_and_encodings_are_those_of_the_bundle_where_no_kind_is_said(bundle):
    runtime, recipe = Songs(hold=True), {"bundle": bundle, "prompt": "stone"}
    table = Table(runtime)
    table.greet()
    with InprocGame(runtime, owned=False) as game:
        for terms, field in ((dict(encoding="png"), "encoding"), (dict(maps=["albedo"]), "maps")):
            table.say(m.Submit(request=field, recipe=recipe, **terms))
            assert [answer.field for answer in table.hear()] == [field]
            with pytest.raises(Refusal) as refused:
                game.submit(recipe, **terms)
            assert refused.value.field == field
        table.say(m.Submit(request="audio", recipe=recipe, maps=["audio"]))
        assert kinds(table.hear()) == ["Accepted"]
        assert not game.submit(recipe, maps=["audio"]).poll()


def test_a_connection_is_one_clients():
    table = Table()
    table.greet("first-client")
    (refused,) = table.greet("second-client")
    assert (refused.code, refused.field) == ("contradiction", "client")
    assert [*table.desk.sessions] == ["first-client"]
    assert kinds(table.greet("first-client")) == ["Welcome"]


def test_an_array_that_the_recipe_does_not_name_is_refused():
    array = np.arange(4, dtype=np.uint8)
    parts, frames = pack_arrays({digest_of(array): array})
    table = Table(Prompt(hold=True))
    table.greet()
    for request, recipe in (("named", {"image": digest_of(array)}), ("not", {})):
        asked = m.Submit(request=request, recipe={"prompt": "stone", **recipe}, payload=parts)
        table.say(asked, payload=frames)
    accepted, refused = table.hear()
    assert isinstance(accepted, m.Accepted)
    assert (refused.code, refused.field, refused.request) == ("contradiction", "payload", "not")


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, "3", None, True])
def test_a_time_that_is_none_is_refused(timeout):
    with pytest.raises(Refusal) as refused:
        connect("tcp://127.0.0.1:9", timeout=timeout)
    assert refused.value.field == "timeout"
    with pytest.raises(Refusal, match="timeout"):
        asyncio.run(aio.connect("tcp://127.0.0.1:9", timeout=timeout))


@pytest.mark.parametrize("keys", [(b"short", b"short", b"short"), (b"x" * 40,), "no keys", (None, None, None)])
def test_keys_that_are_none_are_refused_without_being_repeated(runtime, serving, keys):
    from cadenza.bridge.server import serve

    for refused in (
        lambda: connect("tcp://127.0.0.1:9", timeout=0.2, keys=keys),
        lambda: serve(runtime, "tcp://127.0.0.1:*", keys=keys[:2]),
        lambda: asyncio.run(aio.connect("tcp://127.0.0.1:9", timeout=0.2, keys=keys)),
    ):
        with pytest.raises(Refusal, match="CURVE keys, of 40") as found:
            refused()
        assert found.value.field == "keys"
        assert "short" not in str(found.value)


def test_the_other_loopback_address_is_served(runtime, serving):
    import socket

    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(runtime, "tcp://[::1]:*") as address, connect(address) as game:
        assert address.startswith("tcp://[::1]:")
        assert game.texture("stone", size=64).id


def test_what_was_silent_while_nothing_was_asked_ends_nothing(talk, clock):
    """A game that did not poll for a minute, and whose server was busy then, is heard when it asks."""
    talk.receive([encode(m.Failed(request="", code="hello", field="type", sentence="who", remedy="say hello"))])
    talk.receive([encode(m.Failed(request="", code="busy", field="client", sentence="many", remedy="later"))])
    clock[0] += 100.0
    pending = talk.submit({"kind": "texture", "prompt": "stone"})
    talk.tick()
    talk.check_alive()
    assert not pending.done


@pytest.mark.parametrize("ask", [Pending.value, Work.wait])
def test_who_asks_again_and_again_how_it_ended_is_told_the_same(ask):
    """A refusal that is raised keeps the frames it went through."""
    refusal, lengths = Refusal("diverged", "sampler", "the model's output is not finite", "take another"), []
    if ask is Pending.value:
        asked = Pending(None)
        asked.end(refusal)
    else:
        asked = Work("w1", None, (), 1, 0, 0.0, lambda work: None)
        asked.end("failed", error=refusal)
    for _ in range(5):
        with pytest.raises(Refusal) as raised:
            ask(asked)
        lengths.append(len(raised.traceback))
        assert raised.value.__dict__ == refusal.__dict__
    assert len(set(lengths)) == 1
