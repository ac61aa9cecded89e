"""What is made before it is asked for: it is what is asked for, and nothing is heard of it."""

import time
from functools import partial

import numpy as np
import pytest

from cadenza.assets.music.bank import Bank
from cadenza.assets.music.instruments import INSTRUMENTS
from cadenza.assets.music.kits import KITS
from cadenza.assets.music.live import Bar, Player
from cadenza.assets.music.voices import pads
from cadenza.runtime.music import beforehand
from cadenza.runtime.music import tokens as t
from cadenza.runtime.music.conditions import Conditions
from cadenza.runtime.music.reading import Reader, certain
from cadenza.runtime.music.tokens import HAT, KICK, drum_notes

RATE = 48000
CONDITIONS = Conditions(styles=("victory",), bpm=132.0, tonic=2, scale="major")


@pytest.fixture
def words():
    """(streams, frames) of a bar with notes of all lengths, some of which go on behind it."""
    draw = np.random.default_rng(5)
    words = np.full((5, 16), t.HOLD)
    words[t.DRUM] = draw.choice([0, KICK, HAT, KICK | HAT], 16)
    for stream in (t.BASS, t.ARPEGGIO, t.LEAD):
        for frame in range(0, 16, 1 + stream):
            words[stream, frame] = draw.choice([t.REST, t.onset(stream, int(draw.integers(0, 9)))])
    words[t.CHORDS, [0, 3, 8]] = t.chord(0), t.REST, t.chord(4, "seventh")
    return words


def said_by(row, words):
    """What of a bar is said after so many rows: streams come late by their delays."""
    frames = np.arange(words.shape[1])[None] < row - np.array(t.DELAYS)[:, None]
    return np.where(frames, words, -1)


def test_what_notes_of_all_lengths_share_is_made_of_the_first_chord_and_is_what_its_notes_are_made_of(monkeypatch):
    bank = Bank()
    monkeypatch.setattr(beforehand, "BANK", bank)
    pads._loop.cache_clear()
    beforehand.first_chord(CONDITIONS, RATE)
    made = pads._loop.cache_info()
    assert made.misses == 3
    player = Player(RATE, bank=bank)
    bar, _ = Reader().read(np.array([[0] * 16, [0] * 16, [t.chord(0), *[t.HOLD] * 15], [0] * 16, [0] * 16]), CONDITIONS)
    player.play(bar)
    assert pads._loop.cache_info().misses == made.misses
    assert INSTRUMENTS[KITS["town"].chords.voice].shared is None
    beforehand.first_chord(Conditions(styles=("town",)), RATE)  # of these there is nothing to share


def test_a_note_is_certain_when_what_ends_it_is_said(words):
    whole, _ = Reader().read(words, CONDITIONS)
    before = set()
    for row in range(1, 16 + max(t.DELAYS) + 1):
        known = set(certain(said_by(row, words), CONDITIONS).notes)
        assert before <= known <= set(whole.notes)
        before = known
    assert {note for note in whole.notes if note.stream == t.DRUM or note.start + note.length < 16} == before
    assert certain(np.full((5, 16), -1), CONDITIONS).notes == ()
    assert certain(said_by(20, words), CONDITIONS, frozenset({t.LEAD, t.DRUM})).notes == tuple(
        note for note in certain(words, CONDITIONS).notes if note.stream not in (t.LEAD, t.DRUM)
    )


def test_a_bar_that_was_rehearsed_finds_its_notes_made_and_sounds_the_same(words, monkeypatch):
    bar, _ = Reader().read(words, CONDITIONS)
    plain = Player(RATE, bank=Bank()).play(bar)
    bank, missed = Bank(), []
    player = Player(RATE, bank=bank)
    for row in (7, 12, 20):
        player.rehearse(certain(said_by(row, words), CONDITIONS), lambda: True)
    made = set(bank._notes)

    def kept(key, make):
        missed.extend({key} - made)
        return Bank.kept(bank, key, make)

    monkeypatch.setattr(bank, "kept", kept)
    chunk = player.play(bar)
    assert len(missed) < len(made)
    late = [note for note in bar.notes if note.stream != t.DRUM and note.start + note.length == 16]
    assert len(missed) <= 2 * len(late)  # each is asked for when it begins, and for what is heard of it
    assert chunk.audio.tobytes() == plain.audio.tobytes()
    assert all(chunk.stems[name].tobytes() == stem.tobytes() for name, stem in plain.stems.items())


def test_a_rehearsal_ends_when_it_is_told_to():
    bank, left = Bank(), iter((True, True, False))
    notes = tuple(drum_notes(np.full(16, KICK | HAT), 4))
    Player(RATE, bank=bank).rehearse(Bar(notes, 4, 120.0, "town"), lambda: next(left))
    assert len({key[:5] for key in bank._notes}) <= 2


def test_who_helps_makes_what_first_bars_have_and_does_not_wait_for_what_is_not_there(monkeypatch):
    bank, made = Bank(), []
    monkeypatch.setattr(beforehand, "BANK", bank)
    monkeypatch.setattr(beforehand, "first_bars", lambda rate: [partial(made.append, k) for k in range(40)])
    monkeypatch.setattr(beforehand, "all_takes", lambda rate: [])
    ready = beforehand.Beforehand(RATE)
    began = time.monotonic()
    ready.help(60)
    assert time.monotonic() - began < 10
    while len(made) < 40 and time.monotonic() - began < 10:  # what the thread had begun
        time.sleep(0.001)
    assert sorted(made) == list(range(40))


def test_the_strokes_that_first_bars_have_are_asked_for_as_a_player_asks_for_them(monkeypatch):
    """A bar of kicks and hats where they usually are finds all of them made."""
    bank, asked = Bank(), []
    monkeypatch.setattr(beforehand, "BANK", bank)
    for ask in beforehand.first_bars(RATE):
        if ask.func == bank.stroke and ask.args[:2] in (("soft", 36), ("soft", 42)):
            ask()
    made = set(bank._notes)
    words = np.zeros(16, np.int64)
    words[[0, 8]], words[[4, 12]] = KICK | HAT, HAT
    player = Player(RATE, bank=bank)
    monkeypatch.setattr(bank, "kept", lambda key, make: asked.append(key) or Bank.kept(bank, key, make))
    player.play(Bar(tuple(drum_notes(words, 4)), 4, 120.0, "town"))
    strokes = {key for key in asked if key[0] == "stroke" and len(key) == 6}
    assert strokes
    assert strokes <= made
