"""Layers and transitions: monotone, on the beat, without clicks, under the ceiling."""

from dataclasses import replace

import numpy as np
import pytest
from sound_scores import STYLES, score

from cadenza.assets.music.adaptive import KINDS, blend, layers, markers, transition
from cadenza.assets.music.files import save
from cadenza.assets.music.kits import KITS
from cadenza.assets.music.render import render
from cadenza.assets.music.score import STREAMS
from cadenza.assets.music.stage import longest_ring
from cadenza.assets.refusal import Refusal


@pytest.mark.parametrize("style", STYLES)
def test_layers_come_in_one_after_another(style):
    steps = [layers(style, k / 40) for k in range(41)]
    assert sum(v > 0 for v in steps[0].values()) == 1
    assert set(steps[-1].values()) == {1.0}
    for before, after in zip(steps, steps[1:], strict=False):
        assert all(after[name] >= before[name] for name in STREAMS)
        assert max(after[name] - before[name] for name in STREAMS) < 0.2
        assert sum(0 < v < 1 for v in after.values()) <= 1


def test_a_blend_at_ones_is_the_loop_and_at_zero_leaves_a_stream_out(rendered):
    music = rendered("victory")
    assert blend(music, {}).tobytes() == music.audio.tobytes()
    only = blend(music, {name: 0 for name in STREAMS if name != "bass"})
    assert np.array_equal(only, music.stems["bass"])
    assert np.abs(blend(music, dict.fromkeys(STREAMS, 2.0))).max() <= 10 ** (-1 / 20)


@pytest.mark.parametrize("at", ["beat", "bar", "end", "chord 2", "mine"])
def test_a_transition_begins_where_it_was_asked_to(rendered, at):
    a, b = rendered("exploration"), rendered("combat")
    position = a.beats[5] + 1000
    change = transition(a, b, at, "cut", position=position, marks={"mine": a.beats[9], **markers(a)})
    cut = (change.leaves + change.lead) % a.frames
    wanted = {"beat": a.beats[6], "bar": a.beats[8], "end": 0, "chord 2": a.downbeats[1], "mine": a.beats[9]}  # fmt: skip
    assert cut == wanted[at]
    assert change.waits == (change.leaves - position) % a.frames or change.waits >= a.frames


