"""Bundles: what is written is read; what is not what it says is refused in words."""

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.assets.words import parse


def test_a_bundle_written_twice_has_the_same_digest(tmp_path):
    one, two = toy.write(tmp_path / "one"), toy.write(tmp_path / "two")
    assert one.digest == two.digest == load_bundle(tmp_path / "one").digest


def _manifest(folder, change):
    path = folder / "bundle.json"
    fields = msgspec.json.decode(path.read_bytes())
    change(fields)
    path.write_bytes(msgspec.json.encode(fields))


ATTACKS = {
    "a changed graph": (lambda f: (f / "step.onnx").write_bytes(b"x"), "digest"),
    "a missing graph": (lambda f: (f / "decode.onnx").unlink(), "missing"),
    "no manifest": (lambda f: (f / "bundle.json").unlink(), "bundle.json"),
    "a truncated manifest": (lambda f: (f / "bundle.json").write_bytes((f / "bundle.json").read_bytes()[:90]), "JSON"),
    "a later format": (lambda f: _manifest(f, lambda m: m.update(format=2)), "reads format 1"),
    "an unknown field": (lambda f: _manifest(f, lambda m: m.update(run="rm")), "run"),
    "a wrong type": (lambda f: _manifest(f, lambda m: m["latent"].update(channels="4")), "channels"),
    "a way out": (lambda f: _manifest(f, lambda m: m["files"].update({"../x": "0"})), "outside"),
    "times that rise": (lambda f: _manifest(f, lambda m: m["recommended"][0].update(times=[0.1, 0.9])), "times"),
    "an image's times that rise": (
        lambda f: _manifest(f, lambda m: m["recommended"][0].update(image_times=[0.1, 0.9])),
        "image_times",
    ),
    "a share of more than all": (
        lambda f: _manifest(f, lambda m: m["recommended"][0].update(guidance_share=1.5)),
        "guidance_share",
    ),
    "noise in broken cells": (lambda f: _manifest(f, lambda m: m.update(grain={"channels": 4, "factor": 3})), "grain"),
    "a graph of no file": (lambda f: _manifest(f, lambda m: m["graphs"].update(step="other.onnx")), "other.onnx"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_bundle_that_is_not_what_it_says_is_refused(tmp_path, attack):
    toy.write(tmp_path)
    harm, word = ATTACKS[attack]
    harm(tmp_path)
    with pytest.raises(Refusal, match=word):
        load_bundle(tmp_path)


def test_prompts_combine_words_strengths_and_synonyms():
    vocabulary = toy.manifest().conditioning
    condition, ignored = parse("Very wet ROCKS, moss 0.7 and xyzzy", vocabulary)
    assert condition.tolist() == pytest.approx([1 / 1.7, 0, 0.7 / 1.7, 0, 1, 0, 0])
    assert ignored == ("xyzzy",)
    with pytest.raises(Refusal, match="strength"):
        parse("stone 1.5", vocabulary)
    assert parse("stone ² ①", vocabulary)[1] == ("²", "①")
