"""The client's promises, over a real socket and in process."""

import asyncio
import sys
import time
import types

import msgspec
import numpy as np
import pytest
from fakes import FakeRuntime

from cadenza.assets.refusal import Corrupt, Refusal
from cadenza.bridge import ReplayDiffers, aio, connect
from cadenza.bridge.conversation import Conversation
from cadenza.bridge.inproc import InprocGame
from cadenza.bridge.payload import pack, unpack

RECIPE = {"kind": "texture", "prompt": "mossy stone", "seed": 7, "size": 64}


@pytest.fixture(params=["socket", "inproc"])
def game(request, runtime, serving):
    if request.param == "inproc":
        with InprocGame(runtime, owned=False) as game:
            yield game
    else:
        with serving(runtime) as address, connect(address) as game:
            yield game


def test_a_texture_arrives_whole_and_the_same_every_time(game):
    first, second = (game.texture("mossy stone", seed=7, size=64) for _ in range(2))
    assert first.albedo.shape == (64, 64, 3)
    assert first.height.shape == (64, 64)
    assert first.albedo.dtype == np.uint8
    assert first.digest == second.digest
    assert first.digest != game.texture("mossy stone", seed=8, size=64).digest
    assert first.recipe["seed"] == 7
    assert tuple(first.ignored) == ("shiny",)


def test_numpys_single_numbers_are_numbers_at_any_depth(game):
    asked = {"prompt": "stone", "seed": np.int64(7), "size": np.array(64), "modifiers": {"moss": [np.float32(0.5)]}}
    made = game.submit({"kind": "texture", **asked}, priority=np.int8(1)).result(5)
    assert made.recipe == {"kind": "texture", "prompt": "stone", "seed": 7, "size": 64, "modifiers": {"moss": [0.5]}}
    assert {type(made.recipe[name]) for name in ("seed", "size")} == {int}
    assert type(made.recipe["modifiers"]["moss"][0]) is float


def test_a_refusal_keeps_its_code_field_sentence_and_remedy(game):
    with pytest.raises(Refusal) as refused:
        game.texture("stone", sampler="lcmm")
    error = refused.value
    assert (error.code, error.field) == ("unknown", "sampler")
    assert "'lcmm' is not known" in error.sentence
    assert "did you mean 'lcm'" in error.remedy
    assert game.texture("stone", size=64).albedo.shape[0] == 64


def test_replay_makes_it_again_and_tells_when_it_differs(game):
    texture = game.texture("stone", seed=1, size=64)
    assert game.replay(texture).digest == texture.digest
    assert game.replay(texture.id).digest == texture.digest
    with pytest.raises(Refusal, match="no digest of 0000"):
        game.replay("0" * 64)
    with pytest.raises(ReplayDiffers) as differs:
        game.replay({"recipe": texture.recipe, "digest": "0" * 64})
    assert differs.value.texture.digest == texture.digest


def test_an_answer_that_is_there_before_submit_returns_can_be_replayed_by_its_id(address, monkeypatch):
    with connect(address) as game:
        pump = game.pump
        with monkeypatch.context() as patch:
            patch.setattr(game, "pump", lambda _: [pump(0.05) for _ in range(10)])
            ticket = game.submit(RECIPE)
        assert ticket._pending.done
        texture = ticket.result()
        assert game.replay(texture.id).digest == texture.digest


def test_describe_and_stats_answer(game):
    assert game.describe()["bundles"][0]["name"] == "fake"
    assert "done" in game.stats()


def test_previews_and_unknown_encodings_are_refused_by_name(game):
    for terms, field in (({"preview": True}, "preview"), ({"encoding": "bmp"}, "encoding")):
        with pytest.raises(Refusal) as refused:
            game.submit(RECIPE, **terms).result(5)
        assert refused.value.field == field


