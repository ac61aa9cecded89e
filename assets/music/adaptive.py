"""Playing that follows the game: layers by intensity, and the way from one loop into another on a beat, a bar or a marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..refusal import OutOfRange, Refusal, Unknown
from .grid import sample_of
from .kits import KITS
from .limiter import MARGIN, bordered
from .music import Music, summed
from .render import Master, font_bank, interleaved
from .score import STREAMS, Note, Score
from .signal import Wave, fade_out, rise
from .stage import Stage, longest_ring

QUANTA = ("beat", "bar", "end")
"""Where a transition may happen, beside markers."""


def layers(style: str, intensity: float, streams: tuple[str, ...] = STREAMS) -> dict[str, float]:
    """Gains 0 to 1 by stream at an intensity 0 to 1: one stream at 0, all at 1, each coming in over its own stretch, in the order
    that suits the style (`kits.Kit.order`)."""
    if style not in KITS:
        raise Unknown("style", style, KITS)
    if isinstance(intensity, bool) or not 0 <= intensity <= 1:
        raise OutOfRange("intensity", intensity, "a number from 0 to 1")
    order = [name for name in KITS[style].order if name in streams]
    place = intensity * (len(order) - 1)
    come = {name: min(1.0, max(0.0, place - number + 1)) for number, name in enumerate(order)}
    return {name: come[name] ** 2 * (3 - 2 * come[name]) for name in streams}


def blend(music: Music, gains: Mapping[str, float], ceiling_db: float = -1.0) -> Wave:
    """The stems at gains 0 to 2 (streams not named keep theirs, 1), limited: float32 (frames, 2), a loop if it was one."""
    if not music.stems:
        raise _without_stems("music")
    for name, gain in gains.items():
        if name not in music.stems:
            raise Unknown("gains", name, music.stems)
        if isinstance(gain, bool) or not 0 <= gain <= 2:
            raise OutOfRange(f"gains.{name}", gain, "a number from 0 to 2")
    mix = summed([stem * np.float32(gains.get(name, 1.0)) for name, stem in music.stems.items()])
    wide = bordered(np.ascontiguousarray(mix.T), music.score.loops)
    return interleaved(Master((), 0.0, ceiling_db).limit(wide)[0])


def markers(music: Music) -> dict[str, int]:
    """Samples by name: the loop's parts of four bars (`part 1`, ...) and every change of chord (`chord 1`, ...)."""
    score = music.score
    parts = {f"part {k // 4 + 1}": 4 * score.beats * k for k in range(0, score.bars, 4)}
    chords = {f"chord {k + 1}": chord.start for k, chord in enumerate(score.chords)}
    return {name: sample_of(sixteenth, score, music.rate) for name, sixteenth in (parts | chords).items()}


@dataclass(frozen=True)
class Transition:
    """Play loop `a` up to its sample `leaves`, then `audio`, then loop `b` from its sample `enters` on and round and round.

    `audio` is float32 (frames, 2); what is heard of `b` begins `lead` samples into it, `waits` samples pass in `a` from the position
    asked about until it begins.
    """

    audio: Wave
    leaves: int
    enters: int
    lead: int
    waits: int
    kind: str


def transition(
    a: Music,
    b: Music,
    at: str = "bar",
    kind: str = "crossfade",
    *,
    position: int = 0,
    marks: Mapping[str, int] | None = None,
) -> Transition:
    """The way from `a`, being played at sample `position`, into the beginning of `b`.

    at    the next "beat", "bar" or "end" of a, or the name of a marker: of `marks` (samples of a), or of `markers(a)`
    kind  "cut": a rings out under b; "crossfade": over a beat of a; "fill": a's drums fill the bar before;
          "stinger": a stroke and b's chord stand alone for a bar, then b begins
    """
    if kind not in KINDS:
        raise Unknown("kind", kind, KINDS)
    for name, music in (("a", a), ("b", b)):
        if not music.score.loops:
            remedy = 'play it as it is: its bars end at sample `body`; or make it with section="loop"'
            raise Refusal("unsupported", name, "is heard once, so there is no place in it to leave or to enter", remedy)
    if kind != "crossfade" and not a.stems:  # its notes ring out stream by stream
        raise _without_stems("a")
    if a.rate != b.rate:
        raise Refusal("differs", "b.rate", f"a has {a.rate} samples a second and b {b.rate}", "render both at one rate")
    if isinstance(position, bool) or not 0 <= position < a.frames:
        raise OutOfRange("position", position, f"a sample from 0 to {a.frames - 1}")
    crossing = _Crossing(a, b)
    room = crossing.bar if kind == "fill" else 0
    cut = _next(a, at, position, room + crossing.early, markers(a) if marks is None else _checked(marks, a))
    return KINDS[kind](crossing, cut, position)


