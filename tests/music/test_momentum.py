"""What a stream plays after a turn is what was asked for, and no continuation of what it played before."""

import numpy as np
import pytest

from cadenza.assets.music.loudness import loudness
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.momentum import forgets
from cadenza.runtime.music.reading import Reader
from cadenza.runtime.music.resolve import manifest_of, plan_of
from cadenza.runtime.music.steering import merged

BAR = 16


@pytest.fixture
def played(runtime, monkeypatch):
    """played(bars, request, turns) -> the words (5, frames) and the bars of a stream."""
    read, heard = Reader.read, []

    def listening(self, said, *more):
        heard.append((self, said.copy()))
        return read(self, said, *more)

    monkeypatch.setattr(Reader, "read", listening)

    def play(count, wanted, *turns):
        bars = []
        stream = runtime.stream({"bpm": 120, "key": "D minor", **wanted}, steering=list(turns))
        for bar in stream:
            bars.append(bar)
            if len(bars) == count:
                stream.close()
        words = [said for reader, said in heard if reader is stream._reader]
        return np.concatenate(words[:count], 1), bars[:count]

    return play


def strokes(words):
    return int((words[t.DRUM] != t.REST).sum())


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"style": "ambient"}, {"styles": ["boss"]}),
        ({"style": "ambient"}, {"styles": ["combat"]}),
        ({"style": "exploration"}, {"intensity": 0.95}),
    ],
)
def test_a_turn_to_something_wild_has_its_drums(played, before, changes):
    words, bars = played(8, {**before, "seed": 2}, {"bar": 4, "changes": changes})
    fresh, _ = played(4, {"style": bars[4].recipe.styles[-1], "intensity": bars[4].recipe.intensity, "seed": 2})
    assert strokes(words[:, 4 * BAR :]) > 0.6 * strokes(fresh)


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"style": "boss"}, {"styles": ["ambient"]}),
        ({"style": "combat"}, {"intensity": 0.05}),
        ({"style": "exploration"}, {"intensity": 0.05}),
    ],
)
def test_a_turn_to_something_calm_has_few_of_them(played, before, changes):
    words, _ = played(8, {**before, "seed": 1}, {"bar": 4, "changes": changes})
    assert strokes(words[:, 4 * BAR :]) < 0.25 * strokes(words[:, : 4 * BAR])


def test_after_a_turn_to_another_style_nothing_depends_on_what_was_played_before(played):
    turn = {"bar": 3, "changes": {"styles": ["combat"], "density": 0.6, "brightness": 0.4, "intensity": 0.8}}
    chords = {"progression": [0, 3, 4, 0], "bars": 4, "seed": 9}
    one, _ = played(6, {"style": "ambient", **chords}, turn)
    other, _ = played(6, {"style": "boss", **chords}, turn)
    assert (one[:, : 3 * BAR] != other[:, : 3 * BAR]).any()
    np.testing.assert_array_equal(one[:, 3 * BAR :], other[:, 3 * BAR :])


@pytest.mark.parametrize(
    ("before", "after"), [("exploration", "ambient"), ("dungeon", "victory"), ("combat", "dungeon")]
)
def test_a_style_that_a_stream_turns_to_is_about_as_loud_as_one_that_begins(played, before, after):
    _, bars = played(10, {"style": before, "seed": 2}, {"bar": 4, "changes": {"styles": [after]}})
    heard = np.concatenate([bar.chunk.audio for bar in bars[5:]])
    assert loudness(np.ascontiguousarray(heard.T), bars[0].rate) == pytest.approx(-23, abs=2.6)


def test_small_steps_and_another_key_or_tempo_forget_nothing_and_a_far_way_does(runtime):
    begun = runtime.resolve({"kind": "music", "style": "town", "intensity": 0.3})
    plan = plan_of(begun.recipe, begun.conditions, manifest_of(begun.bundle))
    assert not any(forgets(plan, merged(begun, {"key": "E major", "bpm": 140.0, "mute": ["lead"]}), begun))
    assert not any(forgets(plan, merged(begun, {"intensity": 0.4, "density": 0.6}), begun))
    assert forgets(plan, merged(begun, {"intensity": 0.45}), begun).tolist() == plan.sees.all(axis=1).tolist()
    for changes in ({"density": 0.9}, {"brightness": 0.1}, {"section": "ending"}, {"styles": ["menu"]}):
        assert all(forgets(plan, merged(begun, changes), begun))
    assert not forgets(plan, begun, begun).any()


def test_levels_that_creep_are_followed(played):
    slowly = [{"bar": bar, "changes": {"intensity": 0.9 - 0.05 * bar}} for bar in range(1, 18)]
    words, _ = played(22, {"style": "combat", "intensity": 0.9, "seed": 1}, *slowly)
    assert strokes(words[:, 18 * BAR :]) < 0.5 * strokes(words[:, : 4 * BAR])
