"""Music without an end: bar after bar, each played as it comes, by the same kits, room and limiter as a loop.

A bar's sound is made of its own notes and of what rings on from the bars before: what comes later changes nothing. Two things
look ahead, hands that play early and the limiter, so a chunk does not begin on its bar but `lead` samples before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from .bank import BANK, Bank
from .drumsets import CHOKED_BY, VARIANTS
from .grid import check_rate
from .instruments import INSTRUMENTS
from .kits import KITS, Kit, Room
from .limiter import MARGIN
from .music import summed
from .render import Master, check_ceiling, check_loudness, interleaved
from .reverb import response
from .score import STREAMS, Note
from .signal import Wave, fade_out, size_for
from .stage import CHOKE, KICKS, TIGHT, dice, duck_shape, late, release_of, sides, strength
from .tone import Tone
from .voices.base import layer_of

EARLY = 512
"""Samples before its bar in which a hand may already play."""
LEAD = EARLY + MARGIN
"""Samples of a chunk before the first beat of its bar: 32 ms at 48 kHz."""
LONGEST_KEY = 8
"""Seconds after which a key that is held on is let go."""
LONGEST_TAIL = 6
"""Seconds for which a stream that has ended may ring."""
AUDIBLE = 1e-4
TYPICAL: dict[str, float] = {
    "ambient": -15.4, "exploration": -18.2, "tense": -19.0, "combat": -16.6, "boss": -13.1, "victory": -16.7,
    "town": -19.6, "dungeon": -19.2, "menu": -17.3,
}  # fmt: skip
"""LUFS of a style's usual piece before any gain, over six seeds of the shipped model; a quiet one lies up to 2.6 below it. A stream cannot
know its loudness beforehand, so each style has one gain: calm bars are quieter than wild ones, and nothing pumps."""


@dataclass(frozen=True)
class Bar:
    """One bar of `beats` quarter notes at `bpm`, to be played by the kit of `style`.

    notes    those that begin in it; `start` in sixteenths of the bar, `length` at most to its end
    held     streams whose notes that reach the bar's end are held on into the next
    carried  by stream, for how many sixteenths of this bar notes held from before go on; those of other streams are let go
    tonic    0 to 11, of the key that drums are tuned to
    """

    notes: tuple[Note, ...]
    beats: int
    bpm: float
    style: str
    held: frozenset[int] = frozenset()
    carried: Mapping[int, int] = field(default_factory=dict)
    tonic: int = 0

    @property
    def frames(self) -> int:
        """Sixteenths."""
        return 4 * self.beats


@dataclass(frozen=True)
class Chunk:
    """The sound around one bar: from `lead` samples before its first beat to as many before that of the next.

    number   of the bar, from 0
    start    sample of the whole stream that is this chunk's first; chunks follow each other without a gap
    audio    float32 (samples, 2): what to play
    stems    by stream, float32 (samples, 2), views that are not contiguous: added in this order they are the mix before the limiter
    limited_db  how far the limiter went at most, 0 or below
    """

    number: int
    start: int
    lead: int
    audio: Wave
    stems: Mapping[str, Wave]
    limited_db: float


@dataclass(eq=False)
class Ringing:
    """A note that sounds from sample `at` of the stream on; `longer` gives so many samples of its wave and more."""

    stream: int
    kit: Kit
    at: int
    tone: Tone
    left: np.float32
    right: np.float32
    pitch: int
    release: int | None  # samples in which it fades when let go; none: it rings
    held: bool = False
    longer: Callable[[int], Wave] | None = None

    @property
    def end(self) -> int:
        return self.at + self.tone.frames

    def let_go(self, at: int, fade: int) -> None:
        """Fades it from sample `at` on."""
        self.held = False
        self.tone = self.tone.ended(max(1, at - self.at + fade), fade)

    def reach(self, end: int) -> Tone:
        """Its tone, whose wave is there up to sample `end`: of a key that is held on, a bar more is made in each bar."""
        heard = min(end - self.at, self.tone.frames)
        if self.longer is not None and self.tone.wave.shape[1] < heard:
            self.tone = replace(self.tone, wave=self.longer(heard))
        return self.tone


Played = tuple[Callable[[], Tone], Callable[[Tone], Ringing]]
"""What is asked of the bank, and the note that it becomes."""


class Player:
    """Plays bars in order; all of its state is what still rings.

    rate        48000 or 44100
    loudness    LUFS, -40 to -10, or a name of PRESETS: about what a usual piece of each style has
    ceiling_db  dBTP, -12 to 0, that the limiter keeps
    """

    def __init__(
        self, rate: int = 48000, *, loudness: float | str = -23.0, ceiling_db: float = -1.0, bank: Bank = BANK
    ) -> None:
        check_ceiling(ceiling_db)
        self.rate, self.target = check_rate(rate), check_loudness(loudness)
        self._master = Master(STREAMS, 0.0, ceiling_db)
        self._bank = bank
        self._number, self._sixteenth = 0, 0
        self._origin: int = LEAD  # where this tempo began, and beats since then
        self._beats, self._bpm = 0, 60.0
        self._ringing: list[Ringing] = []
        self._kicks: list[tuple[int, float]] = []  # sample and bpm of those that still push others down
        self._wet = {stream: np.zeros((2, 0), np.float32) for stream in range(len(STREAMS))}
        self._stems = [np.zeros((2, MARGIN), np.float32) for _ in STREAMS]
        self._mix = np.zeros((2, 2 * MARGIN), np.float32)

    def play(self, bar: Bar) -> Chunk:
        """The sound of the next bar."""
        first, last = self._span(bar)
        if bar.bpm != self._bpm:
            self._origin, self._beats, self._bpm = first, 0, bar.bpm
        self._beats += bar.beats
        self._let_go(bar, first, last)
        self._begin(bar, first, last)
        chunk = self._sound(first - EARLY, last - EARLY)
        self._sixteenth += bar.frames
        return chunk

    def rehearse(self, bar: Bar, going_on: Callable[[], bool]) -> None:
        """Has notes of the next bar made before it is played, one after another while `going_on()`. Nothing else comes of it."""
        for ask, _ in self._played(bar, *self._span(bar)):
            if not going_on():
                return
            self._bank.together([ask])

    def end(self) -> Chunk:
        """What is still heard when nobody plays on: every key is let go, the room rings out. The player is done with it."""
        first = self._after(self._beats)
        for note in self._ringing:
            if note.held:
                note.let_go(first, note.release or 1)
        rings = max([note.end - first for note in self._ringing] + [wet.shape[1] for wet in self._wet.values()])
        rings += max((response(note.kit.room, self.rate).shape[1] for note in self._ringing), default=0)
        length = min(rings, LONGEST_TAIL * self.rate)
        chunk = self._sound(first - EARLY, first + length)
        loud = np.flatnonzero(np.abs(chunk.audio).max(axis=1) > AUDIBLE)
        heard = int(loud[-1]) + 1 if len(loud) else 1
        cut = {name: _faded(stem, heard, self.rate) for name, stem in chunk.stems.items()}
        return replace(chunk, audio=_faded(chunk.audio, heard, self.rate), stems=cut)

    def _span(self, bar: Bar) -> tuple[int, int]:
        """The first sample of a bar that comes next, and the first one after it."""
        first = self._after(self._beats)
        if bar.bpm != self._bpm:
            return first, first + _samples(bar.beats, bar.bpm, self.rate)
        return first, self._after(self._beats + bar.beats)

    def _after(self, beats: int) -> int:
        """The sample so many beats after this tempo began."""
        return self._origin + _samples(beats, self._bpm, self.rate)

    def _let_go(self, bar: Bar, first: int, last: int) -> None:
        """Ends held notes where the bar says so."""
        for note in self._ringing:
            if note.held:
                goes_on = bar.carried.get(note.stream, 0)
                if goes_on < bar.frames or note.stream not in bar.held:
                    note.let_go(_at(goes_on, bar, first, last), note.release or 1)

    def _begin(self, bar: Bar, first: int, last: int) -> None:
        """Begins the bar's notes; those that were not played yet are made together."""
        played = self._played(bar, first, last)
        tones = self._bank.together([ask for ask, _ in played])
        for tone, (_, begun) in zip(tones, played, strict=True):
            new = begun(tone)
            if new.stream == 0:
                self._choke(new)
                if new.pitch in KICKS:
                    self._kicks.append((new.at, bar.bpm))
            self._ringing.append(new)

    def _played(self, bar: Bar, first: int, last: int) -> list[Played]:
        """The bar's notes in the order in which they are laid."""
        together: dict[tuple[int, int], int] = {}
        kit = KITS[bar.style]
        played = []
        for note in sorted(bar.notes, key=lambda n: (n.stream, n.start, n.pitch, n.velocity, n.length)):
            number = together[note.stream, note.start] = together.get((note.stream, note.start), -1) + 1
            start = _at(note.start, bar, first, last)
            chance = dice(replace(note, start=self._sixteenth + note.start))
            if note.stream == 0:
                played.append(self._strike(note, kit, start, chance, bar))
            else:
                held = _at(note.start + note.length, bar, first, last) - start
                on = note.stream in bar.held and note.start + note.length >= bar.frames
                played.append(self._press(note, kit, start, chance, bar, number, held, last if on else None))
        return played

    def _strike(self, note: Note, kit: Kit, at: int, chance: int, bar: Bar) -> Played:
        part = kit.parts["drums"]
        if note.pitch not in KICKS:
            at += late(chance, TIGHT["drums"], kit, self.rate)
        layer = layer_of(note.velocity)
        ask = partial(self._bank.stroke, part.voice, note.pitch, layer, chance % VARIANTS, self.rate, bar.tonic)
        gain = np.float32(strength(note.velocity, chance) * 10 ** ((part.gain + self._gain(bar.style)) / 20))
        return ask, lambda tone: Ringing(0, kit, at, tone, gain, gain, note.pitch, None)

    def _choke(self, stroke: Ringing) -> None:
        """Ends the strokes that this one ends."""
        for other in self._ringing:
            if (
                other.stream == 0
                and stroke.pitch in CHOKED_BY.get(other.pitch, ())
                and other.at < stroke.at < other.end
            ):
                other.let_go(stroke.at, int(CHOKE * self.rate))

    def _press(
        self, note: Note, kit: Kit, at: int, chance: int, bar: Bar, number: int, held: int, on: int | None
    ) -> Played:
        """`on`: the first sample of the next bar, where the key is held on into it."""
        name = STREAMS[note.stream]
        part = kit.parts[name]
        kind = INSTRUMENTS[part.voice]
        at += late(chance, TIGHT.get(name, 1.0), kit, self.rate) + int(number * part.strum * 1e-3 * self.rate)
        release = release_of(kind, self.rate)
        heard = None
        if on is not None and release is not None:  # nobody knows yet for how long
            held = LONGEST_KEY * self.rate - int(kind.release * self.rate)
            heard = max(1, on - at + release) if kind.seconds is None else None
        layer = layer_of(note.velocity)
        ask = partial(self._bank.note, part.voice, note.pitch, layer, held, self.rate, heard)
        gain = strength(note.velocity, chance) * 10 ** ((part.gain + self._gain(bar.style)) / 20)
        left, right = (np.float32(gain * side) for side in sides(part, note.pitch))
        longer = partial(self._bank.wave, part.voice, note.pitch, layer, rate=self.rate)
        held_on = on is not None and release is not None
        return ask, lambda tone: Ringing(note.stream, kit, at, tone, left, right, note.pitch, release, held_on, longer)

    def _gain(self, style: str) -> float:
        return self.target - TYPICAL[style]

    def _sound(self, start: int, end: int) -> Chunk:
        """The dry sound and the room of [start, end), and of that what the limiter can already answer for."""
        self._bank.together([partial(note.reach, end) for note in self._ringing])
        stems = self._bank.together([partial(self._stem, stream, start, end) for stream in range(len(STREAMS))])
        self._ringing = [note for note in self._ringing if note.end > end]
        self._kicks = [(at, bpm) for at, bpm in self._kicks if at + self.rate > end]
        wide = np.concatenate([self._mix, summed(stems)], axis=1)
        audio, limited = self._master.limit(wide)
        self._mix = wide[:, -2 * MARGIN :].copy()
        given = {}
        for stream, stem in enumerate(stems):
            both = np.concatenate([self._stems[stream], stem], axis=1)
            self._stems[stream] = both[:, -MARGIN:].copy()
            given[STREAMS[stream]] = both[:, :-MARGIN].T
        chunk = Chunk(self._number, start - MARGIN, LEAD, interleaved(audio), given, limited)
        self._number += 1
        return chunk

    def _stem(self, stream: int, start: int, end: int) -> Wave:
        """float32 (2, end - start): kit by kit, the newest last, each into its own room."""
        out = np.zeros((2, end - start), np.float32)
        kits = {id(note.kit): note.kit for note in self._ringing if note.stream == stream}
        for kit in kits.values():
            part = kit.parts[STREAMS[stream]]
            dry = np.zeros((2, end - start), np.float32)
            for note in self._ringing:
                if note.stream == stream and note.kit is kit:
                    _lay(dry, note, start, end)
            if part.duck:
                dry *= self._ducked(part.duck, start, end)
            out += dry
            if part.send:
                self._send(stream, kit.room, (dry[0] + dry[1]) * np.float32(part.send * 0.5))
        wet = self._wet[stream]
        count = min(wet.shape[1], end - start)
        out[:, :count] += wet[:, :count]
        self._wet[stream] = wet[:, count:].copy()
        return out

    def _send(self, stream: int, room: Room, dry: Wave) -> None:
        """Adds the room's answer to a stretch; most of it is heard in bars to come."""
        length = len(dry) + response(room, self.rate).shape[1] - 1
        size = size_for(length)
        sent = np.fft.rfft(dry, size)
        wet = np.fft.irfft(sent * spectra(room, self.rate, size), size)[:, :length]
        before = self._wet[stream]
        if before.shape[1] < length:
            before = np.concatenate([before, np.zeros((2, length - before.shape[1]), np.float32)], axis=1)
        before[:, :length] += wet
        self._wet[stream] = before

    def _ducked(self, depth: float, start: int, end: int) -> Wave:
        """The gain (samples,) under the kicks."""
        gain = np.ones(end - start, np.float32)
        for kick, bpm in self._kicks:
            shape = duck_shape(depth, bpm, self.rate)
            low, high = max(kick, start), min(kick + len(shape), end)
            if low < high:
                here = gain[low - start : high - start]
                np.minimum(here, shape[low - kick : high - kick], out=here)
        return gain