def _without_stems(field: str) -> Refusal:
    return Refusal("missing", field, "came without its stems", "ask for it with stems")


def _checked(marks: Mapping[str, int], a: Music) -> Mapping[str, int]:
    for name, mark in marks.items():
        if isinstance(mark, bool) or not isinstance(mark, int | np.integer) or not 0 <= mark < a.frames:
            raise OutOfRange(f"marks.{name}", mark, f"a sample from 0 to {a.frames - 1}")
    return marks


def _next(a: Music, at: str, position: int, room: int, marks: Mapping[str, int]) -> int:
    """The first place asked for that leaves `room` samples from the position on; it may lie in a coming turn of the loop."""
    places = {"beat": list(a.beats), "bar": list(a.downbeats), "end": [0]}.get(at)
    if places is None:
        if at not in marks:
            raise Unknown("at", at, (*QUANTA, *marks))
        places = [marks[at]]
    return min(place + max(0, -((place - position - room) // a.frames)) * a.frames for place in places)


class _Crossing:
    """Two loops and the stage of the first, on which it rings out."""

    def __init__(self, a: Music, b: Music) -> None:
        self.a, self.b = a, b
        self.stage = self._stage(a.score, a)
        self.early = max(self._early(a), self._early(b))
        self.bar = -(-a.frames // a.score.bars)

    @staticmethod
    def _stage(score: Score, music: Music) -> Stage:
        return Stage(score, music.rate, bank=font_bank(music.soundfont) if music.soundfont else None)

    @staticmethod
    def _early(music: Music) -> int:
        """Samples before the grid where hands may already play."""
        return int(KITS[music.score.style].loose * 1e-3 * music.rate) + 2

    def ring_out(self, at: int, without: tuple[str, ...] = ()) -> Wave:
        """(2, frames) of a's streams from sample `at` on, at its gain, until they are silent."""
        length = int(longest_ring(KITS[self.a.score.style]) * self.a.rate)
        stems = [self.stage.ring_out(s, at % self.a.frames, length) for s in self.a.stems if s not in without]
        total = summed(stems) if stems else np.zeros((2, length), np.float32)
        total *= np.float32(10 ** (self.a.gain_db / 20))
        heard = np.flatnonzero(np.abs(total).max(axis=0) > 1e-4)
        end = int(heard[-1]) + 1 if len(heard) else 1
        return fade_out(total[:, :end].copy(), min(end // 2, self.a.rate // 20))

    def of_a(self, start: int, end: int, without: tuple[str, ...] = ()) -> Wave:
        """(2, frames) of a as it goes round, without some stems or whole."""
        index = np.arange(start, end) % self.a.frames
        if not without:
            return np.ascontiguousarray(self.a.audio[index].T)
        kept = [np.ascontiguousarray(stem[index].T) for name, stem in self.a.stems.items() if name not in without]
        return summed(kept) if kept else np.zeros((2, end - start), np.float32)

    def entering(self, length: int) -> Wave:
        """(2, length) of b from a little before its first beat, so that hands that play early are heard; that little is faded in."""
        index = np.arange(-self.early, length - self.early) % self.b.frames
        sound = np.ascontiguousarray(self.b.audio[index].T)
        sound[:, : self.early] *= rise(self.early)
        return sound

    def played(self, notes: list[Note], music: Music, bars: int, gain: float = 1.0) -> Wave:
        """(2, frames) of a few notes of so many bars by the kit of a loop, at its gain and tempo, with all of their tails. Heard once:
        going round, what hands play early would be cut from their first beat and come at the end."""
        score = replace(music.score, notes=tuple(notes), chords=(), bars=bars, loops=False)
        stage = self._stage(score, music)
        used = [s for k, s in enumerate(STREAMS) if any(n.stream == k for n in notes)]
        return summed([stage.stem(s, 0, stage.samples) for s in used]) * np.float32(gain * 10 ** (music.gain_db / 20))

    def finished(self, sound: Wave, leaves: int, lead: int, position: int, kind: str) -> Transition:
        """Limited between what is before it in a and what comes after it in b."""
        enters = sound.shape[1] - lead
        after = np.arange(enters, enters + MARGIN) % self.b.frames
        wide = np.concatenate([self.of_a(leaves - MARGIN, leaves), sound, self.b.audio[after].T], axis=1)
        audio = interleaved(Master((), 0.0).limit(np.ascontiguousarray(wide))[0])
        return Transition(audio, leaves % self.a.frames, enters % self.b.frames, lead, leaves - position, kind)


def _cut(crossing: _Crossing, cut: int, position: int) -> Transition:
    leaves = cut - crossing.early
    sound = crossing.ring_out(leaves)
    return crossing.finished(
        _over(sound, crossing.entering(max(sound.shape[1], 2 * crossing.early))),
        leaves,
        crossing.early,
        position,
        "cut",
    )


def _crossfade(crossing: _Crossing, cut: int, position: int) -> Transition:
    """Of equal power over a beat of a: both loops are different music, so their powers add."""
    leaves, length = cut - crossing.early, crossing.bar // crossing.a.score.beats + crossing.early
    turn = np.linspace(0, np.pi / 2, length, dtype=np.float64)
    index = np.arange(-crossing.early, length - crossing.early) % crossing.b.frames
    coming = np.ascontiguousarray(crossing.b.audio[index].T) * np.sin(turn).astype(np.float32)
    going = crossing.of_a(leaves, leaves + length) * np.cos(turn).astype(np.float32)
    return crossing.finished(going + coming, leaves, crossing.early, position, "crossfade")


def _fill(crossing: _Crossing, cut: int, position: int) -> Transition:
    """The last bar of a without its drums, which ring out, and a roll that grows; a cymbal on b's first beat."""
    a, early, bar = crossing.a, crossing.early, crossing.bar
    leaves = cut - bar - early
    steps = 4 * a.score.beats
    notes = [Note(0, k, 1, 36, 96) for k in range(0, steps, 4)]
    toms = (38, 38, 48, 48, 47, 47, 45, 45, 43, 43, 41, 41)
    for k in range(steps // 2, steps):
        far = (k - steps // 2) / max(1, steps - steps // 2 - 1)
        notes.append(Note(0, k, 1, toms[min(len(toms) - 1, int(far * len(toms)))], 64 + int(far * 54)))
    notes.append(Note(0, steps, 8, 49, 112))
    drums = ("drums",) if "drums" in a.stems else ()
    sound = crossing.of_a(leaves, leaves + bar, drums) if drums else crossing.of_a(leaves, leaves + bar)
    if drums:
        others = tuple(s for s in a.stems if s != "drums")
        sound = _over(sound, crossing.ring_out(leaves, others), bar)
    after = crossing.ring_out(leaves + bar, drums)
    sound = _over(np.concatenate([sound, np.zeros((2, after.shape[1]), np.float32)], axis=1), after, None, bar)
    roll = _trimmed(crossing.played(notes, a, 2), a.rate)
    sound = _over(sound, roll, None, early)
    sound = _over(sound, crossing.entering(sound.shape[1] - bar), None, bar)
    return crossing.finished(sound, leaves, bar + early, position, "fill")


def _stinger(crossing: _Crossing, cut: int, position: int) -> Transition:
    """A cymbal, a low drum and b's tonic chord by b's kit while a rings out; b begins a bar of its own later."""
    b, early = crossing.b, crossing.early
    bar = sample_of(4 * b.score.beats, b.score, b.rate)
    third = 4 if b.score.scale in ("major", "lydian", "mixolydian") else 3
    tonic = b.score.tonic
    chord = [Note(2, 0, 2 * b.score.beats, 48 + tonic + step, 112) for step in (0, third, 7)]
    notes = [
        Note(0, 0, 8, 49, 110),
        Note(0, 0, 4, 36, 118),
        Note(0, 0, 4, 41, 110),
        Note(1, 0, 2 * b.score.beats, 36 + tonic, 108),
        *chord,
    ]
    leaves = cut - early
    sound = _over(crossing.ring_out(leaves), _trimmed(crossing.played(notes, b, 1), b.rate), None, early)
    length = max(sound.shape[1], bar + 2 * early)
    sound = _over(np.zeros((2, length), np.float32), sound)
    sound = _over(sound, crossing.entering(length - bar), None, bar)
    return crossing.finished(sound, leaves, bar + early, position, "stinger")


KINDS: dict[str, Callable[[_Crossing, int, int], Transition]] = {
    "cut": _cut,
    "crossfade": _crossfade,
    "fill": _fill,
    "stinger": _stinger,
}


def _over(under: Wave, sound: Wave, length: int | None = None, at: int = 0) -> Wave:
    """The sum of two sounds (2, frames), the second from sample `at` on; as long as needed, or `length`."""
    end = max(under.shape[1], at + sound.shape[1]) if length is None else length
    out = np.zeros((2, end), np.float32)
    out[:, : under.shape[1]] = under[:, :end]
    high = min(end, at + sound.shape[1])
    out[:, at:high] += sound[:, : high - at]
    return out


def _trimmed(sound: Wave, rate: int) -> Wave:
    """Without the silence at its end."""
    heard = np.flatnonzero(np.abs(sound).max(axis=0) > 1e-4)
    end = int(heard[-1]) + 1 if len(heard) else 1
    return fade_out(sound[:, :end].copy(), min(end // 2, rate // 20))
