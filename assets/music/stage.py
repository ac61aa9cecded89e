"""Where notes become stems. Any stretch of the loop can be asked for, in any order, and has the same bits as in the whole.

That holds because every sample is a sum in one fixed order, whatever the stretch: the notes of its stream as they stand in `events`,
each from its earliest turn around the loop to its latest, times the ducking; then the blocks of the room from first to last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .bank import BANK, Bank
from .drumsets import CHOKED_BY, VARIANTS
from .grid import loop_samples, sample_of
from .instruments import INSTRUMENTS
from .kits import KITS, Kit, Part
from .reverb import BLOCK, Reverb, response
from .score import STREAMS, Note, Score
from .signal import Wave, fade_out, rise, size_for
from .tone import Tone
from .voices.base import Voice, layer_of

KICKS = (35, 36)
CHOKE = 0.03
"""Seconds in which a stroke fades that another one ends."""
TIGHT = {"drums": 0.35, "bass": 0.5}
"""How loosely these streams play, against the others."""


@dataclass(frozen=True)
class Event:
    """A sound at a sample of the loop (it may lie before 0 or past the end), its gains left and right, and the samples in which it
    fades when it is let go early; none where it rings on."""

    at: int
    tone: Callable[[], Tone]
    left: np.float32
    right: np.float32
    release: int | None = None


class Stage:
    """The score being played by the kit of its style (or another), at a rate.

    `samples` is its length; `body` where its last bar ends, which for a loop is the same.
    """

    def __init__(self, score: Score, rate: int, kit: Kit | None = None, bank: Bank | None = None) -> None:
        self.score, self.rate = score, rate
        self.kit = kit or KITS[score.style]
        self.bank = bank or BANK
        self.body = loop_samples(score, rate)
        self.samples = self.body if score.loops else self.body + int(longest_ring(self.kit) * rate)
        self.turn = self.samples if score.loops else 1 << 62  # when it comes round again
        self.blocks = -(-self.samples // BLOCK)
        self.kicks = sorted(sample_of(n.start, score, rate) for n in score.notes if n.stream == 0 and n.pitch in KICKS)
        self._dry: dict[str, Wave] = {}
        self._filled: dict[str, set[int]] = {}
        self._events: dict[str, list[Event]] = {}
        self._rooms: dict[str, Reverb] = {}

    def stem(self, stream: str, start: int, end: int) -> Wave:
        """float32 (2, end - start) of a stream, 0 <= start < end <= samples, with its room; before any gain of the whole."""
        self._fill(stream, range(start // BLOCK, -(-end // BLOCK)))
        out = self._dry[stream][:, start:end].copy()
        part = self.kit.parts[stream]
        if part.send and self._events[stream]:
            self._add_room(stream, part, out, start, end)
        return out

    def forget(self, stream: str) -> None:
        """Lets go of what was made for a stream's stretches; it is made again when it is asked for."""
        for kept in (self._dry, self._filled, self._events, self._rooms):
            kept.pop(stream, None)

    def _add_room(self, stream: str, part: Part, out: Wave, start: int, end: int) -> None:
        room = self._rooms.setdefault(stream, Reverb(self.kit.room, self.rate, self.blocks))
        send = np.float32(part.send * 0.5)
        for output in range(room.outputs):
            places = _turns(output * BLOCK, 2 * BLOCK, self.turn, start, end)
            if not places:
                continue
            if not room.has(output):
                self._fill(stream, room.dry_blocks(output))
                for block in room.dry_blocks(output):
                    if not room.known(block):
                        at = slice(block * BLOCK, min((block + 1) * BLOCK, self.samples))
                        room.take(block, (self._dry[stream][0, at] + self._dry[stream][1, at]) * send)
            _add(out, room.wet(output), places, start)

    def _fill(self, stream: str, blocks: Sequence[int]) -> None:
        """Makes the dry sound of those blocks that are not there yet, neighbours together."""
        if stream not in self._dry:
            self._dry[stream] = np.zeros((2, self.samples), np.float32)
            self._filled[stream] = set()
            self._events[stream] = list(self._played(stream))
        missing = [b for b in blocks if b not in self._filled[stream]]
        events = self._events[stream] if missing else []
        tones = self.bank.together([event.tone for event in events])
        for first, last in _runs(missing):
            start, end = first * BLOCK, min((last + 1) * BLOCK, self.samples)
            out = self._dry[stream][:, start:end]
            for event, tone in zip(events, tones, strict=True):
                for at, low, high in _turns(event.at, tone.frames, self.turn, start, end):
                    piece = tone.piece(low - at, high - at)
                    out[0, low - start : high - start] += piece[0] * event.left
                    out[1, low - start : high - start] += piece[1] * event.right
            if self.kit.parts[stream].duck:
                out *= self._ducked(self.kit.parts[stream].duck, start, end)
        self._filled[stream].update(missing)

    def ring_out(self, stream: str, at: int, length: int) -> Wave:
        """float32 (2, length): what is still heard of the stream when nobody plays on from sample `at`: keys let go, room included."""
        room = response(self.kit.room, self.rate) if self.kit.parts[stream].send else None
        past = BLOCK * -(-room.shape[1] // BLOCK) if room is not None else 0
        self._fill(stream, range(self.blocks))
        dry = np.zeros((2, past + length), np.float32)
        dry[:, :past] = self._dry[stream][:, np.arange(at - past, at) % self.samples]
        tail = dry[:, past:]
        for event in self._events[stream]:
            tone = event.tone()
            for place, low, high in _turns(event.at, tone.frames, self.samples, at, at + length):
                if place < at:
                    piece = tone.piece(low - place, high - place)
                    if event.release is not None:
                        piece = fade_out(piece[:, : event.release].copy(), event.release)
                    tail[0, low - at : low - at + piece.shape[1]] += piece[0] * event.left
                    tail[1, low - at : low - at + piece.shape[1]] += piece[1] * event.right
        if self.kit.parts[stream].duck:
            tail *= self._ducked(self.kit.parts[stream].duck, at, at + length, at)
        if room is None:
            return tail
        out = tail.copy()
        size = size_for(dry.shape[1] + room.shape[1])
        sent = np.fft.rfft((dry[0] + dry[1]) * np.float32(self.kit.parts[stream].send * 0.5), size)
        for side in (0, 1):
            wet = np.fft.irfft(sent * np.fft.rfft(room[side], size), size)
            out[side] += wet[past : past + length].astype(np.float32)
        return out

    def _ducked(self, depth: float, start: int, end: int, before: int | None = None) -> Wave:
        """The gain (frames,) under the kicks: down within 6 ms, held, up again within an eighth note, at most 0.25 s; `before` leaves
        out kicks from there on."""
        shape = duck_shape(depth, float(self.score.bpm), self.rate)
        gain = np.ones(end - start, np.float32)
        for kick in self.kicks:
            for at, low, high in _turns(kick, len(shape), self.turn, start, end):
                if before is not None and at >= before:
                    continue
                np.minimum(
                    gain[low - start : high - start], shape[low - at : high - at], out=gain[low - start : high - start]
                )
        return gain

    def _played(self, stream: str) -> list[Event]:
        index, part = STREAMS.index(stream), self.kit.parts[stream]
        notes = sorted(
            (n for n in self.score.notes if n.stream == index), key=lambda n: (n.start, n.pitch, n.velocity, n.length)
        )
        together: dict[int, int] = {}
        events = []
        for note in notes:
            number = together[note.start] = together.get(note.start, -1) + 1
            events.append(self._drum(note, part) if index == 0 else self._note(note, part, stream, number))
        return events if self.score.loops else [replace(event, at=max(0, event.at)) for event in events]

    def _drum(self, note: Note, part: Part) -> Event:
        chance = dice(note)
        at = sample_of(note.start, self.score, self.rate)
        if note.pitch not in KICKS:
            at += late(chance, TIGHT["drums"], self.kit, self.rate)
        layer, variant = layer_of(note.velocity), chance % VARIANTS
        bank, rate, tonic, until = self.bank, self.rate, self.score.tonic, self._choked(note)

        def tone() -> Tone:  # does not know the stage: what it holds is free when nobody plays on it
            whole = bank.stroke(part.voice, note.pitch, layer, variant, rate, tonic)
            return whole if until is None else whole.ended(until, int(CHOKE * rate))

        gain = strength(note.velocity, chance) * 10 ** (part.gain / 20)
        return Event(at, tone, np.float32(gain), np.float32(gain))

    def _note(self, note: Note, part: Part, stream: str, number: int) -> Event:
        chance = dice(note)
        start = sample_of(note.start, self.score, self.rate)
        held = sample_of(note.start + note.length, self.score, self.rate) - start
        at = start + late(chance, TIGHT.get(stream, 1.0), self.kit, self.rate)
        at += int(number * part.strum * 1e-3 * self.rate)
        tone = partial(self.bank.note, part.voice, note.pitch, layer_of(note.velocity), held, self.rate)
        gain = strength(note.velocity, chance) * 10 ** (part.gain / 20)
        left, right = sides(part, note.pitch)
        kind = INSTRUMENTS[part.voice]
        release = release_of(kind, self.rate)
        return Event(at, tone, np.float32(gain * left), np.float32(gain * right), release)

    def _choked(self, note: Note) -> int | None:
        """Samples until another stroke ends this one."""
        stops = CHOKED_BY.get(note.pitch)
        if not stops:
            return None
        frames = self.score.frames
        gaps = [n.start - note.start for n in self.score.notes if n.stream == 0 and n.pitch in stops]
        gap = min((g for g in (gap % frames if self.score.loops else gap for gap in gaps) if g > 0), default=None)
        if gap is None:
            return None
        return sample_of(note.start + gap, self.score, self.rate) - sample_of(note.start, self.score, self.rate)


def longest_ring(kit: Kit) -> float:
    """Seconds after which nothing of a kit is heard that was not struck meanwhile."""
    return min(6.0, kit.room.seconds + 3.0)


def duck_shape(depth: float, bpm: float, rate: int) -> Wave:
    """The gain (frames,) from a kick on."""
    down, hold, up = int(0.006 * rate), int(0.03 * rate), int(min(0.25, 30 / bpm) * rate)
    fall = np.concatenate([rise(down), np.ones(hold, np.float32), rise(up)[::-1]])
    return np.float32(1) - np.float32(depth) * fall


def late(chance: int, loose: float, kit: Kit, rate: int) -> int:
    """Samples that a hand is late (or early), between minus and plus the kit's looseness, mostly little."""
    wide = ((chance >> 8 & 0xFFFF) + (chance >> 24 & 0xFFFF)) / 65535 - 1
    return round(wide * loose * kit.loose * 1e-3 * rate)


def sides(part: Part, pitch: int) -> tuple[float, float]:
    """Gains left and right of a pitch, of constant power."""
    side = max(-1.0, min(1.0, part.side + part.spread * (pitch - 66) / 24))
    left, right = (math.sqrt(2) * f((side + 1) * math.pi / 4) for f in (math.cos, math.sin))
    return left, right


def release_of(kind: Voice, rate: int) -> int | None:
    """Samples in which a note fades when its key is let go; none where that changes nothing."""
    return None if kind.rings else max(int(kind.release * rate), rate // 50)


def strength(velocity: int, chance: int) -> float:
    """Velocity 100 is 1; half of it is 9 dB less; a hand differs by at most 0.7 dB."""
    return float((velocity / 100) ** 1.5 * 10 ** (((chance >> 40 & 0xFF) / 255 - 0.5) * 1.4 / 20))


def dice(note: Note) -> int:
    """64 bits that depend on the note alone (the finaliser of SplitMix64), so each loop is played the same way."""
    value = (note.stream << 48) ^ (note.start << 24) ^ (note.pitch << 8) ^ note.velocity
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


def _turns(at: int, length: int, loop: int, start: int, end: int) -> list[tuple[int, int, int]]:
    """Where a sound of `length` samples at `at` falls into [start, end) as the loop goes round: (its place in this turn, from, to).

    Earliest turn first: those whose tail comes around the loop's end lie before 0.
    """
    found = []
    first = at - ((at + length) // loop) * loop
    for place in range(first, end, loop):
        low, high = max(place, start), min(place + length, end)
        if low < high:
            found.append((place, low, high))
    return found


def _add(out: Wave, sound: Wave, places: list[tuple[int, int, int]], start: int) -> None:
    for at, low, high in places:
        out[:, low - start : high - start] += sound[:, low - at : high - at]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each row of neighbours in rising numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
