"""Intros, fills, endings and stingers: heard once, nothing of their end in their start, and their last bar rings out."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from riff import chunks
from sound_scores import score

from cadenza.assets.music.adaptive import KINDS, transition
from cadenza.assets.music.files import encode, facts, save
from cadenza.assets.music.grid import loop_samples
from cadenza.assets.music.render import render
from cadenza.assets.music.score import Note
from cadenza.assets.music.stream import Stream
from cadenza.assets.refusal import Refusal
from cadenza.runtime.music.conditions import SECTIONS, Conditions
from cadenza.runtime.music.tokens import CHORDS, HOLD, LEAD, chord, onset, to_score

RATE = 48000
STYLES = ("ambient", "combat", "dungeon")


def once(style="combat", bars=2, seed=3):
    return replace(score(seed, style, bars=bars), loops=False)


@pytest.mark.parametrize("style", STYLES)
def test_it_begins_in_silence_and_rings_out_after_its_last_bar(style):
    music = render(once(style))
    assert music.body == loop_samples(music.score, RATE)
    assert music.frames > music.body + RATE // 10
    assert np.abs(music.audio[-1]).max() < 1e-4
    loud = np.abs(music.audio).max()
    assert np.abs(music.audio[music.body : music.body + RATE // 20]).max() > 0.01 * loud, "the last bar is heard on"
    tail = [np.abs(part).max() for part in np.array_split(music.audio[music.body :], 6)]
    assert tail[-1] < 0.2 * tail[0]


@pytest.mark.parametrize("style", STYLES)
def test_nothing_of_its_end_is_heard_in_its_start(style):
    """The same first bar, whatever comes after it: of a loop the tail of its last bar lies there."""
    whole = once(style)
    bar = 4 * whole.beats
    first = replace(whole, notes=tuple(n for n in whole.notes if n.start + n.length <= bar), bars=1, chords=())
    more = replace(first, notes=(*first.notes, *(n for n in whole.notes if n.start >= bar + 4)), bars=2)
    upto = loop_samples(first, RATE) - RATE // 100
    short, long = (render(each, gain_db=-6.0, ceiling_db=0.0) for each in (first, more))
    for name, stem in short.stems.items():
        assert np.abs(stem[:upto] - long.stems[name][:upto]).max() < 1e-4, name
    loop = render(replace(more, loops=True), gain_db=-6.0, ceiling_db=0.0)
    assert np.abs(loop.mix[:upto] - long.mix[:upto]).max() > 1e-3


def test_its_stems_are_its_mix_and_it_is_as_loud_as_asked():
    music = render(once(bars=4), loudness=-20.0)
    total = np.zeros_like(music.audio)
    for stem in music.stems.values():
        total += stem
    assert total.tobytes() == music.mix.tobytes()
    assert music.loudness == pytest.approx(-20.0, abs=0.5)


def test_bar_by_bar_it_is_the_same_bytes_with_the_tail_in_the_last_bar():
    piece = once("ambient")
    music, stream = render(piece), Stream(piece)
    parts = [stream.chunk(bar) for bar in range(len(stream))]
    assert np.concatenate(parts).tobytes() == music.audio.tobytes()
    assert stream.span(1) == (music.downbeats[1], music.frames)
    stems = [stream.stems(bar) for bar in range(len(stream))]
    for name, stem in music.stems.items():
        assert np.concatenate([each[name] for each in stems]).tobytes() == stem.tobytes()


def test_its_files_do_not_say_that_it_loops(tmp_path):
    music = render(once())
    found = chunks(encode(music.audio, RATE, "wav", 16, 120.0, False, music.downbeats))
    assert b"smpl" not in found
    assert b"LOOPSTART" not in encode(music.audio, RATE, "ogg", loop=False)
    written = save(music, tmp_path / "ending.wav")
    said = json.loads(written[-1].read_text(encoding="utf-8"))
    assert said["loop"] is None
    assert (said["frames"], said["body"]) == (music.frames, music.body)
    assert b"smpl" not in chunks(written[0].read_bytes())


def test_a_wav_file_has_a_cue_point_at_every_bar(rendered):
    music = rendered("menu")
    cues = chunks(encode(music.audio, RATE, "wav", 16, cues=music.downbeats))[b"cue "]
    count, *rest = struct.unpack(f"<I{6 * music.score.bars}I", cues)
    assert count == music.score.bars
    assert tuple(rest[5::6]) == tuple(rest[1::6]) == music.downbeats
    assert rest[::6] == list(range(1, count + 1))
    assert facts(music)["body"] == facts(music)["loop"]["end"] == music.frames


@pytest.mark.parametrize("kind", KINDS)
def test_a_transition_needs_two_loops(rendered, kind):
    loop, ending = rendered("menu"), render(once())
    for pair in ((loop, ending), (ending, loop)):
        with pytest.raises(Refusal, match="is heard once"):
            transition(*pair, kind=kind)


@pytest.mark.parametrize("section", SECTIONS)
def test_of_the_sections_only_a_loop_goes_round(section):
    conditions = Conditions(bars=1, section=section)
    tokens = np.zeros((5, 16), np.int64)
    tokens[CHORDS, 0], tokens[CHORDS, 1:] = chord(0), HOLD
    tokens[LEAD, 12:], tokens[LEAD, 12] = HOLD, onset(LEAD, 0)
    tokens[LEAD, :3] = HOLD
    made = to_score(tokens, conditions)
    (lead,) = (note for note in made.notes if note.stream == LEAD)
    assert made.loops == (section == "loop")
    assert (lead.start, lead.length) == (12, 7 if section == "loop" else 4)


def test_an_open_hat_is_not_ended_by_the_first_stroke_of_a_turn_that_does_not_come():
    piece = replace(score(1, bars=1), notes=(Note(0, 0, 1, 42, 100), Note(0, 14, 1, 46, 100)), chords=())
    ends = {}
    for loops in (True, False):
        music = render(replace(piece, loops=loops), gain_db=0.0)
        late = np.abs(np.roll(music.mix, -music.downbeats[0] - loop_samples(piece, RATE), 0)[4000:9000]).max()
        ends[loops] = late
    assert ends[False] > 3 * ends[True]