def rough_of(sound):
    """The second difference at each sample, of either side."""
    return np.abs(np.diff(sound.astype(np.float64), n=2, axis=0)).max(axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_transition_joins_both_loops_without_a_click_and_on_the_beat(rendered, kind):
    a, b = rendered("exploration"), rendered("combat")
    change = transition(a, b, "bar", kind, position=a.downbeats[1] + 5)
    joined = np.concatenate([a.audio[: change.leaves], change.audio, b.audio[change.enters :]]).astype(np.float64)
    rough = rough_of(joined)
    limit = max(rough_of(m.audio).max() for m in (a, b))
    own = [
        rough_of(music.audio)[np.arange(at - 3, at + 2) % music.frames].max()
        for music, at in ((a, change.leaves), (b, change.enters))
    ]
    for edge, loop in zip((change.leaves, change.leaves + len(change.audio)), own, strict=True):
        assert rough[edge - 3 : edge + 2].max() < max(
            np.percentile(rough, 99.5), 1.01 * loop
        )  # a stroke of the loop may lie there
    assert rough.max() < 1.6 * limit + 0.05
    assert np.abs(joined).max() <= 10 ** (-1 / 20)
    assert (change.enters - (len(change.audio) - change.lead)) % b.frames == 0
    grid = (change.leaves + change.lead) % a.frames
    extra = {"stinger": b.downbeats[1], "fill": 0}.get(kind, 0)
    assert min(abs((grid - extra) % a.frames - beat) for beat in (*a.downbeats, a.frames)) <= 2
    if kind in ("cut", "fill"):
        last = len(change.audio) - change.lead
        own = b.audio[: min(last, 4800)].astype(np.float64)
        there = change.audio[change.lead : change.lead + len(own)].astype(np.float64)
        assert np.corrcoef(own.ravel(), there.ravel())[0, 1] > 0.6  # b's first beat, with a's tail over it


def test_what_rings_out_goes_on_where_the_loop_was_left(rendered):
    """The cut's first samples continue a: with b silenced they are a until the keys are let go."""
    a = rendered("ambient")
    quiet = replace(rendered("combat"), audio=np.zeros_like(rendered("combat").audio))
    change = transition(a, quiet, "bar", "cut", position=100)
    there = a.audio[change.leaves : change.leaves + 200]
    assert np.abs(change.audio[:200] - there).max() < 0.02 * np.abs(a.audio).max()
    assert np.abs(change.audio[-200:]).max() < 0.01 * np.abs(a.audio).max()
    assert len(change.audio) > a.rate // 2


def test_a_fill_and_a_stinger_are_heard(rendered):
    a, b = rendered("town"), rendered("boss")
    fill = transition(a, b, "bar", "fill", position=0)
    bar = a.downbeats[1]
    half = fill.audio[bar // 2 : bar].astype(np.float64)
    before = a.audio[fill.leaves + bar // 2 : fill.leaves + bar].astype(np.float64)
    assert (half**2).mean() > 1.1 * (before**2).mean()
    sting = transition(a, b, "beat", "stinger", position=0)
    assert np.abs(sting.audio[sting.lead - b.downbeats[1] :][:9600]).max() > 0.05


def test_loops_of_different_rates_and_unknown_names_are_refused(rendered):
    a = rendered("town")
    slow = render(score(1, "town", 1), 44100)
    for call, field in (
        (lambda: transition(a, slow), "b.rate"),
        (lambda: transition(a, a, "noon"), "at"),
        (lambda: transition(a, a, "bar", "explosion"), "kind"),
        (lambda: transition(a, a, position=a.frames), "position"),
        (lambda: layers("town", 1.5), "intensity"),
        (lambda: layers("disco", 0.5), "style"),
        (lambda: blend(a, {"strings": 1}), "gains"),
        (lambda: blend(a, {"bass": -1}), "gains.bass"),
    ):
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.field == field


def test_what_needs_stems_says_so_where_there_are_none(rendered, tmp_path):
    a, b = replace(rendered("town"), stems={}), rendered("combat")
    assert transition(a, b, kind="crossfade").audio.any()
    for asked in (
        lambda: blend(a, {}),
        *(lambda kind=kind: transition(a, b, kind=kind) for kind in sorted(KINDS.keys() - {"crossfade"})),
        lambda: save(a, tmp_path / "a.wav", stems=True),
    ):
        with pytest.raises(Refusal) as refused:
            asked()
        assert refused.value.code == "missing"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", ["beat", "bar", "end", "chord 1"])
def test_a_way_leaves_a_short_loop_from_its_last_sample_too(rendered, at):
    a = rendered("town", bars=1)
    for kind in ("fill", "cut"):
        way = transition(a, a, at=at, kind=kind, position=a.frames - 1)
        assert 0 <= way.waits <= 3 * a.frames


@pytest.mark.parametrize("mark", [-1, 10.5, "a", True, 10**9])
def test_a_mark_is_a_sample_of_the_loop(rendered, mark):
    a = rendered("town")
    with pytest.raises(Refusal, match=r"marks\.x: .* valid is a sample from 0 to"):
        transition(a, a, at="x", marks={"x": mark})


@pytest.mark.parametrize("style", ["exploration", "ambient", "town"])
def test_a_stinger_ends_when_it_has_rung_out_and_its_strokes_have_their_beginnings(rendered, style):
    a, b = rendered("combat"), rendered(style)
    change = transition(a, b, "bar", "stinger")
    heard = longest_ring(KITS[style]) + 1.0
    assert len(change.audio) < change.lead + heard * b.rate  # hands that play early once came round, 8 s later
    struck = change.lead - b.downbeats[1]
    before = np.abs(np.diff(change.audio[: struck - 1], axis=0)).max()
    assert np.abs(np.diff(change.audio[struck - 2 : struck + 3], axis=0)).max() < before + 0.005
