"""Tokens: a frame is a sixteenth, each of the five streams says one word in it. To a score and back.

Melodic streams say rest, hold, or an onset; an onset is a step of the scale and whether it is accented. Bass and arpeggio
count their steps from the root of the chord that sounds, the lead from the tonic. A chord's onset names its degree and
shape; its voices are led from the chord before. Drums say which of DRUMS strike. So every note is in the key, whatever
is drawn, and another key or tempo is the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...assets.music.score import SCALES, STREAMS, Chord, Note, Score
from .conditions import Conditions

Tokens = NDArray[np.int64]
"""(streams, frames)"""

DRUM, BASS, CHORDS, ARPEGGIO, LEAD = range(len(STREAMS))
REST, HOLD, FIRST = 0, 1, 2
DRUMS = (36, 38, 42, 46, 47, 49, 51)
"""General MIDI: kick, snare, closed hat, open hat, tom, crash, ride; bit i of a drum token is DRUMS[i]."""
KICK, SNARE, HAT, OPEN, TOM, CRASH, RIDE = (1 << i for i in range(len(DRUMS)))
SHAPES: dict[str, tuple[int, ...]] = {
    "triad": (0, 2, 4),
    "seventh": (0, 2, 4, 6),
    "suspended": (0, 3, 4),
    "open": (0, 4, 7),
}
"""Steps of the scale above a chord's degree."""
LOWEST = {BASS: -4, ARPEGGIO: -2, LEAD: -3}
STEPS = {BASS: 14, ARPEGGIO: 21, LEAD: 21}
"""Steps of a melodic stream: the lowest, and how many."""
SIZES = tuple(
    {DRUM: 1 << len(DRUMS), CHORDS: FIRST + 7 * len(SHAPES)}.get(stream, FIRST + 2 * STEPS.get(stream, 0))
    for stream in range(len(STREAMS))
)
"""Words of each stream."""
DELAYS = (4, 2, 0, 3, 1)
"""Frames by which each stream comes late (MusicGen's delay pattern, Copet et al. 2023, https://arxiv.org/abs/2306.05284):
chords lead, so that what is played over them knows them."""

VELOCITY = (104, 92, 70, 74, 88)
ACCENT = 16
ROOT_FOLD = 4
"""A chord's root from this degree up is taken an octave lower, so that basses stay low and arpeggios together."""
HIGHER = (6, 7, 8)
"""Tonics, F# to G#, over which basses play an octave higher: so no root lies below E1, the lowest string of a bass."""


def onset(stream: int, step: int, accent: bool = False) -> int:
    """The word for a note of a melodic stream."""
    at = step - LOWEST[stream]
    if not 0 <= at < STEPS[stream]:
        raise ValueError(
            f"step {step} of {STREAMS[stream]} is not in {LOWEST[stream]}..{LOWEST[stream] + STEPS[stream] - 1}"
        )
    return FIRST + 2 * at + accent


def chord(degree: int, shape: str = "triad") -> int:
    """The word for a chord that is struck."""
    return FIRST + degree * len(SHAPES) + list(SHAPES).index(shape)


def harmony(tokens: Tokens) -> NDArray[np.int64]:
    """(frames,) the chord word that governs each frame: the last one struck, round the loop; the tonic where none is."""
    words = tokens[CHORDS]
    onsets = words[words >= FIRST]
    return struck(words, int(onsets[-1]) if len(onsets) else chord(0))


def struck(words: Tokens, before: int) -> NDArray[np.int64]:
    """(frames,) the last chord word struck up to each frame; until the first one it is `before`."""
    onsets = np.nonzero(words >= FIRST)[0]
    last = np.searchsorted(onsets, np.arange(len(words)), side="right")
    found: NDArray[np.int64] = np.append(before, words[onsets])[last]
    return found


def to_score(tokens: Tokens, conditions: Conditions) -> Score:
    """The notes of tokens (5, frames) in the key and tempo of the conditions; of the sections only a loop goes round."""
    loops = conditions.section == "loop"
    governing = harmony(tokens)
    tonic, scale = conditions.tonic, SCALES[conditions.scale]
    notes = [*drum_notes(tokens[DRUM], conditions.beats)]
    notes += _chord_notes(tokens[CHORDS], tonic, scale, conditions.beats, loops)
    for stream in (BASS, ARPEGGIO, LEAD):
        for start, length, word in _sounding(tokens[stream], loops):
            notes.append(melodic_note(stream, start, length, word, int(governing[start]), conditions))
    notes.sort(key=lambda note: (note.start, note.stream, note.pitch))
    return Score(
        notes=tuple(notes),
        chords=chords_of(governing, tonic, scale),
        bars=conditions.bars,
        beats=conditions.beats,
        bpm=conditions.bpm,
        tonic=tonic,
        scale=conditions.scale,
        style=conditions.styles[-1],
        loops=loops,
    )


