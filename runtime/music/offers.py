"""What music can be asked for, for `describe` and `cadenza bundles`: styles, words and dials with what is valid."""

from __future__ import annotations

from typing import Any

from ...assets.music.grid import RATES
from ...assets.music.manifest import MusicManifest
from ...assets.music.score import SCALES, STREAMS
from . import conditions as c
from . import fonts
from .resolve import GUIDANCE_LIMIT, PROGRESSION_LIMIT, WEIGHT_LIMIT
from .steering import STEERED
from .terms import AHEAD_LIMIT
from .vocabulary import FEATURED, MOODS, PACES, SECTION_WORDS, STYLE_WORDS, TEMPOS, USUAL


def offers(manifest: MusicManifest) -> dict[str, Any]:
    """Lists of words, and `dials`: what each takes, or its lowest and highest number, and what it is where nothing is said."""
    best = manifest.recommended
    dials: dict[str, dict[str, Any]] = {
        "bpm": {"minimum": c.BPM[0], "maximum": c.BPM[1], "usual": "the style's"},
        **{
            name: {"minimum": 0.0, "maximum": 1.0, "usual": "the style's"}
            for name in ("density", "brightness", "intensity")
        },
        "key": {"of": "a note and a scale", "usual": "C, the style's scale"},
        "scale": {"of": list(SCALES), "usual": "the style's"},
        "bars": {"minimum": c.BARS[0], "maximum": c.BARS[-1], "usual": "8, the section's"},
        "signature": {"of": list(c.SIGNATURES.values()), "usual": "4/4"},
        "progression": {
            "of": f"up to {PROGRESSION_LIMIT} degrees, 0 to 6; none: the model's",
            "usual": "drawn by the seed",
        },
        "weights": {"of": f"a number for each of the styles, above 0, up to {WEIGHT_LIMIT:g}", "usual": "the same"},
        **{name: {"of": list(STREAMS), "usual": "none"} for name in ("only", "mute", "featuring", "reseeded")},
        "temperature": {"minimum": 0.0, "maximum": 10.0, "usual": best.temperature},
        "top_k": {"minimum": 0, "maximum": 65536, "usual": best.top_k},
        "top_p": {"minimum": 0.0, "maximum": 1.0, "usual": best.top_p},
        "guidance": {"minimum": 0.0, "maximum": GUIDANCE_LIMIT, "usual": best.guidance},
        "guidance_beta": {"minimum": 0.0, "maximum": GUIDANCE_LIMIT, "usual": "none"},
        "loudness": {"minimum": -40.0, "maximum": -10.0, "usual": -23.0},
        "rate": {"of": list(RATES), "usual": 48000},
        "soundfont": {"of": list(fonts.FONTS), "usual": "none, the built-in instruments"},
    }
    return {
        "styles": {name: dict(zip(NUMBERS, row, strict=True)) for name, row in USUAL.items()},
        "sections": list(c.SECTIONS),
        "scales": list(SCALES),
        "moods": list(MOODS),
        "tempos": dict(TEMPOS),
        "words": {**STYLE_WORDS, **SECTION_WORDS, **FEATURED, **dict.fromkeys(PACES, "bpm")},
        "streams": list(STREAMS),
        "dials": dials,
        "soundfonts": {name: font.digest for name, font in fonts.FONTS.items()},
        "live": {"ahead": AHEAD_LIMIT, "steered": list(STEERED)},
    }


NUMBERS = ("bpm", "density", "brightness", "intensity", "scale")
