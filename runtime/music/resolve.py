"""From what a caller asked of music to a complete recipe and the table that makes it; every dial is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...assets.bundle import Bundle
from ...assets.music.grid import check_rate
from ...assets.music.manifest import MusicManifest
from ...assets.music.render import PRESETS, check_loudness
from ...assets.music.score import STREAMS
from ...assets.refusal import Corrupt, OutOfRange, Refusal, Unknown, WrongType
from .. import checks
from ..engine.tokens.plan import TokenPlan
from ..engine.tokens.sampling import Sampling, guided
from ..noise import check_seed
from . import conditions as c
from . import fonts
from .conditions import Conditions, places, vector
from .keys import read_key
from .progressions import drawn
from .recipe import FIELDS, MusicRecipe, from_dict
from .tokens import CHORDS, DRUM, FIRST, LEAD, SHAPES, SIZES, chord
from .vocabulary import USUAL_BARS, usual
from .words import Said, name_scale, paced, parse

ASKED = (*FIELDS, "style", "scale")
SPINE = (CHORDS, LEAD)
SPINE_HEARS = tuple(group for group in c.GROUPS if group != "intensity")
PARTIAL = ("style", "section", "scale", "beats")
"""What the middle evaluation of double guidance hears."""
GUIDANCE_LIMIT = 20.0
PROGRESSION_LIMIT = 64
WEIGHT_LIMIT = 1000.0
TONICS = (chord(0, "triad"),)
"""How the tonic is struck under a progression: with its third, which tells major from minor, and without what would hide it."""


@dataclass(frozen=True, eq=False)
class TokensResolved:
    """A recipe of what is said in tokens, with what the engine needs to make it."""

    recipe: Any
    bundle: Bundle
    plan: TokenPlan
    ignored: tuple[str, ...]

    @property
    def evaluations(self) -> int:
        return self.plan.evaluations


@dataclass(frozen=True, eq=False)
class MusicResolved(TokensResolved):
    """Of a piece of music, or of what a stream plays."""

    recipe: MusicRecipe
    conditions: Conditions


def manifest_of(bundle: Bundle) -> MusicManifest:
    found: object = bundle.manifest
    if not isinstance(found, MusicManifest):
        raise Corrupt("bundle", f"{bundle.manifest.name!r} is no music bundle", "name another one")
    return found


def resolve(request: Mapping[str, Any], bundle: Bundle) -> MusicResolved:
    """Completes a request (any part of a recipe; `style` for one style, `scale` without a note) or refuses it in words."""
    for name in request:
        if name not in ASKED:
            raise Unknown(str(name), name, ASKED)
    asked = {name: value for name, value in request.items() if value is not None}
    manifest = manifest_of(bundle)
    prompt = checks.text(asked.get("prompt", ""), "prompt")
    said = parse(prompt)
    name_scale(asked, said)
    seed, reseeded = check_seed(asked.get("seed", 0)), _reseeded(asked.get("reseeded", {}))
    conditions = conditions_of(asked, said)
    if conditions.progression is None:
        chords = drawn(conditions, reseeded.get(STREAMS[CHORDS], seed))
        conditions = replace(conditions, progression=chords)
    numbers = {
        name: getattr(conditions, name) for name in ("section", "bpm", "density", "brightness", "intensity", "bars")
    }
    only = check_streams(_either(asked, said, "only", ()), "only")
    mute = check_streams((*check_streams(asked.get("mute", ()), "mute"), *said.mute), "mute")
    recipe = from_dict(
        {
            "bundle": bundle.digest,
            "prompt": prompt,
            "seed": seed,
            "reseeded": reseeded,
            "styles": conditions.styles,
            "weights": conditions.weights,
            "key": conditions.key,
            "signature": c.SIGNATURES[conditions.beats],
            "progression": conditions.progression,
            "featuring": check_streams(
                (*check_streams(asked.get("featuring", ()), "featuring"), *said.featuring), "featuring"
            ),
            **numbers,
            **_dials(asked, manifest),
            "rate": check_rate(asked.get("rate", 48000)),
            "loudness": check_loudness(asked.get("loudness", PRESETS["broadcast"])),
            "only": only,
            "mute": mute,
            **_soundfont(asked),
        }
    )
    _check_audible(only, mute, recipe.featuring)
    return MusicResolved(recipe, bundle, plan_of(recipe, conditions, manifest), tuple(said.ignored), conditions)


def conditions_of(asked: Mapping[str, Any], said: Said) -> Conditions:
    """The request's fields, else the prompt's words, else what is usual for the style."""
    styles, weights = _styles(asked, said)
    normal = usual(styles, weights)
    section = checks.one_of(_either(asked, said, "section", "loop"), "section", c.SECTIONS)
    key = read_key(checks.text(asked["key"], "key")) if "key" in asked else None
    tonic, scale = key or (said.fixed.get("tonic", 0), said.fixed.get("scale", normal["scale"]))
    for name, mine, theirs in (("tonic", tonic, said.fixed.get("tonic")), ("scale", scale, said.fixed.get("scale"))):
        if key is not None and theirs is not None and mine != theirs:
            _against("key", asked["key"], f"another {name}")
    levels = {}
    for at, name in enumerate(("density", "brightness", "intensity")):
        moved = min(1.0, max(0.0, normal[name] + said.mood[at]))
        levels[name] = checks.number(_either(asked, said, name, round(moved, 3)), name, 0.0, 1.0)
    bpm = paced(normal["bpm"] if said.tempo is None else said.tempo, said.pace)
    bars = checks.whole(_either(asked, said, "bars", USUAL_BARS[section]), "bars", c.BARS)
    beats = _beats(_either(asked, said, "signature", "4/4"))
    return Conditions(
        styles=styles,
        weights=weights,
        section=section,
        bpm=checks.number(_either(asked, said, "bpm", bpm), "bpm", *c.BPM),
        tonic=tonic,
        scale=scale,
        **levels,
        bars=bars,
        beats=beats,
        progression=_progression(_either(asked, said, "progression", None), bars * beats),
    )


def plan_of(
    recipe: MusicRecipe,
    conditions: Conditions,
    manifest: MusicManifest,
    first: int = 0,
    count: int | None = None,
    strike: bool = False,
) -> TokenPlan:
    """Two groups of evaluations: one that sees chords and lead alone and is deaf to intensity, and one that sees and hears all.

    So another intensity changes neither chords nor lead; each group is as many rows as guidance needs. Of a stream it is the
    plan of `count` frames from the frame `first` on, as the conditions' bars go round and round; `strike`: a chord comes at once.
    """
    sizes, delays, frames = tuple(manifest.sizes), tuple(manifest.delays), count or conditions.frames
    if sizes != SIZES:
        raise Corrupt("sizes", f"are {list(sizes)}, this build's music has {list(SIZES)}", "export the bundle again")
    weights = guided(recipe.guidance, recipe.guidance_beta)
    kept = [k for k, weight in enumerate(weights) if weight]
    middle = (PARTIAL,) if recipe.guidance_beta is not None else ()
    heard: list[tuple[str, ...]] = []
    for all_ in (SPINE_HEARS, tuple(c.GROUPS)):
        levels = [all_, *middle, ()]
        heard += [levels[k] for k in kept]
    steps = frames + max(delays)
    place = places(first, steps, conditions.frames, conditions.beats)
    rows = [np.concatenate([np.tile(vector(conditions, groups), (steps, 1)), place], 1) for groups in heard]
    mix = np.zeros((len(sizes), len(heard)))
    sees = np.ones((len(heard), len(sizes)), np.bool_)
    for stream in range(len(sizes)):
        row = 0 if stream in SPINE else len(kept)
        mix[stream, row : row + len(kept)] = [weights[k] for k in kept]
        sees[: len(kept), stream] = stream in SPINE
    sampling = Sampling(recipe.temperature, recipe.top_k, recipe.top_p)
    return TokenPlan(
        sizes=sizes,
        delays=delays,
        frames=frames,
        conditions=np.stack(rows).astype(np.float32),
        sees=sees,
        mix=mix,
        sampling=(sampling,) * len(sizes),
        allowed={
            **{k: allowed_notes(k, first, frames, strike) for k in map(STREAMS.index, recipe.featuring) if k != CHORDS},
            CHORDS: allowed_chords(conditions, first, frames, strike),
        },
    )


def allowed_notes(stream: int, first: int, count: int, strike: bool) -> NDArray[np.bool_]:
    """(count, words) of a featured stream: it strikes on the very first beat, and where `strike` says so; then it is free."""
    free = np.ones((count, SIZES[stream]), np.bool_)
    if first == 0 or strike:
        free[0, : FIRST if stream != DRUM else 1] = False
    return free


def allowed_chords(conditions: Conditions, first: int, count: int, strike: bool) -> NDArray[np.bool_]:
    """(count, words) of the chord stream: the very first frame strikes one, so that there always is a harmony and a sound; a
    later first one does where `strike` says so.

    Without a progression any chord may come. Under one its chord must be struck where it comes, and no other ever. The
    degrees are spread evenly over whole bars; with more degrees than bars, over beats.
    """
    progression, frames = conditions.progression, first + np.arange(count)
    if not progression:
        free = np.ones((count, SIZES[CHORDS]), np.bool_)
        free[(frames == 0) | (strike & (frames == first)), :FIRST] = False
        return free
    bar = 4 * conditions.beats
    degrees = len(progression)
    each = bar if degrees <= conditions.bars else max(4, conditions.frames // degrees // 4 * 4)
    at = frames % conditions.frames
    words = np.arange(SIZES[CHORDS])
    of_word = (words - FIRST) // len(SHAPES)
    due = np.array(progression)[at // each % degrees][:, None]
    of_chord = (words >= FIRST) & (of_word == due) & ((due > 0) | np.isin(words, TONICS))
    changes = (at % each == 0) | (strike & (frames == first))
    return np.asarray(np.where(changes[:, None], of_chord, of_chord | (words < FIRST)), np.bool_)


def _soundfont(asked: Mapping[str, Any]) -> dict[str, Any]:
    if "soundfont" not in asked:
        if "soundfont_sha256" in asked:
            raise Refusal("contradiction", "soundfont_sha256", "stands without soundfont", "name the SoundFont too")
        return {}
    name = checks.text(asked["soundfont"], "soundfont")
    digest = checks.text(asked["soundfont_sha256"], "soundfont_sha256") if "soundfont_sha256" in asked else None
    return {"soundfont": name, "soundfont_sha256": fonts.find(name, digest).digest}


def _dials(asked: Mapping[str, Any], manifest: MusicManifest) -> dict[str, Any]:
    best = manifest.recommended
    how = Sampling(
        asked.get("temperature", best.temperature), asked.get("top_k", best.top_k), asked.get("top_p", best.top_p)
    )
    beta = asked.get("guidance_beta")
    return {
        "temperature": float(how.temperature),
        "top_k": how.top_k,
        "top_p": float(how.top_p),
        "guidance": checks.number(asked.get("guidance", best.guidance), "guidance", 0.0, GUIDANCE_LIMIT),
        "guidance_beta": None if beta is None else checks.number(beta, "guidance_beta", 0.0, GUIDANCE_LIMIT),
    }


def _styles(asked: Mapping[str, Any], said: Said) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The styles and their weights, the heaviest last; no weights where they are the same."""
    if "style" in asked and "styles" in asked:
        raise Refusal("contradiction", "style", "stands beside styles", "give one of them")
    given = asked.get("styles", asked.get("style"))
    spoken = [said.weights.get(style, 1.0) for style in said.styles] if said.weights else None
    if given is None:
        heard = (said.styles, said.fixed, said.tempo, said.featuring, said.mute)
        if not any(heard) and not any(said.mood) and said.pace == 1.0:
            names = ", ".join(c.STYLES)
            raise Refusal("unknown", "prompt", "has no word that music knows", f"name a style: {names}")
        return _weighed(tuple(said.styles) or ("exploration",), asked.get("weights", spoken))
    styles = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple | Mapping) else None
    if not styles:
        raise WrongType("styles", given, "one style, a list of them, or weights by style")
    for style in styles:
        checks.one_of(style, "style", c.STYLES)
    styles = tuple(dict.fromkeys(styles))
    if said.styles and set(said.styles) != set(styles):
        _against("style", ", ".join(styles), ", ".join(said.styles))
    if isinstance(given, Mapping):
        if "weights" in asked:
            raise Refusal("contradiction", "weights", "stand beside weights in styles", "give one of them")
        return _weighed(styles, list(given.values()))
    if "weights" in asked:
        return _weighed(styles, asked["weights"])
    return _weighed(styles, spoken and [said.weights.get(style, 1.0) for style in styles])


