"""What words say of music that plays: "faster", "drums off" and then "with drums", "less intense"."""

import pytest

from cadenza.assets.bundle import load_bundle
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music.resolve import resolve
from cadenza.runtime.music.steering import Course


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(EMBEDDED / "music")


def begun(bundle, prompt, *turns):
    """What plays after these turns, one a bar."""
    course = Course(resolve({"prompt": prompt, "seed": 3}, bundle))
    for bar, words in enumerate(turns, 1):
        course.steer({"prompt": words}, bar)
    return course.at(len(turns)).recipe


@pytest.mark.parametrize(
    ("prompt", "turns", "heard"),
    [
        ("town", ["without drums", "with drums"], ((), (), ("drums",))),
        ("town with drums", ["without drums"], ((), ("drums",), ())),
        ("town with drums", ["only bass"], (("bass",), (), ())),
        ("town, only drums", ["with a melody"], (("drums", "lead"), (), ("lead",))),
        ("town, only drums and bass", ["drums off"], (("bass",), ("drums",), ())),
        ("town without bass", ["bass and drums only"], (("bass", "drums"), (), ())),
        ("town", ["no lead", "no drums", "with a melody"], ((), ("drums",), ("lead",))),
    ],
)
def test_of_two_turns_about_a_stream_the_later_one_counts(bundle, prompt, turns, heard):
    recipe = begun(bundle, prompt, *turns)
    assert (recipe.only, recipe.mute, recipe.featuring) == heard


def test_turns_about_streams_are_heard_in_the_order_of_their_bars_however_they_were_asked_for(bundle):
    course = Course(resolve({"prompt": "town"}, bundle))
    course.steer({"prompt": "with drums"}, 16)
    course.steer({"prompt": "without drums"}, 8)
    assert (course.at(8).recipe.mute, course.at(16).recipe.mute) == (("drums",), ())
    again = Course(course.at(0), course.until(20))
    assert [again.at(bar).recipe for bar in (8, 16)] == [course.at(bar).recipe for bar in (8, 16)]


@pytest.mark.parametrize(
    ("prompt", "turns", "bpm"),
    [
        ("town, 100 bpm", ["faster"], 120),
        ("town, 100 bpm", ["slow down"], 83),
        ("town, 100 bpm", ["faster", "slower"], 100),
        ("town, 190 bpm", ["speed up"], 200),
        ("faster town", [], 125),
        ("town, 100 bpm", ["faster, 90 bpm"], 90),
    ],
)
def test_faster_is_a_fifth_more_of_what_there_is(bundle, prompt, turns, bpm):
    assert begun(bundle, prompt, *turns).bpm == bpm


def test_comparatives_move_as_the_words_that_they_are_of_and_less_moves_back(bundle):
    assert begun(bundle, "combat", "calmer now") == begun(bundle, "combat", "calm")
    assert begun(bundle, "combat", "more intense", "less intense") == begun(
        bundle, "combat", "density 0.65, intensity 0.7"
    )


@pytest.mark.parametrize(
    ("prompt", "ignored"),
    [
        ("town, not dark", ("not", "dark")),
        ("town, not too fast", ("not", "fast")),
        ("town, less drums", ("less", "drums")),
    ],
)
def test_what_is_not_wanted_is_told_and_not_taken_for_what_is(bundle, prompt, ignored):
    found = resolve({"prompt": prompt}, bundle)
    plain = resolve({"prompt": "town"}, bundle)
    assert found.ignored == ignored
    assert found.conditions == plain.conditions
    assert found.recipe.featuring == ()


@pytest.mark.parametrize("words", ["mute the drums", "stop the drums", "drop drums", "remove the drums", "drums off"])
def test_streams_that_are_sent_away_are_muted(bundle, words):
    found = resolve({"prompt": f"town, {words}"}, bundle)
    assert (found.recipe.mute, found.recipe.featuring, found.ignored) == (("drums",), (), ())


@pytest.mark.parametrize(
    ("prompt", "name", "value"),
    [
        ("combat at low intensity", "intensity", 0.2),
        ("town, high energy", "intensity", 0.8),
        ("town, density: high", "density", 0.8),
        ("ambient, full brightness", "brightness", 1.0),
    ],
)
def test_high_and_low_before_a_level_mean_that_level(bundle, prompt, name, value):
    found = resolve({"prompt": prompt}, bundle)
    usual = resolve({"prompt": prompt.split(",")[0].split(" at ")[0]}, bundle)
    assert getattr(found.recipe, name) == value
    assert found.ignored == ()
    others = {"density", "brightness", "intensity"} - {name}
    assert all(getattr(found.recipe, each) == getattr(usual.recipe, each) for each in others)


@pytest.mark.parametrize("prompt", ["boss fight", "epic boss battle", "bossfight"])
def test_a_fight_with_a_boss_sounds_like_the_boss(bundle, prompt):
    assert resolve({"prompt": prompt}, bundle).recipe.styles == ("boss",)


def test_a_boss_and_a_fight_are_a_mixture(bundle):
    assert resolve({"prompt": "boss, fight"}, bundle).recipe.styles == ("boss", "combat")
