"""The bank of notes: made once, whoever asks and however many at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from sound_scores import score

from cadenza.assets.music import bank as banks
from cadenza.assets.music.bank import Bank
from cadenza.assets.music.drumsets import SETS, retuned, tuning
from cadenza.assets.music.render import render
from cadenza.assets.music.stage import Stage

RATE = 48000


def test_a_note_that_several_threads_ask_for_is_made_once():
    bank, made, asked = Bank(), [], threading.Barrier(3)

    def make():
        made.append(0)
        time.sleep(0.05)
        return np.zeros((2, 10), np.float32)

    def ask(_):
        asked.wait()
        return bank.kept("note", make)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(ask, range(3)))
    assert len(made) == 1
    assert len({id(note) for note in found}) == 1


def test_a_note_that_could_not_be_made_is_told_to_all_and_can_be_asked_for_again():
    bank, waiting = Bank(), threading.Event()

    def fail():
        waiting.wait(5)
        raise ValueError("no such string")

    with ThreadPoolExecutor(2) as pool:
        asks = [pool.submit(bank.kept, "note", fail) for _ in range(2)]
        waiting.set()
        for ask in asks:
            with pytest.raises(ValueError, match="no such string"):
                ask.result(5)
    assert bank.kept("note", lambda: np.ones((2, 1), np.float32)).all()


def test_what_is_asked_for_together_comes_in_order_and_is_what_each_ask_gives():
    pitches = range(60, 72)
    asks = [partial(Bank().note, "flute", pitch, 1, 9000, RATE) for pitch in pitches]
    found = Bank().together(asks)
    for pitch, tone in zip(pitches, found, strict=True):
        assert tone.whole.tobytes() == Bank().note("flute", pitch, 1, 9000, RATE).whole.tobytes()
    assert Bank().together([]) == []


def test_leisure_is_when_nobody_has_asked_for_a_while(monkeypatch):
    monkeypatch.setattr(banks, "LEISURE_S", 0.1)
    bank = Bank()
    bank.together([lambda: time.sleep(0.05)])
    began = time.monotonic()
    bank.at_leisure()
    assert time.monotonic() - began > 0.05
    began = time.monotonic()
    bank.at_leisure()
    assert time.monotonic() - began < 0.05


def test_what_a_stage_forgot_it_makes_again():
    stage = Stage(score(1, "town", 2), RATE, bank=Bank())
    before = stage.stem("chords", 0, stage.samples)
    stage.forget("chords")
    assert not stage._dry
    assert stage.stem("chords", 0, stage.samples).tobytes() == before.tobytes()


def test_a_rendered_piece_keeps_no_stage_in_memory():
    """Of a long piece, what stages hold of each stream would be as much again as the stems."""
    stages = []
    began = Stage.__init__

    def noted(self, *args, **more):
        stages.append(self)
        began(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stage, "__init__", noted)
        render(score(1, "town", 2), RATE)
    assert len(stages) == 1
    assert not stages[0]._dry
    assert not stages[0]._rooms


@pytest.mark.parametrize("drum_set", SETS)
def test_kicks_rest_on_the_tonic_or_its_fifth_and_other_strokes_are_what_they_were(drum_set):
    bank = Bank()
    for tonic in range(12):
        kick = bank.stroke(drum_set, 36, 2, 0, RATE, tonic).whole
        assert kick.shape[1] > 0.7 * bank.stroke(drum_set, 36, 2, 0, RATE).frames
        rest = SETS[drum_set][36].low * tuning(drum_set, 36, tonic)
        away = [(69 + 12 * np.log2(rest / 440) - tonic - step + 6) % 12 - 6 for step in (0, 7)]
        assert min(map(abs, away)) < 1e-6
        assert abs(12 * np.log2(tuning(drum_set, 36, tonic))) <= 3.5
        hat = bank.stroke(drum_set, 42, 2, 0, RATE, tonic)
        assert hat.wave is bank.stroke(drum_set, 42, 2, 0, RATE).wave


def test_a_retuned_sound_has_the_other_pitch():
    time = np.arange(RATE) / RATE
    sine = np.stack([np.sin(2 * np.pi * 60 * time)] * 2).astype(np.float32)
    moved = retuned(sine, 2 ** (3 / 12))
    peak = np.abs(np.fft.rfft(moved[0], 1 << 19)).argmax() * RATE / (1 << 19)
    assert abs(12 * np.log2(peak / 60) - 3) < 0.05