def _weighed(styles: tuple[str, ...], weights: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    if weights is None or weights == () or weights == []:
        return styles, ()
    if not isinstance(weights, list | tuple):
        raise WrongType("weights", weights, "a list with a number for each style")
    if len(weights) != len(styles):
        sentence = f"are {len(weights)}, and there are {len(styles)} styles"
        raise Refusal("contradiction", "weights", sentence, "give each style one")
    for weight in weights:
        if checks.number(weight, "weights", 0.0, WEIGHT_LIMIT) == 0.0:
            raise OutOfRange("weights", weight, f"a number above 0, up to {WEIGHT_LIMIT:g}", "leave the style out")
    if len(set(map(float, weights))) == 1:
        return styles, ()
    last = max(range(len(styles)), key=lambda k: (weights[k], k))
    order = [*(k for k in range(len(styles)) if k != last), last]
    return tuple(styles[k] for k in order), tuple(float(weights[k]) for k in order)


def _either(asked: Mapping[str, Any], said: Said, name: str, usual: Any) -> Any:
    """The field, or what the prompt says; both, where they differ, is a contradiction."""
    if name not in asked:
        return said.fixed.get(name, usual)
    theirs = said.fixed.get(name)
    mine = tuple(asked[name]) if isinstance(asked[name], list) else asked[name]
    if theirs is not None and theirs != mine:
        _against(name, asked[name], theirs)
    return asked[name]


def _against(name: str, mine: Any, theirs: Any) -> None:
    raise Refusal("contradiction", name, f"is {mine!r}, and the prompt says {theirs}", "say it in one place")


def _progression(value: Any, beats: int) -> tuple[int, ...] | None:
    """`beats`: of the whole piece."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(type(each) is int for each in value):
        raise WrongType("progression", value, "a list of degrees, 0 (the tonic) to 6; an empty one leaves them free")
    if len(value) > PROGRESSION_LIMIT or not all(0 <= each <= 6 for each in value):
        raise OutOfRange("progression", list(value), f"up to {PROGRESSION_LIMIT} degrees from 0 (the tonic) to 6")
    if len(value) > beats:
        sentence = f"has {len(value)} chords, and the piece {beats} beats"
        raise Refusal("contradiction", "progression", sentence, "raise bars, or name fewer degrees")
    return tuple(value)


def _beats(value: Any) -> int:
    written = {text: beats for beats, text in c.SIGNATURES.items()}
    return written[checks.one_of(value, "signature", tuple(written))]


def _reseeded(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise WrongType("reseeded", value, 'streams with seeds, such as {"drums": 3}')
    return {
        checks.one_of(name, "reseeded", STREAMS): check_seed(seed, f"reseeded.{name}") for name, seed in value.items()
    }


def check_streams(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise WrongType(name, value, f"a list of streams: {', '.join(STREAMS)}")
    return tuple(dict.fromkeys(checks.one_of(each, name, STREAMS) for each in value))


def _check_audible(only: tuple[str, ...], mute: tuple[str, ...], featuring: tuple[str, ...]) -> None:
    if silent := [name for name in featuring if name in mute or (only and name not in only)]:
        raise Refusal("contradiction", "featuring", f"{', '.join(silent)} are muted", "leave them out of one")
    if both := sorted(set(only) & set(mute)):
        raise Refusal("contradiction", "mute", f"{', '.join(both)} stand in only too", "leave them out of one")
    if set(only or STREAMS) <= set(mute):
        raise Refusal("contradiction", "mute", "leaves nothing that sounds", "mute fewer streams")
