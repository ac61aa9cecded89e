"""Streams whose connection or server goes, and streams that begin late or with a long log: nothing stands still, nothing overtakes."""

import hashlib
import random
import sys
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bridge"))  # for `desks`

from desks import Prompt, Table

from cadenza.assets.music.live import Chunk
from cadenza.assets.refusal import Refusal
from cadenza.bridge import messages as m
from cadenza.bridge.bars import StreamBar, StreamPending
from cadenza.bridge.conversation import Conversation
from cadenza.bridge.protocol import LIMITS, VERSION, encode
from cadenza.runtime.engine.engine import Engine
from cadenza.runtime.music import steering
from cadenza.runtime.music.live import Ended, LiveBar
from cadenza.runtime.music.steering import Course
from cadenza.runtime.music.terms import LONGEST

OPEN = m.Open(request="s", recipe={"prompt": "tense"}, ahead=4)


@pytest.fixture(scope="module")
def start(runtime):
    return runtime.resolve({"kind": "music", "prompt": "tense", "seed": 7})


class Stream:
    """What the desk has of a live stream, which tells what the test says."""

    rate, lead, ahead, made_by = 48_000, 0, 4, {"backend": "fake"}

    def __init__(self, recipe, on_event):
        self.start = SimpleNamespace(recipe=recipe, ignored=())
        self.on_event, self.told = on_event, []

    def bar(self, number):
        chunk = Chunk(number, number, 0, np.zeros((1, 2), np.float32), {}, 0.0)
        self.on_event(LiveBar(chunk, self.rate, self.start.recipe, (), "", 0))

    def end(self):
        self.on_event(Ended(None, "", 0, Refusal("closed", "runtime", "is closed", "open a new one")))

    def take(self, bar):
        self.told.append(("taken", bar))

    def close(self, tail=False, bars=None):
        self.told.append(("close", tail, bars))

    def steer(self, changes, bar):
        self.told.append(("steer", changes))
        return SimpleNamespace(bar=0, changes=changes), ()


class Streams(Prompt):
    def __init__(self, recipe):
        super().__init__()
        self.recipe, self.streams = recipe, []

    def stream(self, request, *, on_event, **terms):
        if request["prompt"] == "wrong":
            raise Refusal("unknown", "prompt", "says nothing", "say a style")
        self.streams.append(Stream(self.recipe, on_event))
        return self.streams[-1]


@pytest.fixture
def table(start):
    table = Table(Streams(start.recipe))
    table.greet()
    table.hear()
    return table


def names(messages):
    return [f"bar {each.bar}" if isinstance(each, m.Bar) else type(each).__name__ for each in messages]


def test_what_is_made_between_hello_and_open_waits_for_the_bars_before_it(table):
    table.say(OPEN)
    (stream,) = table.runtime.streams
    stream.bar(0)
    stream.bar(1)
    assert names(table.hear()) == ["Opened", "bar 0", "bar 1"]
    table.greet(route=b"second")
    stream.bar(2)
    stream.end()
    assert table.hear(b"second") == []
    table.say(OPEN, b"second")
    assert names(table.hear(b"second")) == ["Opened", "bar 0", "bar 1", "bar 2", "Failed"]


def test_opening_keeps_nobody_waiting_and_what_is_said_before_it_has_begun_is_done_then(table):
    table.hold = True
    table.greet("another-client", b"other")
    table.say(OPEN)
    table.say(m.Submit(request="after", recipe={"prompt": "stone", "size": 64}))
    table.say(m.Steer(request="t", stream="s", changes={"intensity": 0.9}))
    table.say(m.Taken(request="s", bar=0))
    table.say(m.Cancel(request="s"))
    table.say(m.Ping(request="p"))
    table.say(m.Ping(request="p"), b"other")
    assert names(table.hear()) == ["Pong"]
    assert names(table.hear(b"other"))[-1] == "Pong"
    table.work()
    assert names(table.hear()) == ["Opened", "Steered", "Accepted", "Result"]
    assert table.runtime.streams[0].told == [("steer", {"intensity": 0.9}), ("taken", 0), ("close", False, None)]


def test_a_stream_that_tells_before_its_opening_is_told_has_its_order(table):
    table.hold = True
    table.say(OPEN)
    begin, begun = table.elsewhere.pop()
    stream = begin()
    stream.bar(0)
    begun(stream)
    assert names(table.hear()) == ["Opened", "bar 0"]


def test_an_opening_that_is_refused_is_told_once_and_frees_its_place(table):
    table.hold = True
    table.say(m.Open(request="s", recipe={"prompt": "wrong"}))
    table.say(m.Steer(request="t", stream="s", changes={}))
    table.work()
    assert [(each.request, each.field) for each in table.hear()] == [("s", "prompt"), ("t", "stream")]
    assert not table.desk.streams.channels


def test_a_client_that_leaves_or_comes_back_while_its_stream_is_opened(table):
    table.hold = True
    table.say(OPEN)
    table.greet(route=b"second")
    table.say(OPEN, b"second")
    table.work()
    assert names(table.hear(b"second")) == ["Opened"]
    table.say(m.Open(request="another", recipe={"prompt": "tense"}), b"second")
    table.say(m.Bye(), b"second")
    table.work()
    first, second = table.runtime.streams
    assert first.told[-1] == second.told[-1] == ("close", False, None)


def test_the_id_of_a_stream_is_used(table):
    table.say(OPEN)
    table.hear()
    table.say(m.Submit(request="s", recipe={"prompt": "stone"}))
    assert [(each.code, each.field) for each in table.hear()] == [("contradiction", "request")]


