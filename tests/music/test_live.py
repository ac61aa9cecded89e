"""Live streams in process: a stream is the loop that goes on, steering keeps what was before, nobody else changes a bit."""

import queue
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from cadenza.assets.music.live import EARLY, LEAD, TYPICAL, Bar, Player
from cadenza.assets.music.loudness import loudness
from cadenza.assets.music.score import Note, Score
from cadenza.assets.music.stage import Stage
from cadenza.assets.refusal import Refusal
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music import live
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.live import Ended
from cadenza.runtime.music.opened import token_job
from cadenza.runtime.music.reading import Reader
from cadenza.runtime.runtime import Runtime

BUNDLE = EMBEDDED / "music"
FAST = dict(bpm=200)


@pytest.fixture
def said(monkeypatch):
    """Tokens of each bar, in the order in which a stream's reader was given them, by reader."""
    found = {}
    read = Reader.read

    def listening(self, words, conditions, silent=frozenset()):
        found.setdefault(id(self), (self, []))[1].append(words.copy())
        return read(self, words, conditions, silent)

    monkeypatch.setattr(Reader, "read", listening)
    return lambda stream: np.concatenate(found[id(stream._reader)][1], 1)


def first_bars(stream, count):
    """The first bars of a stream, which is then closed; and how it ended."""
    bars = []
    for bar in stream:
        if len(bars) < count:
            bars.append(bar)
        if len(bars) == count:
            stream.close()
    return bars


def test_a_stream_begins_as_the_loop_of_its_seed_and_goes_on_without_repeating_it(runtime, said):
    wanted = {"prompt": "tense", "seed": 11, "bars": 2, **FAST}
    stream = runtime.stream(wanted)
    first_bars(stream, 6)
    words = said(stream)
    resolved = runtime.resolve(wanted)
    job = token_job(runtime.networks[resolved.bundle.digest], resolved)
    while not job.finished:
        job.run([job], lambda: 0.0)
    known = 32 - max(t.DELAYS)  # the last frames of a whole are said before what follows it is known
    np.testing.assert_array_equal(words[:, :known], job.tokens[:, :known])
    assert (words[:, 32:64] != job.tokens).any()


def test_a_stream_is_longer_than_what_the_model_looks_back_on_and_has_the_bits_of_the_whole(runtime, said):
    """The ring of the cache is gone round: twelve bars are 192 steps, the window has 136."""
    wanted = {"prompt": "combat", "seed": 3, "bars": 12, **FAST}
    stream = runtime.stream(wanted, ahead=4)
    first_bars(stream, 12)
    resolved = runtime.resolve(wanted)
    job = token_job(runtime.networks[resolved.bundle.digest], resolved)
    while not job.finished:
        job.run([job], lambda: 0.0)
    known = 192 - max(t.DELAYS)
    np.testing.assert_array_equal(said(stream)[:, :known], job.tokens[:, :known])


def test_steering_changes_no_byte_before_its_bar_and_is_heard_from_there_on(runtime):
    wanted = {"prompt": "exploration", "seed": 5, **FAST}
    plain = first_bars(runtime.stream(wanted), 6)
    turn = {"bar": 3, "changes": {"prompt": "boss frantic, 190 bpm, E minor"}}
    steered = first_bars(runtime.stream(wanted, steering=[turn]), 6)
    for one, other in zip(plain[:3], steered, strict=False):
        assert one.chunk.audio.tobytes() == other.chunk.audio.tobytes()
    assert plain[3].chunk.audio.tobytes() != steered[3].chunk.audio.tobytes()
    assert [bar.recipe.styles for bar in steered[2:4]] == [("exploration",), ("boss",)]


