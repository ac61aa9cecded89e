"""What a request for music may say, and how: weights, words that leave out, keys; and what is refused instead of being ignored."""

import pytest

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.music.conditions import STYLES, vector
from cadenza.runtime.music.opened import open_tokens
from cadenza.runtime.music.resolve import resolve
from cadenza.runtime.music.steering import Course, read_recipe
from cadenza.runtime.music.terms import LONGEST


@pytest.mark.parametrize(
    ("turn", "code", "field"),
    [
        ({"bar": -1, "changes": {"bpm": 100}}, "out_of_range", "steering[1].bar"),
        ({"bar": 4, "changes": {"bpm": 1}}, "out_of_range", "steering[1].changes.bpm"),
        ({"bar": 4, "changes": {"mood": 1}}, "unknown", "steering[1].changes.mood"),
        ({"bar": 4}, "type", "steering"),
    ],
)
def test_a_turn_known_beforehand_is_refused_by_its_place_in_the_steering(network, turn, code, field):
    """By `bar` alone it could be taken for the answer to a `taken`, which leaves the stream open."""
    start = resolve({"prompt": "town", "seed": 3}, network.bundle)
    with pytest.raises(Refusal) as refused:
        Course(start, [{"bar": 9, "changes": {"bpm": 100}}, turn])
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(
    ("stream", "code", "field"),
    [
        ({}, "missing", "start"),
        ({"start": {"kind": "music"}, "bars": 1}, "missing", "start.bundle"),
        ({"start": 5, "bars": 1}, "type", "start"),
    ],
)
def test_what_the_recipe_of_a_stream_lacks_is_told_by_its_field(stream, code, field):
    with pytest.raises(Refusal) as refused:
        read_recipe({"kind": "music stream", **stream})
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.fixture
def course(network):
    return Course(resolve({"prompt": "town, C minor", "seed": 3}, network.bundle))


@pytest.mark.parametrize(
    "asked",
    [
        dict(styles={"combat": 3, "tense": 1}),
        dict(styles={"tense": 1, "combat": 3}),
        dict(styles=["combat", "combat", "tense"], weights=[3, 1]),
        dict(styles=["combat", "tense"], weights=[3, 1]),
        dict(prompt="combat:3 and tense"),
        dict(prompt="tense:1, battle:3"),
        dict(prompt="tense and combat", styles={"combat": 3, "tense": 1}),
    ],
)
def test_styles_have_weights_and_the_heaviest_names_the_sound(network, asked):
    resolved = resolve({"seed": 3, **asked}, network.bundle)
    assert (resolved.recipe.styles, resolved.recipe.weights) == (("tense", "combat"), (1.0, 3.0))
    heard = vector(resolved.conditions)[: len(STYLES)]
    assert heard[STYLES.index("combat")] == pytest.approx(0.75)
    assert heard.sum() == pytest.approx(1.0)
    assert resolved.recipe.key == "C minor"
    assert 104 < resolved.recipe.bpm < 142
    again = resolve(resolved.recipe.to_dict(), network.bundle)
    assert again.recipe.canonical == resolved.recipe.canonical
    assert resolved.plan.digest == again.plan.digest