def test_the_last_bar_that_was_taken_is_said_again_after_a_reconnect():
    pending = StreamPending(OPEN)
    assert [type(each) for each in pending.again()] == [m.Open]
    pending.expected = 4
    pending.take(1)
    pending.take(2)
    pending.close(True, 9)
    opening, taken, closing = pending.again()
    assert (opening.first, taken.bar, closing.bars, closing.tail) == (4, 2, 9, True)


def test_a_tail_is_no_bar_where_a_server_that_was_restarted_is_to_go_on():
    pending = StreamPending(OPEN)
    chunk = {"audio": np.zeros((1, 2), np.float32), "start": 0, "lead": 0, "stems": {}, "recipe": {}, "chords": ()}
    pending.close(True, 2)
    for number in range(3):
        digest = hashlib.sha256(bytes(8 * (number + 1))).hexdigest()
        pending.add(StreamBar(number=number, digest=digest, under_runs=0, last=number == 2, **chunk))
    opening, closing = pending.again()
    assert (opening.first, closing.bars, closing.tail) == (2, 2, True)


def test_only_a_wrong_taken_or_close_leaves_a_stream_open():
    talk = Conversation()
    talk.receive([encode(m.Welcome(version=VERSION, server="", limits=LIMITS, encodings=[], bundles=[]))])
    stream = talk.stream(recipe={"prompt": "tense"})
    request = stream.message.request
    opened = m.Opened(request=request, recipe={}, ignored=[], made_by={}, rate=48_000, lead=0, ahead=2)
    refused = m.Failed(request=request, code="out_of_range", field="bar", sentence="9 was not made yet")
    talk.receive([encode(opened)])
    talk.receive([encode(refused)])
    assert not stream.done
    stream.again()  # now it answers `open`, which has a bar in its steering
    talk.receive([encode(refused)])
    assert stream.outcome.field == "bar"


def test_bars_that_came_from_the_server_before_may_be_taken(runtime):
    stream = runtime.stream({"prompt": "tense", "bpm": 200}, first=3, ahead=1)
    for bar in range(3):
        stream.take(bar)
    with pytest.raises(Refusal, match="not made yet"):
        stream.take(LONGEST)
    assert next(stream).number == 3
    stream.close()


def test_bars_that_nobody_hears_leave_the_engine_to_others_and_wait_for_the_player(runtime, monkeypatch):
    added, add = [], Engine.add

    def watched(self, job):
        (stream,) = runtime._hall._open
        added.append((job.priority, job.deadline < inf, stream._made))
        add(self, job)

    monkeypatch.setattr(Engine, "add", watched)
    stream = runtime.stream({"prompt": "tense", "bpm": 200}, first=4, ahead=1)
    assert next(stream).number == 4
    stream.close()
    unheard, heard = added[:4], added[4]
    assert [(priority, due) for priority, due, _ in unheard] == [(10, False)] * 4
    assert [made for _, _, made in unheard] == [0, 1, 2, 3]
    assert heard[:2] == (10, True)


def test_turns_in_any_order_are_read_once_each(start, monkeypatch):
    calls, merged = [], steering.merged

    def counted(*given):
        calls.append(given)
        return merged(*given)

    monkeypatch.setattr(steering, "merged", counted)
    count = 24
    turns = [{"bar": count - at, "changes": {"intensity": 0.5 + at / 1000}} for at in range(count)]
    course = Course(start, turns)
    assert len(calls) <= 2 * count
    assert [turn.bar for turn in course.turns] == [*range(1, count + 1)]
    same = Course(start, turns[::-1])
    assert all(course.at(bar).recipe == same.at(bar).recipe for bar in range(count + 2))


def test_a_turn_that_says_what_is_so_already_beside_a_style_is_replayed(start):
    """Another style has levels of its own: one that was named must be in the log, though nothing changed with it."""
    course = Course(start)
    course.steer({"style": "combat", "density": start.recipe.density}, 2)
    again = Course(start, course.until(9))
    assert again.at(2).recipe == course.at(2).recipe
    assert again.at(2).recipe.density == start.recipe.density


def test_a_turn_before_a_later_one_is_replayed_as_it_was_played(runtime):
    """The later one is read again on what is now before it: here its chords are drawn anew."""
    start = runtime.resolve({"kind": "music", "prompt": "boss, intro, 200 bpm", "seed": 76})
    course = Course(start)
    course.steer({"prompt": "in A"}, 5)
    course.steer({"scale": "dorian"}, 4)
    again = Course(start, course.until(9))
    assert all(again.at(bar).recipe == course.at(bar).recipe for bar in range(9))


@pytest.mark.parametrize("seed", [7, 10, 13, 23])
def test_turns_asked_for_in_any_order_are_replayed_from_the_log_and_from_what_a_client_was_told(start, seed):
    draw, course, told = random.Random(seed), Course(start), []
    words = ("combat", "dark", "calm", "frantic", "D minor", "150 bpm", "without drums", "town", "E dorian", "fill")
    for _ in range(4):
        asked = {"prompt": " ".join(draw.sample(words, 2))}
        if draw.random() < 0.5:
            asked["density"] = draw.choice([0.1, 0.95, start.recipe.density])
        try:
            told.append(course.steer(asked, draw.randrange(8))[0])
        except Refusal:  # two keys in one prompt
            continue
    for again in (Course(start, course.until(LONGEST)), Course(start, told)):
        assert all(again.at(bar).recipe == course.at(bar).recipe for bar in range(10))