def test_a_streams_chords_are_its_progression_round_and_round_and_go_with_the_scale(runtime, said):
    turn = {"bar": 5, "changes": {"key": "C major"}}
    stream = runtime.stream({"prompt": "tense, C minor", "seed": 5, "bars": 4, **FAST}, steering=[turn])
    bars = first_bars(stream, 8)
    degrees = ((t.harmony(said(stream)) - t.FIRST) // len(t.SHAPES))[: 8 * 16].reshape(8, 16)
    before, after = bars[4].recipe.progression, bars[5].recipe.progression
    assert before != after
    assert degrees[:, 0].tolist() == [*before, before[0], *after[1:]]
    assert (degrees == degrees[:, :1]).all()
    assert bars[5].recipe == bars[7].recipe


def test_another_intensity_keeps_chords_and_lead_and_plays_other_drums(runtime, said):
    wanted = {"prompt": "combat", "seed": 8, **FAST}
    turn = {"bar": 1, "changes": {"intensity": 0.1}}
    streams = [runtime.stream(wanted), runtime.stream(wanted, steering=[turn])]
    for stream in streams:
        first_bars(stream, 5)
    loud, calm = (said(stream)[:, : 5 * 16] for stream in streams)
    np.testing.assert_array_equal(loud[[t.CHORDS, t.LEAD]], calm[[t.CHORDS, t.LEAD]])
    assert (loud[t.DRUM, 16:] != calm[t.DRUM, 16:]).any()


def test_no_steering_clicks(runtime):
    """First and second differences around the bar lines where everything changes lie within those of the rest."""
    turns = [
        {"bar": 2, "changes": {"style": "combat", "key": "A minor"}},
        {"bar": 4, "changes": {"style": "ambient", "bpm": 150}},
        {"bar": 5, "changes": {"mute": ["chords", "lead"]}},
    ]
    bars = first_bars(runtime.stream({"prompt": "exploration", "seed": 2, **FAST}, steering=turns), 7)
    sound = np.concatenate([bar.chunk.audio for bar in bars])
    for order in (1, 2):
        steps = np.abs(np.diff(sound, order, axis=0)).max(1)
        for bar in bars[1:]:
            for line in (
                bar.chunk.start,
                bar.chunk.start + LEAD - EARLY,
            ):  # where chunks join, where muted keys are let go
                near = steps[line - 3 : line + 3]
                assert near.max() <= np.quantile(steps, 0.999), (bar.number, order)


def test_eight_streams_beside_pieces_have_the_bytes_they_have_alone(runtime):
    wanted = [{"prompt": style, "seed": 20 + k, **FAST} for k, style in enumerate(live_styles())]
    alone = [first_bars(runtime.stream(each), 3)[-1].digest for each in wanted]
    streams = [runtime.stream(each, ahead=1 + k % 3) for k, each in enumerate(wanted)]
    works = [runtime.submit({"kind": "music", "prompt": "town", "bars": 1, "seed": seed}) for seed in range(4)]
    assert [first_bars(stream, 3)[-1].digest for stream in streams] == alone
    for work in works:
        work.wait(60)


def live_styles():
    return list(TYPICAL)[:8]


def test_a_stream_whose_backend_fails_ends_in_words_and_others_play_on(runtime, monkeypatch):
    other = runtime.stream({"prompt": "menu", "seed": 1, **FAST})
    broken = runtime.stream({"prompt": "menu", "seed": 2, **FAST}, ahead=1)
    next(broken)
    monkeypatch.setattr(broken._reader, "read", lambda *_: 1 / 0)
    with pytest.raises(Refusal, match="ZeroDivisionError"):
        list(broken)
    assert [bar.number for bar in first_bars(other, 4)] == [0, 1, 2, 3]
    with pytest.raises(Refusal, match="has ended"):
        broken.steer({"intensity": 0.2})


def test_a_bar_that_cannot_be_begun_ends_its_stream_in_words(runtime, monkeypatch):
    broken = runtime.stream({"prompt": "menu", "seed": 2, **FAST}, ahead=1)
    next(broken)
    monkeypatch.setattr(broken, "_job_of", lambda *_: 1 / 0)
    with pytest.raises(Refusal, match="ZeroDivisionError"):
        list(broken)
    assert len(first_bars(runtime.stream({"prompt": "menu", "seed": 1, **FAST}), 2)) == 2


def test_closing_a_runtime_ends_its_streams(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    heard = queue.SimpleQueue()
    with Runtime([BUNDLE], "onnxruntime", threads=1) as runtime:
        runtime.stream({"prompt": "menu"}, on_event=heard.put)
        assert heard.get(timeout=20).number == 0
    events = []
    while not heard.empty():
        events.append(heard.get())
    assert isinstance(events[-1], Ended)
    with pytest.raises(Refusal, match="closed"):
        runtime.stream({"prompt": "menu"})


def test_a_bar_is_late_only_where_its_credit_was_not(runtime, monkeypatch):
    """A clock of our own: the server is slow once, the listener is slow once, and only the first counts."""
    stream = runtime.stream({"prompt": "menu", "seed": 4, **FAST}, ahead=2)
    bars = iter(stream)
    first = next(bars)
    seconds = len(first.chunk.audio) / first.rate
    monkeypatch.setattr(stream, "_place", replace(stream._place, engine=SimpleNamespace(clock=lambda: now)))
    stream._under_runs, stream._began = 0, 0.0
    now = 2 * seconds + 0.5  # bar 2 was to be there after two bars
    stream._allowed_at[2] = 0.2
    stream._watch(bar_at(first, 2, seconds))
    assert stream._under_runs == 1
    now = 4 * seconds + 0.6  # bar 3: its credit came only then
    stream._allowed_at[3] = 4 * seconds + 0.55
    stream._watch(bar_at(first, 3, seconds))
    assert stream._under_runs == 1
    stream.close()


def bar_at(bar, number, seconds):
    return live.Chunk(number, round(number * seconds * bar.rate), LEAD, bar.chunk.audio, {}, 0.0)


def test_the_player_is_the_stage_that_never_comes_round():
    """Notes that end within their bars, by the player and by the loop's stage with silence behind them: the same but for rounding."""
    rng = np.random.default_rng(6)
    notes = []
    for bar in range(3):
        for start in range(0, 16, 2):
            notes.append(Note(0, 16 * bar + start, 1, int(rng.choice([36, 38, 42])), 100))
            notes.append(Note(1, 16 * bar + start, 2, 40 + start, 90))
            notes.append(Note(3, 16 * bar + start, 1 + start % 2, 60 + start, 80))
        notes += [Note(2, 16 * bar, 15, pitch, 70) for pitch in (57, 60, 64)]
    score = Score(tuple(notes), (), 8, 4, 150.0, 9, "minor", "exploration")
    stage = Stage(score, 48000)
    player = Player(48000, loudness=-23.0)
    bars = [[n for n in notes if n.start // 16 == bar] for bar in range(3)]
    chunks = [player.play(at_bar(each, 16 * number)) for number, each in enumerate(bars)]
    gain = np.float32(10 ** ((-23.0 - TYPICAL["exploration"]) / 20))
    for name in ("drums", "bass", "chords", "arpeggio"):
        whole = stage.stem(name, 0, stage.samples).T * gain
        made = np.concatenate([chunk.stems[name] for chunk in chunks])[LEAD:]
        np.testing.assert_allclose(made, whole[: len(made)], atol=2e-5)


def at_bar(notes, first):
    moved = tuple(Note(n.stream, n.start - first, n.length, n.pitch, n.velocity) for n in notes)
    return Bar(moved, 4, 150.0, "exploration", tonic=9)


@pytest.mark.parametrize("tempi", [(97.3,) * 40, (60.0, 61.7, 143.0, 143.0, 200.0) * 5])
def test_bars_are_as_long_as_their_tempo_says_and_nothing_drifts(tempi):
    player = Player(44100)
    chunks = [player.play(Bar((), 4, bpm, "menu")) for bpm in tempi]
    exact = np.cumsum([0.0, *(4 * 60 * 44100 / bpm for bpm in tempi)])
    found = np.cumsum([0, *(len(chunk.audio) for chunk in chunks)])
    changes = sum(one != other for one, other in pairwise(tempi))
    assert np.abs(found - exact).max() <= 0.5 + 0.5 * changes  # a tempo begins on a whole sample
    assert all(chunk.start == place for chunk, place in zip(chunks, found, strict=False))


def test_a_key_held_over_bar_lines_sounds_on_and_is_let_go_where_it_ends():
    key = Note(2, 8, 8, 60, 90)
    player = Player(48000)
    chunks = [
        player.play(Bar((key,), 4, 120.0, "exploration", held=frozenset({2}))),
        player.play(Bar((), 4, 120.0, "exploration", held=frozenset({2}), carried={2: 16})),
        player.play(Bar((), 4, 120.0, "exploration", carried={2: 4})),
        *(player.play(Bar((), 4, 120.0, "exploration")) for _ in range(3)),
    ]
    power = [float(np.square(chunk.stems["chords"]).mean()) for chunk in chunks]
    assert power[1] > 0.5 * power[0]
    beat = 24000
    third = chunks[2].stems["chords"][LEAD:]
    assert np.square(third[:beat]).mean() > 10 * np.square(third[3 * beat :]).mean()
    assert power[5] < 1e-6 * power[1]


def test_a_tail_rings_and_falls_silent():
    player = Player(48000)
    player.play(Bar((Note(2, 12, 4, 60, 100),), 4, 120.0, "ambient", held=frozenset({2})))
    tail = player.end().audio
    assert len(tail) > 24000
    assert np.abs(tail[:4800]).max() > 10 * np.abs(tail[-480:]).max()


@pytest.mark.slow
@pytest.mark.parametrize("style", list(TYPICAL))
def test_a_style_s_usual_piece_is_as_loud_as_asked(runtime, style):
    found = []
    for seed in range(50, 55):
        bars = first_bars(runtime.stream({"style": style, "prompt": "", "seed": seed}, ahead=8), 8)
        sound = np.concatenate([bar.chunk.audio for bar in bars])
        found.append(loudness(np.ascontiguousarray(sound.T), 48000) + 23.0)
    assert abs(np.median(found)) < 1.0, found
    assert np.abs(found).max() < 3.0, found


def test_turns_beside_a_whole_stream_s_recipe_come_after_its_own(runtime):
    recipe = runtime.resolve({"kind": "music", "prompt": "menu", "seed": 5, **FAST}).recipe.to_dict()
    whole = {"kind": "music stream", "start": recipe, "bars": 4}
    whole["steering"] = [{"bar": 1, "changes": {"intensity": 0.7}}]
    bars = first_bars(runtime.stream(whole, steering=[{"bar": 2, "changes": {"style": "boss"}}]), 4)
    assert [bar.recipe.styles[0] for bar in bars] == ["menu", "menu", "boss", "boss"]
    assert bars[1].recipe.intensity == 0.7


def test_the_first_bar_is_rehearsed_while_it_is_said_and_no_other(runtime, monkeypatch):
    rehearsed = []
    monkeypatch.setattr(Player, "rehearse", lambda self, bar, _: rehearsed.append((self._number, len(bar.notes))))
    bars = first_bars(runtime.stream({"prompt": "combat", "seed": 4, **FAST}), 3)
    assert len(bars) == 3
    assert {number for number, _ in rehearsed} == {0}
    assert [notes for _, notes in rehearsed] == sorted(notes for _, notes in rehearsed)
    assert rehearsed[-1][1] > 0