@lru_cache(maxsize=16)
def spectra(room: Room, rate: int, size: int) -> NDArray[np.complex64]:
    """(2, size // 2 + 1): what the room makes of a transform of that size."""
    return np.fft.rfft(response(room, rate), size).astype(np.complex64)


def _samples(beats: int, bpm: float, rate: int) -> int:
    """Of so many beats, rounded half up."""
    return int((2 * Fraction(beats * 60 * rate) / Fraction(bpm) + 1) // 2)


def _at(sixteenth: int, bar: Bar, first: int, last: int) -> int:
    """The sample of a sixteenth of a bar."""
    return first + (2 * sixteenth * (last - first) + bar.frames) // (2 * bar.frames)


def _lay(out: Wave, note: Ringing, start: int, end: int) -> None:
    low, high = max(note.at, start), min(note.end, end)
    if low < high:
        piece = note.tone.piece(low - note.at, high - note.at)
        out[0, low - start : high - start] += piece[0] * note.left
        out[1, low - start : high - start] += piece[1] * note.right


def _faded(sound: Wave, frames: int, rate: int) -> Wave:
    """The first so many samples of (samples, 2), the last of them lowered to silence."""
    return interleaved(fade_out(np.ascontiguousarray(sound[:frames].T), min(frames // 2, rate // 20)))
