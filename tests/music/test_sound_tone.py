"""Notes as they are played: stretches of shared waves, with fades where they are heard."""

import numpy as np
import pytest

from cadenza.assets.music.bank import Bank
from cadenza.assets.music.instruments import INSTRUMENTS
from cadenza.assets.music.kits import KITS
from cadenza.assets.music.live import Bar, Player
from cadenza.assets.music.score import STREAMS, Note
from cadenza.assets.music.signal import fade_out
from cadenza.assets.music.tone import Tone
from cadenza.assets.music.voices import subtractive

RATE = 48000


def test_a_tone_in_pieces_is_its_wave_with_its_fades():
    wave = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    tone = Tone(wave, 900, ((900, 300),)).ended(800, 50)
    expected = fade_out(wave[:, :900].copy(), 300)
    expected = fade_out(expected[:, :800].copy(), 50)
    assert tone.whole.tobytes() == expected.tobytes()
    cuts = [0, 1, 599, 600, 601, 749, 751, 799, 800]
    pieces = [tone.piece(low, high) for low, high in zip(cuts[:-1], cuts[1:], strict=True)]
    assert np.concatenate(pieces, axis=1).tobytes() == expected.tobytes()
    assert tone.ended(5000, 10) is tone


def test_notes_of_all_lengths_share_a_wave():
    bank = Bank()
    notes = [bank.note("flute", 72, 1, held, RATE) for held in range(10_000, 19_000, 1_000)]
    assert len({id(note.wave) for note in notes}) == len(bank._notes) == 1
    assert len({note.frames for note in notes}) == len(notes)


ENDLESS = {kit.parts[s].voice for kit in KITS.values() for s in STREAMS[1:]}
ENDLESS = sorted(voice for voice in ENDLESS if INSTRUMENTS[voice].seconds is None)


@pytest.mark.parametrize("voice", ENDLESS)
def test_a_key_that_is_held_on_sounds_on_without_a_step(voice):
    """The longer wave, which it then goes on with, is the shorter one to 70 dB below it, where both are."""
    bank = Bank()
    short, long = (bank.wave(voice, 60, 1, n, RATE)[:, : RATE // 2 - RATE // 10] for n in (RATE // 2, RATE))
    assert np.abs(short - long).max() < 3e-4 * np.abs(long).max()


def test_of_a_key_that_is_held_on_a_bar_more_is_made_in_each_bar():
    bank = Bank()
    player = Player(bank=bank)
    lead = STREAMS.index("lead")
    held = frozenset({lead})
    player.play(Bar((Note(lead, 0, 16, 72, 90),), 4, 120.0, "tense", held))
    made = [player._ringing[0].tone.wave.shape[1]]
    for _ in range(2):
        player.play(Bar((), 4, 120.0, "tense", held, {lead: 16}))
        made.append(player._ringing[0].tone.wave.shape[1])
    assert made == sorted(set(made))
    assert made[0] <= 3 * RATE
    assert player._ringing[0].tone.frames == 8 * RATE


def test_a_phase_that_rounds_up_to_a_whole_turn_reads_the_wave_s_beginning():
    rows = subtractive._rows("saw", 2.0, 8.0, 0.8, 110.0, RATE)
    almost = np.full(3, np.float32(1.0))
    for row in (0.0, 3.0, 3.99):
        opened = np.full(3, np.float32(row))
        at_start = subtractive._read(rows, np.zeros(3, np.float32), opened)
        assert subtractive._read(rows, almost, opened) == pytest.approx(at_start, abs=1e-6)
