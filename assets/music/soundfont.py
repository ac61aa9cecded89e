"""A SoundFont that the user names plays instead of the built-in instruments; everything after the single note stays the same.

The player is the package tinysoundfont (MIT). Its requirement pyaudio only plays to loudspeakers and is not needed here. No SoundFont
comes with Cadenza, because most are under terms that a game would have to carry on.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ..refusal import Corrupt, Refusal
from .bank import Bank
from .drumsets import ROOMS, SETS, in_room
from .signal import Wave, fade_in, fade_out, levelled
from .tone import Tone

PROGRAMS: dict[str, int] = {
    "sub bass": 39, "round bass": 33, "saw bass": 38, "square bass": 38, "dark bass": 39, "fm bass": 36, "upright bass": 32, "pick bass": 34,
    "warm pad": 89, "dark pad": 89, "air pad": 88, "glass pad": 92, "strings": 48, "choir": 52, "low choir": 52, "brass section": 61,
    "saw stack": 62, "electric piano": 4, "soft piano": 0, "steel guitar": 25, "nylon guitar": 24, "harp": 46, "muted pluck": 28,
    "saw pluck": 81, "square pluck": 80, "metal pluck": 11, "glass bell": 98, "music box": 10, "marimba": 12, "kalimba": 108,
    "vibraphone": 11, "glockenspiel": 9, "tubular bell": 14, "flute": 73, "whistle": 78, "reed": 71, "soft lead": 80, "square lead": 80,
    "saw lead": 81, "trumpet": 56, "cello": 42, "glass lead": 98,
}  # fmt: skip
"""The General MIDI program, from 0, that stands in for each instrument."""
DRUMS = 128
"""The SoundFont bank of percussion."""
VELOCITIES = (45, 78, 112)
"""What the three layers play."""
TAIL = 3.0
"""Seconds that a note may go on after its key is let go."""


class FontBank(Bank):
    """Notes of a SoundFont. A program that it lacks is played by program 0, percussion that it lacks by the built-in set."""

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        data = _checked(Path(path))
        self.digest = hashlib.sha256(data).hexdigest()
        self._data, self._players, self._playing = data, {}, threading.Lock()  # type: ignore[var-annotated]
        self._player(48000)

    def stroke(self, drum_set: str, pitch: int, layer: int, variant: int, rate: int, tonic: int | None = None) -> Tone:
        if not self._has(DRUMS, 0, rate):
            return super().stroke(drum_set, pitch, layer, variant, rate, tonic)

        def make() -> Wave:
            dry = self._play(DRUMS, 0, pitch, layer, rate // 20, rate)
            peak = float(np.abs(dry).max())
            if peak == 0:
                return super(FontBank, self).stroke(drum_set, pitch, layer, variant, rate).wave
            dry = dry * np.float32(SETS[drum_set][pitch].level / peak)
            return in_room(dry, *ROOMS[drum_set], pitch in (35, 36), rate)

        wave = self.kept(("font stroke", drum_set, pitch, layer, rate), make)
        return Tone(wave, wave.shape[1])

    def note(self, voice: str, pitch: int, layer: int, held: int, rate: int, heard: int | None = None) -> Tone:
        program = PROGRAMS[voice] if self._has(0, PROGRAMS[voice], rate) else 0

        def make() -> Wave:
            sound = self._play(0, program, pitch, layer, held, rate)
            if not sound.any():
                raise Refusal(
                    "silent",
                    "soundfont",
                    f"program {program} has no sound at pitch {pitch}",
                    "choose a SoundFont with wider instruments",
                )
            return fade_in(levelled(sound, rate), rate // 2000)

        wave = self.kept(("font note", program, pitch, layer, held, rate), make)
        return Tone(wave, wave.shape[1])

    def _player(self, rate: int) -> Any:
        """The synthesiser at a rate, with the font loaded."""
        if rate not in self._players:
            try:
                import tinysoundfont
            except ImportError:
                raise Refusal(
                    "missing",
                    "soundfont",
                    "SoundFonts need the package tinysoundfont",
                    "pip install --no-deps tinysoundfont",
                ) from None
            synth = tinysoundfont.Synth(samplerate=rate)
            try:
                font = synth.sfload(self._data)
            except Exception as error:
                raise Corrupt(
                    "soundfont", f"the file has the head of a SoundFont, but cannot be read: {error}", "fetch it again"
                ) from error
            self._players[rate] = synth, font
        return self._players[rate]

    def _has(self, bank: int, program: int, rate: int) -> bool:
        with self._playing:
            synth, font = self._player(rate)
            try:
                return synth.sfpreset_name(font, bank, program) is not None
            except RuntimeError:
                return False

    def _play(self, bank: int, program: int, pitch: int, layer: int, held: int, rate: int) -> Wave:
        """float32 (2, frames): the note, then its release until it is 80 dB down; the player is silent before and after."""
        with self._playing:
            synth, font = self._player(rate)
            if bank == DRUMS:
                synth.program_select(9, font, 0, program, True)
            else:
                synth.program_select(0, font, bank, program)
            channel = 9 if bank == DRUMS else 0
            synth.noteon(channel, pitch, VELOCITIES[layer])
            first = bytes(synth.generate(held))
            synth.noteoff(channel, pitch)
            rest = bytes(synth.generate(int(TAIL * rate)))
            synth.sounds_off(channel)
            synth.generate(rate // 10)
        sound = np.frombuffer(first + rest, np.float32).reshape(-1, 2).T.copy()
        loud = np.flatnonzero(np.abs(sound).max(axis=0) > 1e-4 * np.abs(sound).max())
        end = min(sound.shape[1], int(loud[-1]) + 1 if len(loud) else 1)
        return fade_out(sound[:, :end], min(end // 2, rate // 50))


def _checked(path: Path) -> bytes:
    """The file's bytes, if they begin as a SoundFont does."""
    if not path.is_file():
        raise Refusal("missing", "soundfont", f"there is no file {path}", "give the path of a .sf2, .sf3 or .sfo file")
    data = path.read_bytes()
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] not in (b"sfbk", b"sfpk"):
        raise Corrupt(
            "soundfont",
            f"{path.name} is not a SoundFont: it begins with {data[:12]!r}",
            "give a .sf2, .sf3 or .sfo file",
        )
    return data