def test_equal_weights_are_none_and_recipes_without_them_are_what_they_were(network):
    plain = resolve({"styles": ["tense", "combat"], "seed": 3}, network.bundle).recipe
    assert resolve({"styles": {"tense": 2, "combat": 2}, "seed": 3}, network.bundle).recipe.id == plain.id
    assert "weights" not in plain.to_dict()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (dict(styles={"tense": 0, "combat": 1}), "weights"),
        (dict(styles={"tense": -1}), "weights"),
        (dict(styles={"tense": "1"}), "weights"),
        (dict(styles={}), "styles"),
        (dict(styles={"jazz": 1}), "style"),
        (dict(styles=["tense", "combat"], weights=[1]), "weights"),
        (dict(styles={"tense": 1, "combat": 2}, weights=[1, 2]), "weights"),
        (dict(style="tense", weights=3), "weights"),
        (dict(prompt="combat:2 combat:3"), "prompt"),
        (dict(prompt="tense", progression=[0, 1, 2, 3, 4], bars=1), "progression"),
        (dict(prompt="tense, slow, fast"), "prompt"),
        (dict(prompt="tense without drums", featuring=["drums"]), "featuring"),
        (dict(prompt="tense, only drums", only=["bass"]), "only"),
        (dict(prompt="tense, only drums without drums"), "mute"),
        (dict(prompt="tense \ud83d"), "prompt"),
        (dict(prompt="tense", loudness=[1]), "loudness"),
        (dict(prompt="tense", loudness="-16"), "loudness"),
    ],
)
def test_what_cannot_be_weighed_or_would_be_left_out_is_refused_by_its_field(network, asked, field):
    with pytest.raises(Refusal) as refused:
        resolve(asked, network.bundle)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("prompt", "only", "mute", "ignored"),
    [
        ("town without drums", (), ("drums",), ()),
        ("town, no melody or arpeggios!", (), ("lead", "arpeggio"), ()),
        ("town (no bass and no drums)", (), ("bass", "drums"), ()),
        ("drums only, town", ("drums",), (), ()),
        ("town, only bass and drums, 96 bpm", ("bass", "drums"), (), ()),
        ("town without a doubt", (), (), ("without", "doubt")),
        ("town: no dragons", (), (), ("no", "dragons")),
        ("town without any drums", (), ("drums",), ()),
        ("town without loud drums", (), ("drums",), ("loud",)),
        ("town without drums nor bass & lead", (), ("drums", "bass", "lead"), ()),
        ("don't use drums, town", (), ("drums",), ()),
        ("town, bass and drums only", ("bass", "drums"), (), ()),
        ("exploration, without combat", (), (), ("without", "combat")),
        ("town, no fast drums, no danger", (), ("drums",), ("fast", "no", "danger")),
    ],
)
def test_streams_that_a_prompt_leaves_out_are_muted_and_not_featured(network, prompt, only, mute, ignored):
    resolved = resolve({"prompt": prompt}, network.bundle)
    recipe = resolved.recipe
    assert (recipe.only, recipe.mute, recipe.featuring, resolved.ignored) == (only, mute, (), ignored)


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("Town!", "C major"),
        ("a town in A", "A major"),
        ("A dark cave", "C minor"),
        ("town, key of A.", "A major"),
        ("town, Am", "A minor"),
        ("town, F sharp minor", "F# minor"),
        ("B flat major town", "Bb major"),
        ("town in A flat", "Ab major"),
        ("town in a flat land", "C major"),
        ("dungeon, A natural minor", "A minor"),
        ("dungeon, A melodic minor", "A minor"),
        ("dungeon, harmonic minor", "C harmonic minor"),
        ("sad song in a minor key", "C minor"),
        ("a major battle", "C major"),
        ("town in a minor", "A minor"),
        ("town, a minor, slow", "A minor"),
        ("tense a minor 96 bpm", "A minor"),
        ("calm town a minor without drums", "A minor"),
        ("boss a minor i-VI-III-VII", "A minor"),
        ("town in Bb", "Bb major"),
        ("dungeon in Bb", "Bb minor"),
    ],
)
def test_a_note_alone_is_a_tonic_and_a_is_an_article_unless_it_follows_in_or_of(network, prompt, key):
    assert resolve({"prompt": prompt}, network.bundle).recipe.key == key


def test_keys_are_written_in_several_ways(network):
    written = ("F#m", "f# minor", "F♯m", "F sharp minor", "F# natural minor")
    assert {resolve({"prompt": "town", "key": key}, network.bundle).recipe.key for key in written} == {"F# minor"}
    with pytest.raises(Refusal, match="says tonic twice, D and E"):
        resolve({"prompt": "D minor, E minor"}, network.bundle)
    assert resolve({"prompt": "town I–V–vi–IV"}, network.bundle).recipe.progression == (0, 4, 5, 3)


@pytest.mark.parametrize(
    ("prompt", "field", "value"),
    [
        ("intensity .1", "intensity", 0.1),
        ("density .9", "density", 0.9),
        ("tense (brightness .05)", "brightness", 0.05),
    ],
)
def test_a_number_may_begin_with_its_point(network, prompt, field, value):
    assert getattr(resolve({"prompt": prompt}, network.bundle).recipe, field) == value


@pytest.mark.parametrize(("prompt", "style"), [("final boss", "boss"), ("start menu", "menu")])
def test_words_that_belong_to_a_style_are_no_section(network, prompt, style):
    resolved = resolve({"prompt": prompt}, network.bundle)
    assert (resolved.recipe.styles, resolved.recipe.section, resolved.recipe.bars) == ((style,), "loop", 8)
    assert len(resolved.ignored) == 1


def test_a_prompt_of_streams_alone_is_music(network):
    recipe = resolve({"prompt": "with a melody but no drums"}, network.bundle).recipe
    assert (recipe.featuring, recipe.mute) == (("lead",), ("drums",))


def test_more_bars_than_a_number_holds_are_refused(network):
    with pytest.raises(Refusal, match="bars"):
        resolve({"prompt": f"town {10**400} bars"}, network.bundle)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (dict(prompt="with a melody", mute=5), "mute"),
        (dict(prompt="without bass", mute="drums"), "mute"),
        (dict(prompt="with a melody", featuring=[["lead"]]), "featuring"),
        (dict(prompt="tense", styles=[["tense"]]), "styles"),
    ],
)
def test_a_turn_that_cannot_be_is_refused_by_its_field_and_changes_nothing(course, asked, field):
    with pytest.raises(Refusal) as refused:
        course.steer(asked, 1)
    assert refused.value.field == field
    assert course.turns == []


