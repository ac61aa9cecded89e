"""A MIDI file as notes on a grid of sixteenths, channel by channel."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass

import mido

DRUM_CHANNEL = 9


@dataclass(frozen=True)
class Played:
    """A note from the sixteenth `start` on, `length` of them; pitch and velocity 0 to 127."""

    start: int
    length: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class File:
    """bpm     of the file's longest stretch of one tempo
    beats   quarter notes of its usual bar; 0 where the signature changes or is written in other notes
    tracks  by channel, in order of time; programs: the General MIDI program that each channel names first
    off     share of onsets that lie further than a fifth of a sixteenth from the grid
    """

    bpm: float
    beats: int
    tracks: dict[int, tuple[Played, ...]]
    programs: dict[int, int]
    off: float

    @property
    def frames(self) -> int:
        return max((note.start + note.length for notes in self.tracks.values() for note in notes), default=0)


def read(data: bytes) -> File:
    """The file's notes; a key that is struck again is let go before, one that is never let go is left out."""
    file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    grid = file.ticks_per_beat / 4
    tracks: dict[int, list[Played]] = defaultdict(list)
    programs: dict[int, int] = {}
    tempos: list[tuple[int, int]] = [(0, 500_000)]
    signatures = set()
    end = on_grid = count = 0
    for track in file.tracks:
        tick = 0
        open_keys: dict[tuple[int, int], tuple[int, int]] = {}
        for event in track:
            tick += event.time
            end = max(end, tick)
            if event.type == "program_change":
                programs.setdefault(event.channel, event.program)
            elif event.type == "set_tempo":
                tempos.append((tick, event.tempo))
            elif event.type == "time_signature":
                signatures.add((event.numerator, event.denominator))
            elif event.type in ("note_on", "note_off"):
                key = (event.channel, event.note)
                if key in open_keys:
                    begun, velocity = open_keys.pop(key)
                    start = round(begun / grid)
                    length = max(1, round(tick / grid) - start)
                    tracks[event.channel].append(Played(start, length, event.note, velocity))
                if event.type == "note_on" and event.velocity:
                    open_keys[key] = (tick, event.velocity)
                    count += 1
                    on_grid += abs(tick / grid - round(tick / grid)) <= 0.2
    beats = 4 if not signatures else next(iter(signatures))[0] if len(signatures) == 1 else 0
    if any(denominator != 4 for _, denominator in signatures):
        beats = 0
    ordered = {channel: tuple(sorted(notes, key=lambda n: (n.start, n.pitch))) for channel, notes in tracks.items()}
    tempos.sort(key=lambda each: each[0])
    return File(60e6 / _longest(tempos, end), beats, ordered, programs, 1 - on_grid / max(1, count))


def _longest(tempos: list[tuple[int, int]], end: int) -> int:
    """Microseconds a beat of the tempo that holds for most ticks, of tempos (tick, microseconds) in order; of one tick the last counts."""
    held: dict[int, int] = defaultdict(int)
    for (tick, tempo), (after, _) in zip(tempos, [*tempos[1:], (end, 0)], strict=True):
        held[tempo] += max(0, after - tick)
    return max(held, key=lambda tempo: held[tempo])