def test_polling_never_waits_and_result_times_out(held, serving):
    with serving(held) as address, connect(address) as game:
        ticket = game.submit(RECIPE, priority=1, deadline_ms=200)
        spent = []
        for _ in range(100):
            began = time.perf_counter()
            assert not ticket.poll()
            spent.append(time.perf_counter() - began)
        assert sorted(spent)[90] < 1e-3
        with pytest.raises(TimeoutError, match="goes on"):
            ticket.result(0.05)
        held.release()
        assert ticket.result(5).albedo.shape == (64, 64, 3)
        assert ticket.progress == (4, 4)
        assert ticket.expected_ms == 1.5


def test_a_cancelled_request_ends_as_a_refusal(held, serving):
    with serving(held) as address, connect(address) as game:
        ticket = game.submit(RECIPE)
        ticket.cancel()
        with pytest.raises(Refusal, match="cancelled"):
            ticket.result(5)
        assert held.cancelled == 1


def test_asyncio_cancels_what_nobody_has_a_ticket_of(held, serving):
    async def session(address):
        async with await aio.connect(address) as game:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(game.texture("stone", size=64), 0.1)
            await game.stats()  # what was said before is done by then
            assert held.cancelled == 1
            ticket = await game.submit(RECIPE)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ticket.result(), 0.1)
            await game.stats()
            assert held.cancelled == 1, "a ticket goes on until it is cancelled"

    with serving(held) as address:
        asyncio.run(session(address))


def test_closing_cancels_what_is_open(held, serving):
    with serving(held) as address:
        with connect(address) as game:
            game.submit(RECIPE)
            game.stats()  # the server has it by now
        deadline = time.monotonic() + 5
        while not held.cancelled and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held.cancelled == 1
        with pytest.raises(Refusal, match="closed"):
            game.texture("stone")


def test_nobody_there_is_one_sentence_within_the_time():
    began = time.monotonic()
    with pytest.raises(Refusal, match=r"nobody answered at tcp://127.0.0.1:9 within 0.2 s"):
        connect("tcp://127.0.0.1:9", timeout=0.2)
    assert time.monotonic() - began < 1.5
    for wrong in ("nonsense", "tcp://", "http://x"):
        with pytest.raises(Refusal, match="address"):
            connect(wrong, timeout=0.2)


def test_a_recipe_that_is_too_large_is_refused_before_it_is_sent(address):
    with connect(address) as game:
        with pytest.raises(Refusal, match="exceeds the server's limit of 65536"):
            game.submit({"prompt": "x" * 70_000})
        assert game.texture("stone", size=64).id