def test_none_in_a_turn_says_nothing(course):
    turn, _ = course.steer(
        {"prompt": "without drums, 150 bpm", "mute": None, "bpm": None, "key": None, "style": None}, 1
    )
    assert turn.changes == {"mute": ("drums",), "only": (), "featuring": (), "bpm": 150.0}


def test_what_was_steered_is_a_request_like_any_other(network):
    course = Course(
        resolve({"prompt": "town, 200 bpm", "seed": 3}, network.bundle), [{"bar": 2, "changes": {"bpm": 150}}]
    )
    again = resolve(course.at(2).recipe.to_dict(), network.bundle)
    assert again.recipe == course.at(2).recipe
    assert again.recipe.bpm == 150


def test_turns_carry_weights_and_muted_streams_and_the_log_says_all_of_it(course):
    turn, _ = course.steer({"styles": {"combat": 3, "town": 1}}, 1)
    assert (turn.changes["styles"], turn.changes["weights"]) == (("town", "combat"), (1.0, 3.0))
    turn, _ = course.steer({"prompt": "town:2, combat, without drums"}, 2)
    assert turn.changes["weights"] == (1.0, 2.0)
    assert turn.changes["mute"] == ("drums",)
    turn, _ = course.steer({"weights": [5, 1]}, 3)
    assert (turn.changes["styles"], turn.changes["weights"]) == (("town", "combat"), (1.0, 5.0))
    turn, _ = course.steer({"style": "menu"}, 4)
    assert (turn.changes["styles"], turn.changes["weights"]) == (("menu",), ())
    again = Course(course.at(0), [{"bar": each.bar, "changes": dict(each.changes)} for each in course.turns])
    assert [again.at(bar).recipe for bar in range(6)] == [course.at(bar).recipe for bar in range(6)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (dict(style="boss", styles=["menu"]), "style"),
        (dict(prompt="boss", style="menu"), "style"),
        (dict(prompt="boss", styles=3), "styles"),
        (dict(prompt="D minor", key="E minor"), "key"),
        (dict(prompt="minor", key="E major"), "key"),
        (dict(prompt="intensity 0.2", intensity=0.3), "intensity"),
        (dict(weights=[1, 2]), "weights"),
        (dict(styles={"menu": 1, "boss": 0}), "weights"),
    ],
)
def test_a_turn_that_says_two_things_changes_nothing(course, changes, field):
    with pytest.raises(Refusal) as refused:
        course.steer(changes, 1)
    assert refused.value.field == field
    assert course.turns == []


def test_a_turn_may_say_the_same_twice(course):
    turn, _ = course.steer({"prompt": "boss in D minor, I-V", "style": "boss", "key": "Dm", "progression": [0, 4]}, 1)
    assert turn.changes["key"] == "D minor"


def test_a_stream_s_recipe_has_as_many_bars_as_a_stream_can_have(course):
    whole = {"kind": "music stream", "start": course.at(0).recipe.to_dict(), "steering": [], "bars": 2}
    assert read_recipe(whole).bars == 2
    for bars in (-1, LONGEST + 1):
        with pytest.raises(Refusal) as refused:
            read_recipe({**whole, "bars": bars})
        assert refused.value.field == "bars"


def test_a_scale_alone_keeps_the_tonic(network, course):
    said = [({}, "C"), ({"key": "D minor"}, "D"), ({"prompt": "town in Bb"}, "Bb"), ({"prompt": "town, Em"}, "E")]
    for asked, tonic in said:
        recipe = resolve({"prompt": "town", "scale": "minor", **asked}, network.bundle).recipe
        assert recipe.key == f"{tonic} minor"
    turn, _ = course.steer({"prompt": "in G", "scale": "dorian"}, 1)
    assert turn.changes["key"] == "G dorian"
    for asked in ({"scale": "blues"}, {"scale": ["minor"]}, {"key": "D major"}, {"prompt": "town, E major"}):
        with pytest.raises(Refusal) as refused:
            resolve({"prompt": "town", "scale": "minor", **asked}, network.bundle)
        assert refused.value.field == "scale"
    with pytest.raises(Refusal):
        course.steer({"key": "G major", "scale": "minor"}, 2)


@pytest.mark.parametrize("backend", ["null:1", "reference"])
def test_a_backend_that_has_no_tokens_is_refused_in_a_sentence(backend, tmp_path):
    with pytest.raises(Refusal) as refused:
        open_tokens(load_bundle(EMBEDDED / "music"), backend, 1, tmp_path)
    assert refused.value.field == "backend"