def melodic_note(stream: int, start: int, length: int, word: int, governing: int, conditions: Conditions) -> Note:
    """The note of an onset of bass, arpeggio or lead under a chord's word."""
    step, accent = divmod(word - FIRST, 2)
    step += LOWEST[stream] + _origin(stream, governing, conditions.tonic)
    pitch = pitch_of(step, conditions.tonic, SCALES[conditions.scale])
    return Note(stream, start, length, pitch, velocity_of(stream, start, conditions.beats, bool(accent)))


def from_score(score: Score) -> Tokens:
    """The tokens of a score whose notes are on the grid, in the key and within the ranges; ValueError names what is not.

    Velocities tell accents only; a melodic stream keeps its highest note where several start together, and a note ends
    where the next one starts.
    """
    tokens = np.zeros((len(STREAMS), score.frames), np.int64)
    scale = SCALES[score.scale]
    _write_chords(tokens[CHORDS], score, scale)
    governing = harmony(tokens)
    for note in score.notes:
        if note.stream == DRUM:
            tokens[DRUM, note.start] |= 1 << DRUMS.index(note.pitch)
    for stream in (BASS, ARPEGGIO, LEAD):
        chosen: dict[int, Note] = {}
        for note in score.notes:
            if note.stream == stream and (note.start not in chosen or chosen[note.start].pitch < note.pitch):
                chosen[note.start] = note
        words = {}
        for start, note in chosen.items():
            step = step_of(note.pitch, score.tonic, scale) - _origin(stream, int(governing[start]), score.tonic)
            accented = note.velocity > velocity_of(stream, start, score.beats, False)
            words[start] = (onset(stream, step, accented), note.length)
        _write(tokens[stream], words)
    return tokens


def pitch_of(step: int, tonic: int, scale: Sequence[int]) -> int:
    """MIDI pitch of a step of the scale; step 0 is the tonic from F#3 to F4."""
    octave, degree = divmod(step, 7)
    return 60 + (tonic + 6) % 12 - 6 + 12 * octave + scale[degree]


def step_of(pitch: int, tonic: int, scale: Sequence[int]) -> int:
    octave, over = divmod(pitch - (60 + (tonic + 6) % 12 - 6), 12)
    if over not in scale:
        raise ValueError(f"pitch {pitch} is not in the scale")
    return 7 * octave + list(scale).index(over)


def chord_parts(word: int) -> tuple[int, tuple[int, ...]]:
    """Degree and steps above it of a chord's word."""
    degree, shape = divmod(word - FIRST, len(SHAPES))
    return degree, tuple(SHAPES.values())[shape]


