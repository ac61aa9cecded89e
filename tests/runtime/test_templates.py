"""Requests that differ in their seed only are resolved once, and to what each would be resolved to alone."""

import pytest

from cadenza.assets.refusal import Refusal
from cadenza.runtime.resolve import resolve
from cadenza.runtime.templates import LIMIT, Templates

ASKED = {"kind": "texture", "prompt": "wet stone", "size": 64}


@pytest.fixture
def counted(bundle):
    """Templates, and the requests that were resolved in full."""
    seen = []

    def full(request):
        seen.append(request)
        return resolve(request, {bundle.digest: bundle})

    return Templates(full), seen


@pytest.mark.parametrize(
    "dials",
    [
        {},
        {"seed": 0},
        {"seed": None},
        {"seed": 2**53 - 1},
        {"seed": 3, "steps": 2, "sampler": "Euler a", "guidance": 2},
        {"seed": 3, "variation_seed": 4, "variation_strength": 0.5},
        {"seed": 3, "prompt": "wet stone of xyzzy"},
        {"seed": 3, "prompt": 'stone "seed":77,"seed":77', "x": 64},
    ],
)
def test_a_template_gives_what_resolving_in_full_gives(counted, bundle, dials):
    templates, seen = counted
    templates({**ASKED, **dials, "seed": 77})
    found, expected = templates({**ASKED, **dials}), resolve({**ASKED, **dials}, {bundle.digest: bundle})
    assert len(seen) == 1
    assert (found.recipe, found.recipe.id, found.ignored) == (expected.recipe, expected.recipe.id, expected.ignored)
    assert found.plan is expected.plan
    assert found.condition.tobytes() == expected.condition.tobytes()


@pytest.mark.parametrize("seed", [-1, 2**53, 2**64, 1.0, True, "7", float("nan"), [7]])
def test_a_bad_seed_is_refused_by_a_template_as_it_is_in_full(counted, bundle, seed):
    templates, _ = counted
    templates(ASKED)
    with pytest.raises(Refusal) as found:
        templates({**ASKED, "seed": seed})
    with pytest.raises(Refusal) as expected:
        resolve({**ASKED, "seed": seed}, {bundle.digest: bundle})
    assert str(found.value) == str(expected.value)
    assert found.value.field == "seed"


def test_values_that_python_holds_equal_are_told_apart(counted):
    templates, seen = counted
    templates({**ASKED, "steps": 1, "variation_strength": 0.0})
    with pytest.raises(Refusal, match="steps"):
        templates({**ASKED, "steps": True, "variation_strength": 0.0})
    templates({**ASKED, "steps": 1, "variation_strength": -0.0})
    assert len(seen) == 3


def test_what_is_not_simple_is_resolved_in_full_each_time(counted):
    templates, seen = counted
    image = {"prompt": "brick", "seed": 1, "size": 64}
    for seed in (1, 2):
        found = templates({**ASKED, "seed": seed, "image": image, "denoise": 0.5})
        assert found.source is not None
        assert found.recipe.seed == seed
    assert len(seen) == 2


def test_what_is_kept_is_bounded(counted):
    templates, _ = counted
    for steps in range(LIMIT + 10):
        templates({**ASKED, "x": 16 * steps})
    assert len(templates._kept) == LIMIT
