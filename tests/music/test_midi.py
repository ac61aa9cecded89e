"""Real music: MIDI files on the grid, their key, who plays what, and Freedoom's songs as pieces of the five streams."""

import io

import numpy as np
import pytest

mido = pytest.importorskip("mido")

from cadenza.assets.music.score import SCALES  # noqa: E402
from cadenza.exporters.music import freedoom  # noqa: E402
from cadenza.exporters.music.dataset import FEWEST, of_freedoom  # noqa: E402
from cadenza.exporters.music.midi import Played, read  # noqa: E402
from cadenza.runtime.music import tokens as t  # noqa: E402


def midi(notes, bpm=120, beats=4, ticks=480, programs=None):
    """A file of (channel, start, length, pitch, velocity), in quarter notes."""
    file, track = mido.MidiFile(ticks_per_beat=ticks), mido.MidiTrack()
    events = [(0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))]
    events += [(0, mido.MetaMessage("time_signature", numerator=beats, denominator=4))]
    events += [(0, mido.Message("program_change", channel=c, program=p)) for c, p in (programs or {}).items()]
    for channel, start, length, pitch, velocity in notes:
        events.append((start * ticks, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        events.append(((start + length) * ticks - 1, mido.Message("note_off", channel=channel, note=pitch)))
    now = 0
    for tick, event in sorted(events, key=lambda each: each[0]):
        track.append(event.copy(time=round(tick) - now))
        now = round(tick)
    file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def song(tonic=2, bars=8):
    """i iv VI V in D minor: a bass, a pad, a melody, and drums."""
    notes, scale = [], SCALES["minor"]
    for bar in range(bars):
        degree = (0, 3, 5, 4)[bar % 4]
        pitches = [tonic + 60 + scale[(degree + k) % 7] for k in (0, 2, 4)]
        notes += [(2, 4 * bar, 4, pitch, 80) for pitch in pitches]
        notes += [(1, 4 * bar + k / 2, 0.5, pitches[0] - 24, 90) for k in range(8)]
        notes += [
            (3, 4 * bar + k, 1, tonic + 72 + scale[(degree + 2 * k) % 7], 100 if k == 0 else 70) for k in range(4)
        ]
        notes += [(9, 4 * bar + k, 0.25, 36 if k % 2 == 0 else 38, 100) for k in range(4)]
    return notes


@pytest.mark.parametrize("bpm", [93, 160])
def test_a_file_is_read_onto_the_grid(bpm):
    file = read(midi([(0, 0, 1, 60, 100), (0, 1.26, 0.5, 62, 90)], bpm=bpm, beats=3, programs={0: 33}))
    assert file.bpm == pytest.approx(bpm, abs=1e-3)
    assert (file.beats, file.programs) == (3, {0: 33})
    assert file.tracks[0] == (Played(0, 4, 60, 100), Played(5, 2, 62, 90))
    assert file.off == 0
    assert read(midi([(0, 0.1, 1, 60, 100), (0, 1, 1, 60, 100)])).off == 0.5


@pytest.mark.parametrize("tonic", [0, 2, 7, 11])
def test_a_song_in_any_key_is_the_same_piece(tonic):
    file = read(midi(song(tonic), programs={1: 33, 2: 89, 3: 80}))
    ((conditions, tokens),) = freedoom.stretches(file, freedoom.busyness(40))
    assert (conditions.scale, conditions.bars, conditions.beats, conditions.bpm) == ("minor", 8, 4, 120)
    chords = [(word - t.FIRST) // len(t.SHAPES) for word in t.harmony(tokens)[::16]]
    assert chords == [0, 3, 5, 4, 0, 3, 5, 4]
    bass = tokens[t.BASS].reshape(8, 16)
    steps = (bass[:, ::2] - t.FIRST) // 2 + t.LOWEST[t.BASS]
    assert (bass[:, ::2] >= t.FIRST).all()
    assert (steps % 7 == 0).all(), "the bass plays roots"
    assert set(tokens[t.DRUM, ::4]) == {t.KICK, t.SNARE}
    lead = tokens[t.LEAD]
    assert (lead[::4] >= t.FIRST).all()
    assert ((lead[::16] - t.FIRST) % 2 == 1).all(), "the first note of each bar is accented"


def test_what_is_played_by_hand_or_in_another_bar_is_left_out():
    scale = freedoom.busyness(40)
    late = [(c, start + 0.09, length, p, v) for c, start, length, p, v in song()]
    assert not list(freedoom.stretches(read(midi(late)), scale))
    assert not list(freedoom.stretches(read(midi(song(), beats=7)), scale))
    chromatic = [(0, k / 4, 0.25, 48 + k % 12, 90) for k in range(128)] + [
        (1, k, 1, 60 + k % 12, 90) for k in range(32)
    ]
    assert not list(freedoom.stretches(read(midi(chromatic)), scale))


@pytest.mark.slow
def test_freedoom_gives_hundreds_of_pieces_that_can_be_played(tmp_path):
    pytest.importorskip("vizdoom")
    found = list(freedoom.pieces())
    assert len(found) > 300
    for conditions, tokens in found:
        score = t.to_score(tokens, conditions)
        assert {note.pitch % 12 for note in score.notes if note.stream} <= {p % 12 for p in SCALES[conditions.scale]}
        assert 0 <= conditions.intensity <= 1
    assert len({conditions.styles for conditions, _ in found}) >= 5
    pool = of_freedoom(freedoom.HELD_OUT, tmp_path / "held.npz")
    assert 0 < len(pool) < len(found)
    assert not pool.loop.any()
    for first, frames in zip(pool.first, pool.frames, strict=True):
        words = pool.tokens[t.CHORDS, first : first + frames].astype(int)
        assert len(np.unique((words[words >= t.FIRST] - t.FIRST) // len(t.SHAPES))) >= FEWEST
