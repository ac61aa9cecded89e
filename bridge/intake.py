"""What the desk asks of a submit before the runtime sees it: how long it may take, whether its arrays have room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..assets.refusal import Refusal
from ..runtime.pictures import attached, digests_in
from .messages import Limits, Submit
from .payload import unpack_arrays

PLAIN = {
    "kind",
    "bundle",
    "prompt",
    "negative",
    "seed",
    "variation_seed",
    "variation_strength",
    "size",
    "steps",
    "x",
    "y",
}
"""Fields of a recipe that cannot make it long to compile, as long as the steps are few."""
FEW_STEPS = 8


def quick(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe is handed in within a millisecond, so that another thread would only cost its waking."""
    steps = recipe.get("steps", 1)
    return PLAIN.issuperset(recipe) and isinstance(steps, int) and steps <= FEW_STEPS


def kinds_of(runtime: Any) -> dict[str, str]:
    """The kind of each bundle by its name and digest; by "" that of the first, which answers where nothing is named."""
    kinds: dict[str, str] = {}
    for bundle in runtime.describe()["bundles"]:
        for name in ("", bundle.get("digest"), bundle.get("name")):
            kinds.setdefault(name, bundle["kind"])
    return kinds


def kind_of(recipe: Mapping[str, Any], kinds: Mapping[str, str]) -> object:
    """The kind that a recipe says, else that of the bundle it is answered by; None where there is no such bundle."""
    kind, bundle = recipe.get("kind"), recipe.get("bundle")
    if kind is not None or not isinstance(bundle, str | None):
        return kind
    return kinds.get(bundle or "")


def check_room(submit: Submit, entries: Iterable[Any], limits: Limits) -> None:
    """Refuses a submit whose arrays have no room beside those of the unfinished requests."""
    held = sum(part.bytes for entry in entries if entry.final is None for part in entry.submit.payload)
    if held + sum(part.bytes for part in submit.payload) > limits.arrays_bytes:
        sentence = f"{held} bytes of arrays are waiting, the limit is {limits.arrays_bytes}"
        raise Refusal("busy", "payload", sentence, "wait for some requests or cancel them")


def recipe_of(submit: Submit, payload: Sequence[Any]) -> Mapping[str, Any]:
    """The recipe of a submit, with the arrays that came behind it in place of their digests; one that it does not name is refused."""
    if not payload:
        return submit.recipe
    arrays = unpack_arrays(submit.payload, payload)
    for name in arrays.keys() - set(digests_in(submit.recipe)):
        sentence = f"the recipe does not name the array {name[:64]}"
        raise Refusal("contradiction", "payload", sentence, "name it in image or inputs, or leave it out")
    return attached(submit.recipe, arrays)
