"""Prompts as people write them, over the words of the embedded textures."""

import numpy as np
import pytest

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.assets.words import SHAPES, parse
from cadenza.runtime.bundles import EMBEDDED

VOCABULARY = load_bundle(EMBEDDED / "texture").manifest.conditioning


def said(text):
    condition, ignored = parse(text, VOCABULARY)
    return {word: round(float(x), 3) for word, x in zip(VOCABULARY.words, condition, strict=True) if x}, ignored


def alike(text, plain, ignored=()):
    assert said(text) == (said(plain)[0], ignored)


@pytest.mark.parametrize("word", [*VOCABULARY.words, *VOCABULARY.synonyms])
def test_every_word_and_synonym_means_itself_whatever_stands_around_it(word):
    condition, _ = parse(word, VOCABULARY)
    meant = VOCABULARY.synonyms.get(word, word)
    assert np.flatnonzero(condition).tolist() == [VOCABULARY.words.index(meant)]
    for written in (f"{word}!", f'"{word}"', f"({word})", word.upper(), word.replace(" ", "-"), word.replace(" ", "_")):
        np.testing.assert_array_equal(parse(written, VOCABULARY)[0], condition, written)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("mossy-stone", "mossy stone"),
        ("mossy stone: dark", "dark mossy stone"),
        ("blue/green tiles", "blue green tiles"),
        ("cobble stones", "cobblestones"),
        ("rooftile", "roof tiles"),
        ("scifi panels", "sci-fi panel"),
        ("mosses", "moss"),
        ("grasses", "grass"),
        ("icy", "ice"),
        ("muddy", "mud"),
        ("tiled", "tiles"),
        ("stone with cracks", "cracked stone"),
        ("rusted iron", "rusty iron"),
        ("brick:0.5 & moss:0.5", "brick 0.5 moss 0.5"),
        ("brick .5, wet", "brick 0.5, wet"),
    ],
)
def test_other_spellings_say_the_same(text, plain):
    alike(text, plain)


@pytest.mark.parametrize(
    ("text", "plain", "told"),
    [
        ("bricks without moss", "brick", ("without moss",)),
        ("brick, no moss", "brick", ("no moss",)),
        ("stone not wet", "stone", ("not wet",)),
        ("no moss or cracks, dark brick", "dark brick", ("no moss or cracks",)),
        ("moss-free stone", "stone", ("moss free",)),
        ("brick with no visible moss and a zorp", "brick", ("no visible moss", "zorp")),
        ("no, brick", "brick", ("no",)),
        ("brick without zorps, mossy", "mossy brick", ("without", "zorps")),
    ],
)
def test_what_is_left_out_is_not_asked_for_and_is_told(text, plain, told):
    alike(text, plain, told)


SINGLE = sorted({word for word in (*VOCABULARY.words, *VOCABULARY.synonyms) if " " not in word and "-" not in word})


@pytest.mark.parametrize("first", SINGLE)
def test_two_words_side_by_side_are_both_heard(first):
    """But for those that are one word, written apart; and walls."""
    together = {word.replace(" ", "") for word in (*VOCABULARY.words, *VOCABULARY.synonyms)}
    for second in SINGLE:
        one = {first + second, (first + second).removesuffix("s"), first + second + "s"} & together
        if not one and not SHAPES & {first, second}:
            assert said(f"{first} {second}") == said(f"{first}, {second}") == said(f"{second} and {first}"), second


def test_a_prompt_that_only_leaves_out_says_nothing():
    with pytest.raises(Refusal, match="has no word that this bundle knows"):
        said("no moss")


def test_with_a_material_is_its_modifier_and_and_is_a_mixture():
    alike("brick with moss", "mossy brick")
    alike("stone with some snow and dirt", "snowy dirty stone", ("some",))
    assert said("brick and moss")[0] == {"brick": 0.5, "moss": 0.5}
    assert said("brick with gold")[0] == {"brick": 0.5, "gold": 0.5}, "there is no modifier for gold"


def test_a_wall_is_of_the_material_that_is_named():
    alike("brick wall", "brick")
    alike("wall of bricks", "brick")
    alike("muddy ground", "mud")
    alike("wooden panels", "wood")
    assert said("red wall")[0] == {"plaster": 1.0, "red": 1.0}
    assert said("brick 0.5, wall 0.5")[0] == {"brick": 0.5, "plaster": 0.5}, "who weighs it means it"
    assert said("plaster wall")[0] == {"plaster": 1.0}


@pytest.mark.parametrize("number", ["0", "1.5", "7", "-0.5"])
def test_a_strength_that_is_none_is_refused(number):
    with pytest.raises(Refusal, match=f"'{number}' is out of range, valid is a strength above 0 and at most 1"):
        said(f"brick {number}")


def test_what_is_no_word_is_told_and_nothing_else_is():
    assert said("a stone, 石 🔥 & (zorp) …! 2 walls")[1] == ("石", "🔥", "zorp", "2")
