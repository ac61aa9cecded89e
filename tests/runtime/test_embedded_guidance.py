"""A distilled network is told its strength of guidance behind the condition: the engine sees a condition like any other."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from cadenza.assets import manifest as manifest_format
from cadenza.assets.bundle import Bundle
from cadenza.assets.guidance import embedding
from cadenza.assets.manifest import GuidanceEmbedding, Text, Tokenizer
from cadenza.assets.refusal import Refusal
from cadenza.runtime.bundles import load_bundles
from cadenza.runtime.engine.network import Network
from cadenza.runtime.resolve import resolve

LENGTH, SIZE = 4, 5
LCM, ITSELF = GuidanceEmbedding(8, 8.5, scale=1000.0, offset=1.0), GuidanceEmbedding(1, 4.5, scale=0.1)


@pytest.fixture(params=[LCM, ITSELF], ids=["waves", "number"])
def bundle(request, tmp_path):
    return of_text(tmp_path, request.param)


def of_text(folder, told):
    """A bundle of free text, of which there is only what a request looks at."""
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "stone": 1, "moss": 2}
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast.enable_truncation(LENGTH)
    fast.enable_padding(length=LENGTH)
    fast.save(str(folder / "tokenizer.json"))
    embedded = next(iter(load_bundles(None).values()))
    conditioning = Text([Tokenizer("tokenizer.json", LENGTH)], SIZE, guidance=told)
    return Bundle(folder, msgspec.structs.replace(embedded.manifest, conditioning=conditioning), "0" * 64)


def asked(bundle, **dials):
    return resolve({"prompt": "stone moss", "bundle": bundle.digest, **dials}, {bundle.digest: bundle})


class Encoder:
    """Sums of the tokens."""

    def run(self, given):
        return {"condition": np.repeat(given["tokens"].sum(1, keepdims=True), SIZE, 1)}


def test_it_stands_behind_both_conditions_and_only_there(bundle):
    told = bundle.embedded_guidance
    made = asked(bundle, embedded_guidance=3)
    assert made.recipe.embedded_guidance == 3.0
    network = Network(bundle, None, None, None, Encoder())
    conditions = network.conditions(made.condition)
    assert conditions.shape == (2, bundle.condition_size) == (2, SIZE + told.width)
    assert conditions.dtype == np.float32
    np.testing.assert_array_equal(conditions[:, SIZE:], np.tile(embedding(3.0, told), (2, 1)))
    plain = replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, conditioning=without(bundle)))
    np.testing.assert_array_equal(
        conditions[:, :SIZE], Network(plain, None, None, None, Encoder()).conditions(asked(plain).condition)
    )


def without(bundle):
    return msgspec.structs.replace(bundle.manifest.conditioning, guidance=None)


def test_where_zeros_stand_for_no_prompt_the_strength_is_told_all_the_same(tmp_path):
    bundle = of_text(tmp_path, LCM)
    zeros = msgspec.structs.replace(bundle.manifest.conditioning, empty="zeros")
    bundle = replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, conditioning=zeros))
    conditions = Network(bundle, None, None, None, Encoder()).conditions(asked(bundle).condition)
    assert not conditions[1, :SIZE].any()
    np.testing.assert_array_equal(conditions[1, SIZE:], conditions[0, SIZE:])


def test_the_bundle_says_the_default_and_the_recipe_is_complete(bundle):
    default = bundle.embedded_guidance.default
    recipe = asked(bundle).recipe
    assert recipe.embedded_guidance == default == bundle.describe()["embedded_guidance"]
    assert asked(bundle, embedded_guidance=default).recipe.id == recipe.id
    assert asked(bundle, embedded_guidance=default - 1).recipe.id != recipe.id
    assert resolve(recipe.to_dict(), {bundle.digest: bundle}).recipe == recipe


@pytest.mark.parametrize(
    ("strength", "message"),
    [(31.0, "0 to 30"), (-1, "0 to 30"), ("much", "number"), (True, "number"), (float("nan"), "0 to 30")],
)
def test_what_is_no_strength_is_refused(bundle, strength, message):
    with pytest.raises(Refusal, match=message) as refused:
        asked(bundle, embedded_guidance=strength)
    assert refused.value.field == "embedded_guidance"


def test_a_network_that_is_told_none_refuses_it_in_words():
    bundles = load_bundles(None)
    with pytest.raises(Refusal, match="embeds no guidance") as refused:
        resolve({"prompt": "stone", "embedded_guidance": 3.0}, bundles)
    assert refused.value.field == "embedded_guidance"
    assert "leave it out" in refused.value.remedy
    assert resolve({"prompt": "stone"}, bundles).recipe.embedded_guidance is None


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 2}, {"width": 3}, {"default": float("inf")}])
def test_a_manifest_that_cannot_be_told_is_refused(bundle, wrong):
    told = msgspec.structs.replace(bundle.embedded_guidance, **wrong)
    conditioning = msgspec.structs.replace(bundle.manifest.conditioning, guidance=told)
    graphs = {**bundle.manifest.graphs, "encode_text": "encode_text.onnx"}
    with pytest.raises(Refusal, match=r"conditioning\.guidance"):
        manifest_format.check(msgspec.structs.replace(bundle.manifest, conditioning=conditioning, graphs=graphs))
