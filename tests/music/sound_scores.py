"""Small scores for the tests of sound, made from a number: no composer, but enough of music for tempo, key and loudness to be heard."""

import random

from cadenza.assets.music.score import SCALES, Chord, Note, Score

STYLES = ("ambient", "exploration", "tense", "combat", "boss", "victory", "town", "dungeon", "menu")
TEMPI = {
    "ambient": 72, "exploration": 96, "tense": 104, "combat": 148, "boss": 132.5, "victory": 120, "town": 108, "dungeon": 80, "menu": 90,
}  # fmt: skip
MODES = {
    "ambient": "lydian", "exploration": "major", "tense": "minor", "combat": "minor", "boss": "harmonic minor",
    "victory": "major", "town": "major", "dungeon": "minor", "menu": "dorian",
}  # fmt: skip


def score(seed=0, style="combat", bars=8, bpm=None, beats=4, tonic=None, scale=None):
    """A loop of four chords: beat, bass on the roots, chords, broken chords, and a tune of steps and leaps in the scale."""
    draw = random.Random(seed)
    tonic = draw.randrange(12) if tonic is None else tonic
    scale = scale or MODES[style]
    steps = SCALES[scale]
    at = lambda degree, low: low + (tonic + steps[degree % 7] - low) % 12  # noqa: E731
    turns = draw.choice([(0, 5, 3, 4), (0, 3, 4, 0), (0, 4, 5, 3)])
    notes, chords, bar = [], [], 4 * beats
    degree = 4
    for number in range(bars):
        start, root = number * bar, turns[number % 4] if number < bars - 1 else 0
        pitches = [at(root + third, 55) for third in (0, 2, 4)]
        chords.append(Chord(start, root, tuple(sorted(p % 12 for p in pitches))))
        notes += [Note(2, start, bar, p, 80 + draw.randrange(20)) for p in pitches]
        for beat in range(beats):
            here = start + 4 * beat
            notes.append(Note(0, here, 1, 38 if beat % 2 else 36, 100 + draw.randrange(20)))
            notes += [Note(0, here + half, 1, 42, 70 + draw.randrange(30)) for half in (0, 2)]
            notes.append(Note(1, here, 3, at(root, 36), 90 + draw.randrange(20)))
            notes += [Note(3, here + k, 1, at(root + (0, 2, 4, 2)[k], 67), 60 + draw.randrange(40)) for k in range(4)]
            length = draw.choice([4, 4, 2])
            for half in range(0, 4, length):
                degree = max(0, min(9, degree + draw.choice([-2, -1, -1, 1, 1, 2])))
                if half == 0 and beat == 0:
                    degree = root % 7 + draw.choice([0, 2])
                pitch = 60 + (tonic + steps[degree % 7]) % 12 + 12 * (degree // 7)
                notes.append(Note(4, here + half, length, pitch, 85 + draw.randrange(25)))
    return Score(tuple(notes), tuple(chords), bars, beats, bpm or TEMPI[style], tonic, scale, style)
