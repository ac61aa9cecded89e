"""Steering: what may be changed while a stream plays, and the log of it that is the stream's recipe.

A turn says from which bar on which fields of the recipe are others. Words are read when the turn is asked for, so the log holds
plain fields and replays without them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from ...assets.refusal import Refusal, Unknown, WrongType, misread
from .. import checks
from ..recipe import Canonical
from .conditions import TONICS
from .keys import read_key
from .progressions import drawn
from .recipe import FIELDS, MusicRecipe
from .resolve import MusicResolved, check_streams, resolve
from .terms import KIND, LONGEST, TURNS
from .vocabulary import usual
from .words import Said, name_scale, paced, parse

STEERED = (
    *("prompt", "style", "styles", "weights", "section", "bpm", "key", "scale", "density", "brightness", "intensity"),
    *("progression", "temperature", "top_k", "top_p", "only", "mute", "featuring"),
)
"""What a turn may change; the rest belongs to the stream."""
LEVELS = ("density", "brightness", "intensity")
SOUNDING = ("only", "mute", "featuring")
CHANGED = tuple(name for name in FIELDS if name != "prompt")
TURNS_LIMIT = 4096


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the first beat of `bar` on, these fields of the recipe are these."""

    bar: int
    changes: dict[str, Any]


class StreamRecipe(Canonical, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stream as far as it was made: how it began, how it was steered, how many bars it had, and whether it rang out."""

    kind: str = KIND
    start: MusicRecipe
    steering: tuple[Turn, ...] = ()
    bars: int
    tail: bool = False


def read_recipe(fields: Mapping[str, Any]) -> StreamRecipe:
    try:
        found = msgspec.convert(dict(fields), StreamRecipe)
    except msgspec.ValidationError as error:
        raise misread(error, "recipe", "give a stream's .recipe") from error
    checks.whole(found.bars, "bars", range(LONGEST + 1))
    return found


class Course:
    """What a stream plays from which bar on."""

    def __init__(
        self, start: MusicResolved, turns: Iterable[Turn | Mapping[str, Any]] = (), logged: Iterable[Turn] = ()
    ) -> None:
        """`logged` turns are those of a whole stream, which go before the others at their bars."""
        self.bundle = start.bundle
        self.turns: list[Turn] = []
        self._states = [start]  # before the first turn, and after each
        read = [(turn, f"steering[{at}]") for given in (logged, turns) for at, turn in enumerate(map(_turn, given))]
        # in another order every turn would be merged again with each that comes
        for each, named in sorted(read, key=lambda pair: pair[0].bar):
            try:
                self.steer(each.changes, each.bar)
            except Refusal as refusal:
                if refusal.field == "steering":  # all of it
                    raise
                raise refusal.inside(named if refusal.field == "bar" else f"{named}.changes") from refusal

    def at(self, bar: int) -> MusicResolved:
        return self._states[bisect_right(self.turns, bar, key=_bar_of)]

    def steer(self, asked: Mapping[str, Any], bar: int) -> tuple[Turn, tuple[str, ...]]:
        """Adds a turn; gives it as it is logged, and the words of its prompt that were not known. Refused, nothing has changed."""
        checks.whole(bar, "bar", range(LONGEST))
        if len(self.turns) >= TURNS_LIMIT:
            raise Refusal("busy", "steering", f"the log has {TURNS_LIMIT} turns", "open another stream")
        place = bisect_right(self.turns, bar, key=_bar_of)
        changes, ignored = changed(self._states[place], asked)
        turn = Turn(bar, changes)
        turns = [*self.turns[:place], turn, *self.turns[place:]]
        states = [*self._states[: place + 1], merged(self._states[place], changes)]
        for each in turns[place + 1 :]:  # later turns stand on this one, and are read again as a replay will read them
            states.append(merged(states[-1], changed(states[-1], each.changes)[0]))
        self.turns, self._states = turns, states
        return turn, ignored

    def until(self, bars: int) -> tuple[Turn, ...]:
        """The turns that a stream of so many bars has heard."""
        return tuple(turn for turn in self.turns if turn.bar < bars and turn.changes)


def changed(now: MusicResolved, asked: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of the recipe that a turn changes, and the words that it ignored.

    Another style brings its usual density, brightness and intensity; tempo and key stay what they are until they are named.
    None says nothing, but of `progression` that it is to be drawn anew.
    """
    for name in asked:
        if name not in STEERED:
            raise Unknown(str(name), name, STEERED)
    asked = {name: value for name, value in asked.items() if value is not None or name == "progression"}
    fields = {name: value for name, value in asked.items() if name not in ("prompt", "style", "scale")}
    said = parse(checks.text(asked.get("prompt", ""), "prompt"))
    name_scale(asked, said)
    for name in ("bars", "signature"):
        if name in said.fixed:
            sentence = f"says {name}, which a stream has for as long as it plays"
            raise Refusal("contradiction", "prompt", sentence, "open another stream")
    recipe = now.recipe
    levels = {name: getattr(recipe, name) for name in LEVELS}
    if (named := _named(asked, said)) or "weights" in asked:
        weights = {"weights": asked["weights"]} if "weights" in asked else {}
        found = resolve({"styles": recipe.styles, **named, **weights}, now.bundle).recipe  # checks them
        fields |= {"styles": found.styles, "weights": found.weights}
        levels = {name: usual(found.styles, found.weights)[name] for name in LEVELS}
    for name, by in zip(LEVELS, said.mood, strict=True):
        fields.setdefault(name, said.fixed.get(name, round(min(1.0, max(0.0, levels[name] + by)), 3)))
    moved = said.tempo is not None or said.pace != 1.0
    tempo = {"bpm": paced(recipe.bpm if said.tempo is None else said.tempo, said.pace)} if moved else {}
    known = {**tempo, **{name: value for name, value in said.fixed.items() if name not in ("tonic", "scale")}}
    if "tonic" in said.fixed or "scale" in said.fixed:
        known["key"] = _key(now, said.fixed)
        if asked.get("key") is not None:
            tonic, scale = read_key(checks.text(asked["key"], "key"))
            if said.fixed.get("tonic", tonic) != tonic or said.fixed.get("scale", scale) != scale:
                sentence = f"is {asked['key']!r}, and the prompt says {known['key']}"
                raise Refusal("contradiction", "key", sentence, "say it in one place")
    for name, value in known.items():
        if name in said.fixed and asked.get(name) is not None and _plain(asked[name]) != value:
            raise Refusal(
                "contradiction", name, f"is {asked[name]!r}, and the prompt says {value}", "say it in one place"
            )
        fields.setdefault(name, value)
    if recipe.progression == drawn(now.conditions, recipe.reseeded.get("chords", recipe.seed)):
        fields.setdefault("progression", None)  # nobody named it, so it goes with the scale and the section
    spoken = bool(said.featuring or said.mute or "only" in said.fixed)
    if spoken:
        fields |= _sounding(recipe, asked, said)
    after = merged(now, fields).recipe
    names = {name for name in CHANGED if getattr(after, name) != getattr(recipe, name)}
    if spoken and names & {*SOUNDING}:  # or a turn before it that comes later could stand against it
        names |= {*SOUNDING}
    if names & {"styles", "weights"}:  # or who replays it would give them the levels that are usual
        names |= {*LEVELS}
    changes = {name: getattr(after, name) for name in CHANGED if name in names}
    return msgspec.to_builtins(changes), tuple(said.ignored)


def _sounding(recipe: MusicRecipe, asked: Mapping[str, Any], said: Said) -> dict[str, tuple[str, ...]]:
    """SOUNDING after the words of a turn: they outweigh what was said before it ("with drums" after "without drums"), and no field of
    the turn itself."""
    given = {name: check_streams(asked[name], name) for name in SOUNDING if name in asked}
    only, mute, featuring = (given.get(name, getattr(recipe, name)) for name in SOUNDING)
    alone = said.fixed.get("only", ())
    if "mute" not in given:
        mute = tuple(name for name in mute if name not in said.featuring and name not in alone)
    if "featuring" not in given:
        featuring = tuple(n for n in featuring if n not in said.mute and (not alone or n in alone))
    if "only" not in given and only:
        only = tuple(name for name in (*only, *said.featuring) if name not in said.mute) or only
    return {"only": alone or only, "mute": (*mute, *said.mute), "featuring": (*featuring, *said.featuring)}


def _named(asked: Mapping[str, Any], said: Said) -> dict[str, Any]:
    """The styles that a turn names, by field or in its prompt, as a request has them."""
    given = {name: asked[name] for name in ("style", "styles") if asked.get(name) is not None}
    if len(given) == 2:
        raise Refusal("contradiction", "style", "stands beside styles", "give one of them")
    spoken = {style: said.weights.get(style, 1.0) for style in said.styles}
    if not given:
        return {"styles": spoken} if spoken else {}
    ((name, value),) = given.items()
    styles = [value] if isinstance(value, str) else value
    if spoken and not (isinstance(styles, Collection) and _same(styles, [*spoken])):
        sentence = f"is {value!r}, and the prompt says {', '.join(spoken)}"
        raise Refusal("contradiction", name, sentence, "say it in one place")
    return {"styles": styles}


def _same(styles: Collection[Any], spoken: list[str]) -> bool:
    """Whether both name the same styles, whatever the first hold."""
    return all(style in spoken for style in styles) and all(style in styles for style in spoken)


def merged(now: MusicResolved, fields: Mapping[str, Any]) -> MusicResolved:
    """The recipe with other fields, checked as any request is; its prompt, which no longer says what it is, is gone."""
    if not fields:
        return now
    found = resolve({**now.recipe.to_dict(), **fields, "prompt": ""}, now.bundle)
    return MusicResolved(found.recipe, found.bundle, found.plan, now.ignored, found.conditions)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _key(now: MusicResolved, fixed: Mapping[str, Any]) -> str:
    conditions = now.conditions
    return f"{TONICS[fixed.get('tonic', conditions.tonic)]} {fixed.get('scale', conditions.scale)}"


def _turn(given: Turn | Mapping[str, Any]) -> Turn:
    if isinstance(given, Turn):
        return given
    try:
        return msgspec.convert(dict(given), Turn)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise WrongType("steering", given, TURNS) from error


def _bar_of(turn: Turn) -> int:
    return turn.bar