def test_what_msgpack_cannot_say_is_refused_in_words(address):
    with connect(address) as game:
        for wrong in ({"prompt": "stone", "seed": 2**70}, {"prompt": {1: {object()}}}):
            with pytest.raises(Refusal):
                game.submit(wrong).result(5)


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (None, "type", "recipe"),
        ("brick", "type", "recipe"),
        ({"prompt": "stone", "seed": 2**70}, "out_of_range", "seed"),
        ({"prompt": "half \ud800"}, "type", "prompt"),
        ({"prompt": "stone", "guidance": np.ones(4)}, "type", "guidance"),
        ({"prompt": "stone", "image": {"prompt": "stone", "seed": 2**70}}, "out_of_range", "image.seed"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_field(address, asked, code, field):
    with connect(address) as game, pytest.raises(Refusal) as refused:
        game.submit(asked)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_maps_are_names_from_anything_that_lists_them(game):
    asked = {"prompt": "stone", "size": 64}
    assert set(game.submit(asked, maps=(name for name in ["height"])).result(5).maps()) == {"height"}
    assert len(game.submit(asked, maps=None).result(5).maps()) > 1
    for wrong in ("height", 5, [["height"]], [1]):
        with pytest.raises(Refusal, match="maps: expected a list of names") as refused:
            game.submit(asked, maps=wrong)
        assert refused.value.code == "type"


def test_what_is_no_recipe_is_refused_in_words(game):
    for wrong in (None, 5, ["stone"]):
        for ask in (game.submit, game.open_stream, game.replay):
            with pytest.raises(Refusal, match="recipe: expected"):
                ask(wrong)


def test_a_closed_connection_gives_what_had_come_and_refuses_all_else(game):
    done = game.submit({"prompt": "stone", "size": 64})
    digest = done.result(5).digest
    game.close()
    assert done.poll()
    assert done.result().digest == digest
    done.cancel()
    for ask in (game.describe, game.stats, lambda: game.submit({"prompt": "stone"}), lambda: game.stream("tense")):
        with pytest.raises(Refusal, match="game: the connection is closed; connect again"):
            ask()


def test_numpys_seconds_are_seconds(address):
    with connect(address, timeout=np.float32(2)) as game:
        assert game.texture("stone", size=64).id


def test_asyncio_has_no_engine_in_process_and_says_so():
    for wrong, sentence in (("inproc", "use cadenza.connect"), (None, "expected text")):
        with pytest.raises(Refusal, match=sentence):
            asyncio.run(aio.connect(wrong))


def test_asyncio_serves_many_at_once_and_refuses_in_words(address):
    async def session():
        async with await aio.connect(address) as game:
            textures = await asyncio.gather(*(game.texture("stone", seed=seed, size=64) for seed in range(12)))
            assert len({texture.digest for texture in textures}) == 12
            with pytest.raises(Refusal, match="sampler"):
                await game.texture("stone", sampler="no")
            return await game.describe()

    assert asyncio.run(session())["bundles"][0]["kind"] == "texture"


@pytest.fixture
def png(monkeypatch):
    """assets.files as far as the bridge uses it; there before the server starts."""

    def encode(name, array, format):
        return f"{format} {name} {array.shape}".encode()

    monkeypatch.setitem(sys.modules, "cadenza.assets.files", types.SimpleNamespace(FORMATS={"png": 0}, encode=encode))


def test_files_come_instead_of_pixels_where_asked_for(png, runtime, serving):
    asked = {"kind": "texture", "prompt": "stone", "seed": 0, "size": 64}
    with serving(runtime) as address, connect(address) as far, InprocGame(runtime, owned=False) as near:
        for game in (far, near):
            files = game.submit(asked, encoding="png").result(5)
            assert files.encoding == "png"
            assert files.files["albedo"] == b"png albedo (64, 64, 3)"
            assert files.digest == game.submit(asked).result(5).digest


def test_a_message_type_of_a_later_minor_version_is_ignored_and_garbage_ends_what_is_open():
    talk = Conversation()
    pending = talk.submit({"prompt": "stone"})
    talk.receive([msgspec.msgpack.encode({"type": "weather", "request": "r1"})])
    assert not pending.done
    talk.receive([b"\xc1"])
    assert isinstance(pending.outcome, Corrupt)


def test_a_pause_of_the_game_is_not_a_dead_server_and_a_dead_server_is_told():
    now = [0.0]
    talk = Conversation(lambda: now[0])
    pending = talk.submit({"prompt": "stone"})
    now[0] = 1000.0  # the game was paused
    talk.tick()
    talk.check_alive()
    assert not pending.done
    now[0] = 1061.0
    talk.check_alive()
    with pytest.raises(Refusal, match="silent for 61 s"):
        pending.value()


def test_a_payload_that_is_not_as_announced_is_refused():
    runtime = FakeRuntime()
    with InprocGame(runtime, owned=False) as game:
        texture = game.texture("stone", size=64)
    header, frames = pack("r1", texture)
    assert unpack(header, frames).digest == texture.digest
    wrong = bytearray(frames[0])
    wrong[5] ^= 1
    for broken in (frames[:-1], [frames[0][:-1], *frames[1:]], [wrong, *frames[1:]]):
        with pytest.raises(Corrupt, match="payload"):
            unpack(header, broken)


def test_asyncio_says_when_nobody_is_there():
    with pytest.raises(Refusal, match="nobody answered"):
        asyncio.run(aio.connect("tcp://127.0.0.1:9", timeout=0.2))
