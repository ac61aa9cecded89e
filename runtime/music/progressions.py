"""Chords for a request that names none: drawn by its seed from phrases that make the key plain.

A piece is heard in a key when its tonic sounds longest and what surrounds it belongs to no neighbour's triad as well. The phrases
were chosen by that: each opening with each closing of its scale, as the instruments here play them, correlates best with the
tonic's own profile (C. Krumhansl, Cognitive Foundations of Musical Pitch, 1990; D. Temperley, What's Key for Key?, 1999,
https://doi.org/10.2307/40285812). So the fourth degree is frequent: the tonic is its fifth.
"""

from __future__ import annotations

from ..noise import TOKENS, gumbels
from .conditions import Conditions

PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "major": (
        ("0304", "0034", "0340", "0130", "0310", "0503", "0530", "0030", "0300"),
        ("0340", "0304", "3040", "0310", "0130", "0530", "0034", "5030"),
    ),
    "minor": (
        ("0304", "0340", "0503", "0053", "0530", "0023", "0230", "0030", "0040", "0060", "0600", "0050"),
        ("0340", "0304", "3040", "0034", "0540", "0504"),
    ),
    "harmonic minor": (
        ("0530", "0503", "0310", "0130", "0510", "0105", "0030", "0010", "0300"),
        ("0340", "0304", "0540", "0504", "0034"),
    ),
    "dorian": (
        ("0030", "0300", "0010", "0060", "0600", "0040"),
        ("0320", "0230", "0203", "0302", "0340", "0304", "3020", "0210"),
    ),
    "phrygian": (
        ("0010", "0100", "0001", "0020", "0030", "0050"),
        ("0320", "0230", "0030", "0530", "0203", "0302", "0020"),
    ),
    "lydian": (
        ("0050", "0500", "0020", "0040"),
        ("0050", "0010", "0001", "0500"),
    ),
    "mixolydian": (
        ("0030", "0060", "0600", "0306", "0310", "0340", "0530", "0300"),
        ("0340", "0304", "0310", "0130", "0530", "3040", "5030"),
    ),
}
"""Openings and closings of four bars by scale: a degree a bar, 0 the tonic."""
HOMEWARD = ("ending", "stinger")
"""Sections that end on the tonic: they have the end of what is drawn, the others its beginning."""


def drawn(conditions: Conditions, seed: int) -> tuple[int, ...]:
    """A degree a bar, a function of seed, scale, section and bars alone: openings and closings in turn, one closing for all.

    What goes on for more than eight bars has another opening from the ninth on, and again from the seventeenth.
    """
    openings, closings = PHRASES[conditions.scale]
    comes_home = conditions.section in HOMEWARD
    if comes_home:
        closings = tuple(each for each in closings if each.endswith("0"))
    parts = -(-conditions.bars // 8)
    chance = gumbels(seed, TOKENS, 1, 2, parts, max(len(openings), len(closings)))
    closing = closings[int(chance[1, 0, : len(closings)].argmax())]
    phrases = [openings[int(row[: len(openings)].argmax())] + closing for row in chance[0]]
    degrees = tuple(int(degree) for degree in "".join(phrases))
    return degrees[-conditions.bars :] if comes_home else degrees[: conditions.bars]
