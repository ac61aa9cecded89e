"""What independent analysis hears in the finished loops: tempo, key, and the notes of lead and bass."""

import numpy as np
import pytest
from sound_analysis import heard, key, tempo
from sound_scores import STYLES, score

from cadenza.assets.music.grid import sample_of
from cadenza.assets.music.score import SCALES


@pytest.mark.timeout(1200)  # nine renderings of eight bars: seconds, but minutes on a busy machine
def test_the_tempo_is_heard_within_half_a_percent(rendered):
    """Of nine pieces at most one may be taken for twice or half as fast, as listeners do too."""
    ratios = {style: tempo(m.audio, m.rate) / m.score.bpm for style in STYLES for m in [rendered(style, bars=8)]}
    assert all(min(abs(r * level - 1) for level in (0.5, 1, 2)) < 0.005 for r in ratios.values()), ratios
    assert sum(abs(r - 1) < 0.005 for r in ratios.values()) >= 8, ratios


@pytest.mark.timeout(1200)
def test_the_key_is_heard_in_four_of_five_pieces(rendered):
    right = []
    for style in STYLES:
        for seed in (1, 2):
            music = rendered(style, seed, bars=8)
            tonic, scale = key(music.audio, music.rate)
            third = SCALES[scale][2] == SCALES[music.score.scale][2]
            right.append(tonic == music.score.tonic and third)
    assert np.mean(right) >= 0.8


@pytest.mark.parametrize("stream", ["lead", "bass"])
def test_a_transcriber_hears_four_of_five_notes(rendered, stream):
    number, shares = {"bass": 1, "lead": 4}[stream], {}
    for style in STYLES:
        music = rendered(style, bars=4)
        notes = [n for n in music.score.notes if n.stream == number]
        sound = music.stems[stream] * (0.1 / np.sqrt((music.stems[stream] ** 2).mean()))
        shares[style] = heard(sound, music.rate, notes, lambda s, m=music: sample_of(s, m.score, m.rate))
    assert np.mean(list(shares.values())) >= 0.8, shares
    assert min(shares.values()) >= 0.6, shares


def test_the_transcriber_does_not_hear_what_is_not_there(rendered):
    """The check above can fail: notes moved up by a tritone are not heard."""
    from dataclasses import replace

    music = rendered("victory", bars=4)
    wrong = [replace(n, pitch=n.pitch + 6) for n in score(1, "victory", 4).notes if n.stream == 4]
    assert heard(music.stems["lead"], music.rate, wrong, lambda s: sample_of(s, music.score, music.rate)) < 0.25
