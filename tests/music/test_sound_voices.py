"""Single notes: in tune, without clicks, without partials that fold back."""

import numpy as np
import pytest

from cadenza.assets.music.bank import Bank
from cadenza.assets.music.drumsets import SETS, VARIANTS, stroke
from cadenza.assets.music.instruments import INSTRUMENTS
from cadenza.assets.music.kits import KITS
from cadenza.assets.music.score import STREAMS
from cadenza.assets.music.signal import hertz

RATE = 48000
LOWEST_PARTIAL = {"fm bass": 0.5, "tubular bell": 0.5, "dark bass": 0.5, "saw bass": 0.5, "round bass": 0.5}
BANK = Bank()


def note(name, pitch, layer=2, held=RATE // 2):
    return BANK.note(name, pitch, layer, held, RATE).whole.astype(np.float64)


def spectrum(sound, size=1 << 17):
    return np.fft.rfftfreq(size, 1 / RATE), np.abs(np.fft.rfft(sound * np.hanning(sound.shape[-1]), size))


@pytest.mark.parametrize("name", INSTRUMENTS)
@pytest.mark.parametrize("pitch", [45, 69])
def test_every_instrument_is_in_tune(name, pitch):
    """Within 8 cents over 2.7 seconds: detuned voices beat around the note, and players of a section differ."""
    frequencies, strength = spectrum(note(name, pitch, 2, 1 << 17).sum(axis=0)[: 1 << 17], 1 << 18)
    near = (frequencies > hertz(pitch - 0.6)) & (frequencies < hertz(pitch + 0.6))
    powers = strength[near] ** 4
    middle = (frequencies[near] * powers).sum() / powers.sum()
    assert abs(1200 * np.log2(middle / hertz(pitch))) < 8


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_nothing_folds_back(name):
    """What would fold back from above half the rate lands anywhere, so also below the lowest partial of a high note: it is empty."""
    pitch = 93
    frequencies, strength = spectrum(note(name, pitch)[0])
    lowest = LOWEST_PARTIAL.get(name, 1.0) * hertz(pitch)
    below = strength[(frequencies > 0.12 * lowest) & (frequencies < 0.8 * lowest)]
    assert 20 * np.log10(below.max() / strength.max()) < -42, "loudest line below the note, dB"
    assert 20 * np.log10(strength[frequencies > 20500].max() / strength.max()) < -60


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_no_note_clicks(name):
    """It begins and ends near zero."""
    for pitch, held in ((48, RATE // 3), (72, RATE // 7)):
        sound = note(name, pitch, 2, held)
        peak = np.abs(sound).max()
        assert np.abs(sound[:, 0]).max() < 0.03 * peak
        assert np.abs(sound[:, -1]).max() < 1e-3 * peak


@pytest.mark.parametrize("name", INSTRUMENTS)
@pytest.mark.parametrize("pitch", [33, 57])
def test_a_wave_is_the_same_whatever_length_it_is_made_to(name, pitch):
    """Within 30 dB, for tanh and beats of two voices: a longer one goes on where a shorter one ends."""
    short, long = (INSTRUMENTS[name].make(pitch, 2, seconds * RATE, RATE) for seconds in (1, 3))
    assert np.abs(short - long[:, :RATE]).max() < 0.032 * np.abs(long).max()


def test_an_instrument_grows_brighter_as_it_is_played_harder():
    for name in INSTRUMENTS:
        if name == "organ":
            continue
        centres = []
        for layer in range(3):
            frequencies, strength = spectrum(note(name, 57, layer)[0])
            centres.append((frequencies * strength**2).sum() / (strength**2).sum())
        assert centres[2] >= centres[0], name


def test_notes_of_an_instrument_are_about_equally_loud_at_all_pitches():
    for name in INSTRUMENTS:
        levels = []
        for pitch in range(40, 90, 7):
            energy = (note(name, pitch) ** 2).mean(axis=0)
            levels.append(10 * np.log10(max(energy[k : k + 5760].mean() for k in range(0, RATE // 2, 1440))))
        assert max(levels) - min(levels) < 6, name


PADS = ("warm pad", "dark pad", "air pad", "glass pad", "strings", "choir", "low choir", "brass section")


@pytest.mark.parametrize("name", PADS)
def test_a_pad_keeps_its_note_where_both_ears_are_one_loudspeaker(name):
    """The first partial loses at most 3 dB, the most of any low pitch; two sides that have nothing in common lose all of it at some."""
    for pitch in range(48, 74):
        sound = note(name, pitch, 1, RATE)
        frequencies, both = spectrum(np.stack([*sound, sound.mean(axis=0)]), 1 << 17)
        first = (frequencies > hertz(pitch - 0.5)) & (frequencies < hertz(pitch + 0.5))
        left, right, mono = (both[:, first] ** 2).sum(axis=1)
        assert 10 * np.log10(mono / ((left + right) / 2)) > -3, pitch


@pytest.mark.parametrize("name", PADS)
def test_a_pad_is_wide(name):
    assert np.mean([np.corrcoef(*note(name, pitch))[0, 1] for pitch in range(48, 74, 5)]) < 0.85


@pytest.mark.parametrize("set_name", SETS)
def test_every_stroke_begins_at_once_and_ends_in_silence(set_name):
    for pitch in range(35, 82):
        sound = stroke(set_name, pitch, 1, 0, RATE)
        level = np.abs(sound).max(axis=0)
        assert np.isfinite(sound).all()
        assert level[0] < 0.05 * level.max()
        assert level[-1] < 1e-3 * level.max()
        assert abs(float(sound.mean())) < 1e-3
        assert np.argmax(level > 0.3 * level.max()) < RATE * 0.2


def test_takes_of_a_stroke_differ_and_all_variants_exist():
    takes = [stroke("acoustic", 42, 1, k, RATE) for k in range(VARIANTS)]
    assert len({t.tobytes() for t in takes}) == VARIANTS


def test_kits_name_what_exists():
    for kit in KITS.values():
        assert kit.drums.voice in SETS
        assert all(kit.parts[s].voice in INSTRUMENTS for s in STREAMS[1:])
        assert sorted(kit.order) == sorted(STREAMS)
        assert KITS["ambient"].parts.keys() == set(STREAMS)


def test_a_bank_forgets_what_was_not_used_for_longest():
    bank = Bank(capacity=3 * RATE * 8)
    first = bank.note("flute", 60, 1, RATE // 2, RATE)
    for pitch in range(61, 70):
        bank.note("flute", pitch, 1, RATE // 2, RATE)
    assert bank.held <= bank.capacity
    again = bank.note("flute", 60, 1, RATE // 2, RATE)
    assert again.piece(0, again.frames).tobytes() == first.piece(0, first.frames).tobytes()
