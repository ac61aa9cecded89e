"""A live stream over the wire: the same bytes as in process, credit, steering, clients that vanish or do not read."""

import asyncio
import gc
import threading
import time
import weakref

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.bridge import aio, connect
from cadenza.bridge import messages as m
from cadenza.bridge.protocol import VERSION, decode_server, encode
from cadenza.bridge.server import serve
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music.hall import Hall

BUNDLE = EMBEDDED / "music"
WANTED = dict(seed=7, bpm=180)


@pytest.fixture(scope="module")
def address(runtime):
    bound, ready, stop = [], threading.Event(), threading.Event()

    def announce(at):
        bound.append(at)
        ready.set()

    terms = dict(ready=announce, stop=stop)
    thread = threading.Thread(target=serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=terms)
    thread.start()
    assert ready.wait(10)
    yield bound[0]
    stop.set()
    thread.join()


def eventually(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def steered(game):
    """A stream that goes into combat and back, to its end; all its bars."""
    with game.stream("tense exploration, D minor", **WANTED) as music:
        bars = []
        for bar in music:
            bars.append(bar)
            if bar.number == 1:
                assert music.steer("combat", bar=4).result(5).changes["styles"] in (["combat"], ("combat",))
            if bar.number == 5:
                music.steer(style="exploration", intensity=0.2, mute=["drums"]).result(5)
            if bar.number == 8:
                music.close(tail=True)
    return music, bars


@pytest.fixture(scope="module")
def played(address):
    with connect(address) as game:
        return steered(game)


def test_a_stream_is_replayed_byte_for_byte_from_its_steering_log(played, runtime, address):
    music, bars = played
    assert bars[-1].last
    with connect(address) as game:
        again = game.replay(music)
        assert again.digest == music.digest == bars[-1].digest
    stream = runtime.stream(music.recipe)  # in process, by the recipe that came over the wire
    for bar, there in zip(bars, stream, strict=True):
        assert bar.audio.tobytes() == there.chunk.audio.tobytes()


def test_bars_join_without_a_gap_and_each_says_what_made_it(played):
    music, bars = played
    ends = [bar.start + len(bar.audio) for bar in bars]
    assert [bar.start for bar in bars] == [0, *ends[:-1]]
    whole = [bar for bar in bars if not bar.last]
    assert [bar.number for bar in whole] == list(range(len(whole)))
    styles = [list(bar.recipe["styles"]) for bar in whole]
    assert styles[:4] == [["tense", "exploration"]] * 4
    assert styles[4] == ["combat"]
    assert styles[-1] == ["exploration"]
    assert music.recipe["bars"] == len(whole)


def test_in_process_it_is_the_same_surface_and_the_same_bytes(played):
    music, _ = played
    with connect("inproc", bundles=[BUNDLE], backend="onnxruntime", threads=1) as game:
        again = game.replay(music)
        assert again.digest == music.digest
        assert dict(again.recipe)["bars"] == music.recipe["bars"]


def test_whoever_joins_late_hears_what_the_others_hear(played, address):
    music, bars = played
    with connect(address) as game:
        late = game.open_stream(music.recipe, first=6)
        for expected, bar in zip(bars[6:], late, strict=True):
            assert bar.audio.tobytes() == expected.audio.tobytes()


def test_a_turn_after_the_end_is_refused_alike_wherever_it_is_played(played, address):
    async def afterwards():
        async with await aio.connect(address) as game, await game.stream("menu", **WANTED) as music:
            await music.close(bars=1)
            async for _ in music:
                pass
            return await (await music.steer("boss"))

    told = []
    with connect(address) as far, connect("inproc", bundles=BUNDLE, backend="onnxruntime", threads=1) as near:
        streams = [game.replay(played[0]) for game in (far, near)]
        for ask in (
            *(lambda music=music: music.steer("boss").result(5) for music in streams),
            lambda: asyncio.run(afterwards()),
        ):
            with pytest.raises(Refusal) as refused:
                ask()
            told.append((refused.value.code, str(refused.value)))
    assert set(told) == {("closed", "stream: has ended; open another one")}


def test_a_stream_that_is_told_its_length_has_it_whatever_was_made_when_it_was_told(address):
    digests = set()
    with connect(address) as game:
        for ahead in (1, 5):
            with game.stream("menu", ahead=ahead, **WANTED) as music:
                music.close(tail=np.True_, bars=np.int64(6))
                numbers = [bar.number for bar in music]
            assert numbers == list(range(7))  # and the tail
            digests.add(music.digest)
    assert len(digests) == 1


def test_asyncio_hears_the_same_stream(address):
    async def play():
        game = await aio.connect(address)
        async with game, await game.stream("menu", ahead=2, **WANTED) as music:
            await music.close(tail=True, bars=4)
            bars = [bar async for bar in music]
        return bars, music.digest, music.recipe

    bars, digest, recipe = asyncio.run(play())
    assert [bar.number for bar in bars] == [0, 1, 2, 3, 4]
    with connect(address) as game:
        again = game.open_stream(recipe)
        for _ in again:
            pass
    assert again.digest == digest

    async def refused():
        async with await aio.connect(address) as game, await game.stream("menu", bpm=999) as music:
            return [bar async for bar in music]

    with pytest.raises(Refusal, match="bpm"):
        asyncio.run(refused())


def test_polling_never_waits_and_gives_what_is_there(address):
    with connect(address) as game, game.stream("menu", **WANTED) as music:
        numbers = []
        while len(numbers) < 3:
            began = time.perf_counter()
            bar = music.poll()
            assert time.perf_counter() - began < 0.2
            if bar is not None:
                numbers.append(bar.number)
            time.sleep(0.002)
        assert numbers == [0, 1, 2]
        assert not music.ended


def test_no_more_is_made_than_there_is_credit_for(runtime, address):
    with connect(address) as game, game.stream("menu", ahead=2, **WANTED) as music:
        assert music.next(10).number == 0
        waiting = music._pending.bars
        eventually(lambda: game.poll() or len(waiting) == 2)  # the bars 1 and 2: one was taken, two may wait
        time.sleep(0.3)
        game.poll()
        assert len(waiting) == 2
        assert music.steer(intensity=0.2).result(5).bar == 3
        eventually(lambda: runtime.stats()["streams"] == 1)


def test_stems_add_up_to_the_mix(address):
    with (
        connect(address) as game,
        game.stream("town", stems=["drums", "bass", "chords", "arpeggio", "lead"], **WANTED) as music,
    ):
        bar = music.next(10)
    total = np.zeros_like(bar.audio)
    for stem in bar.stems.values():
        total += stem
    np.testing.assert_array_equal(total, bar.audio)  # the limiter has nothing to do at -23 LUFS


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (dict(bpm=300), "bpm"),
        (dict(ahead=0), "ahead"),
        (dict(stems=["violin"]), "stems"),
        (dict(stems=5), "stems"),
        (dict(steering=[{"bar": -1, "changes": {}}]), "steering[0].bar"),
        (dict(steering=[{"changes": {}}]), "steering"),
        (dict(steering=5), "steering"),
        (dict(steering={"bar": 1}), "steering"),
        (dict(steering=[{"bar": 2, "changes": {"seed": 3}}]), "steering[0].changes.seed"),
        (dict(steps=3), "steps"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(address, asked, field):
    with connect(address) as game:
        with pytest.raises(Refusal) as refused:
            game.stream("menu", **{**WANTED, **asked}).next(10)
        assert refused.value.field == field


def test_steering_that_cannot_be_is_refused_and_the_stream_plays_on(address):
    with connect(address) as game, game.stream("menu", **WANTED) as music:
        assert music.next(10).number == 0
        for asked, field in (
            (dict(intensity=2.0), "intensity"),
            (dict(seed=3), "seed"),
            (dict(prompt="16 bars"), "prompt"),
            (dict(bar=0), "bar"),
            (dict(only=["drums"], mute=["drums"]), "mute"),
        ):
            with pytest.raises(Refusal) as refused:
                music.steer(**asked).result(5)
            assert refused.value.field == field
        assert [music.next(10).number for _ in range(3)] == [1, 2, 3]


def test_a_client_that_vanishes_or_does_not_read_stops_nobody(runtime, address):
    silent, silent_talk = connect(address), None
    silent.stream("boss", ahead=8, **WANTED)  # never reads a bar
    gone = connect(address)
    gone.stream("boss", **WANTED)
    gone.close()
    with connect(address) as game, game.stream("town", **WANTED) as music:
        assert [music.next(10).number for _ in range(6)] == list(range(6))
        assert silent_talk is None
    silent.close()
    eventually(lambda: runtime.stats()["streams"] == 0)


def test_more_streams_than_a_client_may_have_are_refused(address):
    with connect(address) as game:
        limit = game.welcome.limits.streams
        for _ in range(limit):
            game.stream("menu", **WANTED).next(10)
        with pytest.raises(Refusal, match="streams of this client are open"):
            game.stream("menu", **WANTED).next(10)


def test_what_was_not_taken_comes_again_after_a_reconnect_and_a_steer_is_done_once(address):
    """By hand: the same client id on a second connection, as libzmq makes one when the first was cut."""
    import zmq

    context = zmq.Context()

    def connected():
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(address)
        say(dealer, m.Hello(version=VERSION, client="0123456789abcdef"))
        assert isinstance(hear(dealer), m.Welcome)
        return dealer

    def say(dealer, message):
        dealer.send(encode(message))

    def hear(dealer):
        assert dealer.poll(10_000)
        return decode_server(dealer.recv_multipart()[0])

    opening = m.Open(request="s", recipe={"prompt": "menu", **WANTED}, ahead=2)
    steer = m.Steer(request="t", stream="s", changes={"prompt": "dark"})
    try:
        first = connected()
        say(first, opening)
        assert isinstance(hear(first), m.Opened)
        assert [hear(first).bar for _ in range(2)] == [0, 1]
        say(first, steer)
        turn = hear(first)
        assert isinstance(turn, m.Steered)
        second = connected()
        say(second, opening)
        assert isinstance(hear(second), m.Opened)
        assert [hear(second).bar for _ in range(2)] == [0, 1]
        say(second, steer)
        assert hear(second) == turn
        say(second, m.Close(request="s"))
        closed = hear(second)
        assert isinstance(closed, m.Closed)
        say(second, m.Received(request="s"))
        say(second, m.Taken(request="s", bar=1))
        refused = hear(second)
        assert (refused.code, refused.request) == ("unknown", "s")
        say(second, m.Bye())
    finally:
        context.destroy(linger=0)


def test_turns_at_the_first_bar_are_replayed_from_the_log_and_from_the_recipe_alone(address):
    with connect(address) as game:
        turns = [{"bar": 0, "changes": {"bpm": 150, "style": "combat"}}]
        with game.stream("town, 200 bpm", seed=1, steering=turns) as music:
            assert music.start["bpm"] == 200
            for bar in music:
                assert bar.recipe["bpm"] == 150
                if bar.number == 1:
                    music.close()
        assert game.replay(music).digest == music.digest
        assert game.replay({"recipe": music.recipe, "digest": music.digest}).id == music.id
        assert game.replay(music.recipe).digest == game.replay(music.id).digest == music.digest
    with connect(address) as another, pytest.raises(Refusal, match=r"no digest of .* is recorded here"):
        another.replay(music.recipe)


@pytest.mark.parametrize(
    ("end", "field"),
    [(dict(bars=-1), "bars"), (dict(bars="x"), "bars"), (dict(bars=30_000), "bars"), (dict(tail=1), "tail")],
)
def test_an_end_that_is_none_is_refused_and_the_stream_plays_on(address, end, field):
    with connect(address) as game, game.stream("town", **WANTED) as music:
        with pytest.raises(Refusal, match=field):
            music.close(**end)
        assert next(music).number == 0
        assert music.steer(intensity=0.2).result(5).bar >= 1

    async def same():
        async with await aio.connect(address) as game, await game.stream("town", **WANTED) as music:
            with pytest.raises(Refusal, match=field):
                await music.close(**end)

    asyncio.run(same())


def test_a_server_that_was_restarted_ends_a_stream_where_it_would_have_ended(address):
    """What a client says to a server that does not know it: where to go on, and where to end."""
    with connect(address) as game, game.stream("town", **WANTED) as music:
        bars = [next(music), next(music)]
        music.close(tail=True, bars=5)
        bars += [next(music)]
        opening, _, closing = music._pending.again()
        assert (closing.bars, closing.tail) == (5, True)
        told = {"steering": opening.steering, "first": opening.first, "ahead": opening.ahead}
        with connect(address) as later:
            again = later.open_stream(opening.recipe, **told)
            later._talk.say(again._pending.close(closing.tail, closing.bars))
            rest = list(again)
        theirs = list(music)
    assert opening.first > bars[-1].number
    assert [bar.digest for bar in theirs[-len(rest) :]] == [bar.digest for bar in rest]
    assert rest[-1].last


def test_a_server_holds_no_stream_whose_end_its_client_has_heard(address, monkeypatch):
    """Without waiting for the collector: eight streams take a hundred megabytes."""
    begun, begin = [], Hall.begin

    def watched(self, *given, **terms):
        stream = begin(self, *given, **terms)
        begun.append(weakref.ref(stream))
        return stream

    monkeypatch.setattr(Hall, "begin", watched)
    gc.disable()
    try:
        with connect(address) as game:
            with game.stream("town", **WANTED) as music:
                next(music)
                music.close()
                list(music)
            game.stats()
            eventually(lambda: begun[0]() is None)
    finally:
        gc.enable()