def voicing(word: int, before: tuple[int, ...] | None) -> tuple[int, ...]:
    """Steps of the scale at which a chord sounds: the placing that moves its voices least from those before.

    Each voice lies within an octave and a half from the step -4; ties go to the lower placing.
    """
    degree, steps = chord_parts(word)
    classes = sorted({(degree + step) % 7 for step in steps})
    wanted = before or _MIDDLE
    best: tuple[int, ...] = ()
    least = 1 << 30
    for octaves in product((-1, 0, 1), repeat=len(classes)):
        placed = tuple(sorted(c + 7 * o for c, o in zip(classes, octaves, strict=True)))
        if placed[0] < -4 or placed[-1] > 8 or placed[-1] - placed[0] > 9:
            continue
        moved = sum(min(abs(p - w) for w in wanted) for p in placed) + sum(
            min(abs(p - w) for p in placed) for w in wanted
        )
        cost = 16 * moved + abs(sum(placed) * 2 // len(placed) - 4)  # of equal ones the one nearest the middle
        if cost < least:
            best, least = placed, cost
    return best


_MIDDLE = (0, 2, 4)


def _origin(stream: int, word: int, tonic: int) -> int:
    """The step of the scale from which a stream counts."""
    if stream == LEAD:
        return 0
    degree = (word - FIRST) // len(SHAPES)
    root = degree - 7 if degree >= ROOT_FOLD else degree
    if stream == ARPEGGIO:
        return root
    return root - (7 if tonic in HIGHER else 14)


def _sounding(words: Tokens, loops: bool) -> list[tuple[int, int, int]]:
    """(start, length, word) of every onset of a stream; holds go round a loop."""
    frames = len(words)
    starts = np.nonzero(words >= FIRST)[0].tolist()
    found = []
    for start in starts:
        length = 1
        longest = frames if loops else frames - start
        while length < longest and words[(start + length) % frames] == HOLD:
            length += 1
        found.append((start, length, int(words[start])))
    return found


def velocity_of(stream: int, frame: int, beats: int, accent: bool) -> int:
    """Louder on the beat and most on the bar's first."""
    at = frame % (4 * beats)
    metric = 8 if at == 0 else 4 if at % 4 == 0 else 0 if at % 2 == 0 else -6
    return VELOCITY[stream] + metric + (ACCENT if accent else 0)


_DRUM_VELOCITY = (112, 104, 66, 78, 92, 98, 70)
_SOFTER = (0, 8, 20)
"""On a beat, between two beats, and elsewhere."""


def drum_notes(words: Tokens, beats: int) -> list[Note]:
    notes = []
    for frame in np.nonzero(words)[0].tolist():
        at = frame % (4 * beats)
        softer = _SOFTER[0 if at % 4 == 0 else 1 if at % 2 == 0 else 2]
        for bit, pitch in enumerate(DRUMS):
            if words[frame] >> bit & 1:
                notes.append(Note(DRUM, frame, 1, pitch, _DRUM_VELOCITY[bit] - softer))
    return notes


def drum_strokes() -> list[tuple[int, int]]:
    """(pitch, velocity) of all strokes that there are."""
    return [(pitch, loud - softer) for pitch, loud in zip(DRUMS, _DRUM_VELOCITY, strict=True) for softer in _SOFTER]


def _chord_notes(words: Tokens, tonic: int, scale: Sequence[int], beats: int, loops: bool) -> list[Note]:
    notes: list[Note] = []
    before: tuple[int, ...] | None = None
    for start, length, word in _sounding(words, loops):
        before = voicing(word, before)
        velocity = velocity_of(CHORDS, start, beats, False)
        notes += [Note(CHORDS, start, length, pitch_of(step, tonic, scale), velocity) for step in before]
    return notes


def chords_of(governing: NDArray[np.int64], tonic: int, scale: Sequence[int]) -> tuple[Chord, ...]:
    found = []
    for frame, word in enumerate(governing.tolist()):
        if frame == 0 or word != governing[frame - 1]:
            degree, steps = chord_parts(word)
            pitches = tuple(pitch_of(degree + step, tonic, scale) % 12 for step in steps)
            found.append(Chord(frame, degree, tuple(dict.fromkeys(pitches))))
    return tuple(found)


def _write_chords(words: Tokens, score: Score, scale: Sequence[int]) -> None:
    lengths: dict[int, int] = {}
    for note in score.notes:
        if note.stream == CHORDS:
            lengths[note.start] = max(note.length, lengths.get(note.start, 0))
    governing = sorted(score.chords, key=lambda chord: chord.start)
    onsets = {}
    for start, length in lengths.items():
        now = next((c for c in reversed(governing) if c.start <= start), governing[-1])
        onsets[start] = (_chord_word(now, score.tonic, scale), length)
    _write(words, onsets)


def _chord_word(found: Chord, tonic: int, scale: Sequence[int]) -> int:
    for shape, steps in SHAPES.items():
        if {pitch_of(found.degree + step, tonic, scale) % 12 for step in steps} == set(found.pitches):
            return chord(found.degree, shape)
    raise ValueError(f"no shape of degree {found.degree} has the pitches {found.pitches}")


def _write(words: Tokens, onsets: dict[int, tuple[int, int]]) -> None:
    """Onsets (word, length) by frame; a note ends where the next one starts, and may go round the loop."""
    frames = len(words)
    for start, (word, _) in onsets.items():
        words[start] = word
    for start, (_, length) in onsets.items():
        for after in range(1, min(length, frames)):
            if words[(start + after) % frames] >= FIRST:
                break
            words[(start + after) % frames] = HOLD
