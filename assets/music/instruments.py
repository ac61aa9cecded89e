"""The pitched instruments by name. A new one is one entry here."""

from __future__ import annotations

from .voices.base import Voice
from .voices.fm import Pair, fm
from .voices.modal import Bar, modal
from .voices.pads import Pad, pad
from .voices.plucked import String, plucked
from .voices.subtractive import Patch, subtractive

_WIDE = ((-9.0, -0.7), (8.0, 0.7), (-2.0, 0.1))
_PAIR = ((-5.0, -0.45), (5.0, 0.45))
_GUITAR = ((105, 22, 1.6), (215, 40, 1.0), (420, 90, 0.5))
_HARP = ((160, 60, 0.5), (380, 120, 0.4))

INSTRUMENTS: dict[str, Voice] = {
    # basses
    "sub bass": subtractive(
        Patch("triangle", dark=1.5, bright=4, close=0.3, attack=0.012, fall=(0.8, 0.8), drive=1.2), 0.12
    ),
    "round bass": subtractive(
        Patch("saw", dark=1.6, bright=6, close=0.14, attack=0.006, fall=(0.5, 0.65), sub=0.25), 0.09
    ),
    "saw bass": subtractive(
        Patch("saw", _PAIR, sub=0.5, dark=2.5, bright=16, close=0.12, resonance=1.1, attack=0.004, drive=1.4), 0.07
    ),
    "square bass": subtractive(
        Patch("square", dark=2.5, bright=12, close=0.16, resonance=1.0, attack=0.004, drive=1.1), 0.07
    ),
    "dark bass": subtractive(
        Patch("saw", ((-11, -0.4), (11, 0.4)), sub=0.6, dark=2, bright=7, close=-0.5, attack=0.02, fall=(1, 0.9)), 0.15
    ),
    "fm bass": fm(Pair(1, 1, 2.6, 0.22, 1.2), Pair(0.5, 0.5, 0.6, 0.3, 1.6, 0.5), release=0.08, detune=1.0),
    "upright bass": plucked(String(2.2, 420, 0.22, 1600, ((98, 30, 0.8), (190, 50, 0.6)), 0.1), release=0.1),
    "pick bass": plucked(String(3.0, 650, 0.13, 2400, ((90, 40, 0.5),), 0.1), release=0.08),
    # beds
    "warm pad": pad(Pad("warm", 20, 0.3), 0.9),
    "dark pad": pad(Pad("dark", 22, 0.35), 0.9),
    "air pad": pad(Pad("air", 28, 0.45, bright=0.5), 1.2),
    "glass pad": pad(Pad("glass", 12, 0.3), 1.2),
    "strings": pad(Pad("strings", 18, 0.12, (1.5, 0.9)), 0.45),
    "choir": pad(Pad("choir", 24, 0.2), 0.7),
    "low choir": pad(Pad("low choir", 26, 0.3), 0.9),
    "brass section": pad(Pad("brass", 13, 0.05, (0.35, 0.7), bright=0.6), 0.25),
    "saw stack": subtractive(
        Patch("saw", (*_WIDE, (4, -0.35)), dark=3, bright=14, close=0.5, attack=0.012, fall=(0.8, 0.75)), 0.18
    ),
    "electric piano": fm(
        Pair(1, 1, 1.7, 0.7, 1.4), Pair(1, 14, 0.5, 0.09, 0.6, 0.5), release=0.18, tremolo=(4.6, 0.12), seconds=4.0
    ),
    "soft piano": fm(Pair(1, 1, 1.4, 0.18, 0.9), Pair(2, 2, 0.8, 0.1, 0.5, 0.35), release=0.2, seconds=4.0),
    "steel guitar": plucked(String(3.4, 1100, 0.17, 4600, _GUITAR), release=0.2),
    # plucks and bells
    "nylon guitar": plucked(String(2.4, 750, 0.2, 3000, _GUITAR), release=0.15),
    "harp": plucked(String(3.2, 900, 0.4, 3400, _HARP, 0.5), release=0.6),
    "muted pluck": plucked(String(0.5, 1600, 0.12, 3200, (), 0.3), release=0.06),
    "saw pluck": subtractive(
        Patch("saw", _PAIR, dark=1.3, bright=14, close=0.07, resonance=1.2, attack=0.003, fall=(0.18, 0.06)), 0.1, 1.4
    ),
    "square pluck": subtractive(
        Patch("square", dark=1.5, bright=9, close=0.09, attack=0.003, fall=(0.2, 0.08)), 0.1, 1.4
    ),
    "metal pluck": fm(Pair(1, 2.76, 2.2, 0.09, 0.3), Pair(1, 1, 0.8, 0.2, 0.4, 0.6), release=0.1, seconds=2.0),
    "glass bell": fm(
        Pair(1, 3.5, 1.3, 0.5, 1.1), Pair(2, 1.41, 0.4, 0.3, 0.6, 0.25), rings=True, seconds=3.0, detune=4
    ),
    "music box": modal(Bar(((1, 1, 0.6), (2.99, 0.35, 0.3), (6.1, 0.16, 0.15)), 0.12, (2500, 9000))),
    "marimba": modal(Bar(((1, 1, 0.28), (3.93, 0.4, 0.08), (9.24, 0.12, 0.03)), 0.2, (500, 2600)), seconds=1.4),
    "kalimba": modal(
        Bar(((1, 1, 0.5), (2.01, 0.14, 0.3), (5.4, 0.22, 0.07), (8.9, 0.1, 0.04)), 0.15, (900, 4500)), seconds=1.8
    ),
    "vibraphone": modal(
        Bar(((1, 1, 1.1), (3.98, 0.28, 0.35), (9.9, 0.08, 0.1)), 0.06, (900, 3500), (5.2, 0.3)), seconds=3.0
    ),
    "glockenspiel": modal(
        Bar(((1, 1, 0.9), (2.756, 0.4, 0.5), (5.404, 0.2, 0.25), (8.933, 0.1, 0.12)), 0.12, (3500, 12000))
    ),
    "tubular bell": modal(
        Bar(((1, 1, 1.2), (2, 0.6, 1.0), (0.5, 0.16, 1.3), (3.0, 0.35, 0.6), (4.2, 0.25, 0.4)), 0.1, (900, 5000)),
        seconds=3.2,
    ),
    # leads
    "flute": subtractive(
        Patch(
            "flute", dark=9, bright=14, close=-0.12, attack=0.05, fall=(1, 0.95), vibrato=(4.8, 12, 0.5), breath=0.09
        ),
        0.12,
    ),
    "whistle": subtractive(
        Patch(
            "triangle", dark=3, bright=5, close=-0.1, attack=0.03, fall=(1, 0.95), vibrato=(5.4, 16, 0.35), breath=0.05
        ),
        0.1,
    ),
    "reed": subtractive(
        Patch("hollow", dark=5, bright=9, close=-0.08, attack=0.03, fall=(0.8, 0.9), vibrato=(4.6, 8, 0.6)), 0.09
    ),
    "soft lead": subtractive(
        Patch("hollow", _PAIR, dark=5, bright=12, close=0.6, attack=0.02, fall=(1, 0.85), vibrato=(5, 10, 0.4)), 0.16
    ),
    "square lead": subtractive(
        Patch(
            "square",
            ((-4, -0.2), (4, 0.2)),
            dark=5,
            bright=12,
            close=0.3,
            attack=0.005,
            fall=(0.5, 0.75),
            vibrato=(5.6, 14, 0.3),
        ),
        0.09,
    ),
    "saw lead": subtractive(
        Patch(
            "saw",
            _WIDE,
            dark=5,
            bright=20,
            close=0.35,
            resonance=0.9,
            attack=0.006,
            fall=(0.6, 0.8),
            vibrato=(5.4, 12, 0.35),
        ),
        0.1,
    ),
    "trumpet": subtractive(
        Patch(
            "saw",
            ((-3, -0.15), (3, 0.15)),
            dark=2.5,
            bright=8,
            close=-0.07,
            attack=0.025,
            fall=(0.8, 0.9),
            vibrato=(5.2, 9, 0.45),
        ),
        0.09,
    ),
    "cello": subtractive(
        Patch("saw", _PAIR, dark=2.2, bright=7, close=-0.18, attack=0.06, fall=(1, 0.95), vibrato=(5.3, 13, 0.35)), 0.14
    ),
    "glass lead": fm(Pair(1, 2, 0.9, 0.8, 3.0), Pair(1, 1, 0.6, 1.5, 3.0, 0.5), release=0.2, detune=6, attack=0.012),
}
