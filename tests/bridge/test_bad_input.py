"""Bad input through a live server with a real bundle: each a sentence with the field and what is valid, and the next is served.

What the bytes of a message may be wrong in is in test_server.py, with the sentences; here are the requests, the bundles,
and once more truncated and giant frames and another protocol version against the real runtime.
"""

import json
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
from test_server import Raw

from cadenza.assets.refusal import Refusal
from cadenza.bindings.figures import server
from cadenza.bridge import connect
from cadenza.bridge import messages as m
from cadenza.bridge.protocol import encode
from cadenza.runtime.runtime import Runtime

NAN, INFINITY = float("nan"), float("inf")
SEEDS = str(2**53 - 1)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime([toy.write(tmp_path_factory.mktemp("toy")).folder], "onnxruntime") as made:
            yield made


@pytest.fixture(scope="module")
def address(real, serving):
    with serving(real) as address:
        yield address


# the field, what is asked, and words that the sentence or its remedy must have: the value and what is valid
REQUESTS = [
    ("sampler", {"sampler": "eulerr"}, ["'eulerr' is not known", "did you mean 'euler'", "dpmpp_2m"]),
    ("sampler", {"sampler": 7}, ["int 7", "name of a sampler"]),
    ("prompt", {"prompt": "xyzzy plugh"}, ["xyzzy", "stone", "brick"]),
    ("prompt", {"prompt": 7}, ["expected text", "int 7"]),
    ("prompt", {"prompt": "stone " * 400}, ["2400 characters", "at most 1000"]),
    ("size", {"size": 100}, ["100", "multiple of 16", "64", "512"]),
    ("size", {"size": 4096}, ["4096", "64", "512"]),
    ("size", {"size": 0}, ["0", "64", "512"]),
    ("size", {"size": -128}, ["-128", "64", "512"]),
    ("size", {"size": "128"}, ["whole number of pixels", "str '128'"]),
    ("size", {"size": 128.0}, ["whole number of pixels", "float 128.0"]),
    ("width", {"size": None, "width": 65, "height": 64}, ["65", "multiple of 16"]),
    ("seed", {"seed": -1}, ["-1", SEEDS]),
    ("seed", {"seed": 2**53}, [str(2**53), SEEDS]),
    ("seed", {"seed": 1.5}, ["whole number", "float 1.5"]),
    ("seed", {"seed": NAN}, ["whole number", "nan"]),
    ("seed", {"seed": True}, ["whole number", "bool"]),
    ("seed", {"seed": "7"}, ["whole number", "str '7'"]),
    ("guidance", {"guidance": NAN}, ["nan", "from 0 to 30"]),
    ("guidance", {"guidance": INFINITY}, ["inf", "from 0 to 30"]),
    ("guidance", {"guidance": "high"}, ["a number", "str 'high'"]),
    ("eta", {"eta": NAN, "sampler": "euler_ancestral"}, ["nan", "0 to"]),
    ("steps", {"steps": 0}, ["0", "from 1 to 1000"]),
    ("steps", {"steps": 10**6, "sampler": "euler"}, ["1000000", "1 to 1000"]),
    ("steps", {"steps": "four"}, ["int", "str"]),
    ("spacing", {"spacing": "carras"}, ["'carras' is not known", "karras"]),
    ("spacing", {"spacing": [NAN, 1.0, 0.0], "steps": 2}, ["nan"]),
    ("spacing", {"spacing": [1.0, 2.0, 0.0], "steps": 2, "sampler": "euler"}, ["each below the one before"]),
    ("variation_strength", {"variation_strength": 1.5}, ["1.5", "0 to 1"]),
    ("noise", {"noise": "pink"}, ["'pink' is not known", "brownian"]),
    ("options", {"options": 3}, ["mapping", "int 3"]),
    ("kind", {"kind": "novel"}, ["'novel' is not known", "texture"]),
    ("bundle", {"bundle": "nope"}, ["'nope' is not loaded here", "toy"]),
    ("kind", {"kind": 1}, ["expected text", "int 1"]),
    ("bundle", {"bundle": 5}, ["expected text", "int 5"]),
    ("prompt", {"prompt": None}, ["is missing", "say what to make"]),
    ("options.s_churn", {"options": {"s_churn": 1.0}}, ["'s_churn' is not known", "s_noise"]),
    ("options.s_noise", {"options": {"s_noise": "loud"}}, ["a number", "str 'loud'"]),
    ("options", {"options": {1: 2.0}}, ["for a key"]),
    (
        "image.options.s_churn",
        {"image": {"prompt": "stone", "options": {"s_churn": 1.0}}, "denoise": 0.5},
        ["not known"],
    ),
    ("colour", {"colour": "red"}, ["'colour' is not known", "prompt", "seed"]),
]


@pytest.mark.parametrize(("field", "change", "words"), REQUESTS, ids=[f"{f}-{str(c)[:30]}" for f, c, _ in REQUESTS])
def test_a_bad_request_is_a_sentence_with_field_and_valid_values_and_the_next_client_is_served(
    address, field, change, words
):
    with connect(address) as game, pytest.raises(Refusal) as refused:
        game.submit({"prompt": "stone", "size": 64, **change}).result(20)
    assert refused.value.field == field
    assert refused.value.code != "internal"
    told = str(refused.value)
    assert [word for word in words if word not in told] == [], told
    with connect(address) as following:
        assert following.texture("stone", size=64).id


TERMS = [
    ("priority", {"priority": 1000}, ["1000", "from -100 to 100"]),
    ("priority", {"priority": "high"}, ["int", "str"]),
    ("deadline_ms", {"deadline_ms": NAN}, ["nan", "above 0"]),
    ("deadline_ms", {"deadline_ms": -1.0}, ["-1.0", "at most 86400000"]),
    ("late", {"late": "never"}, ["'never' is not known", "deliver", "degrade", "fail"]),
    ("maps", {"maps": ["albido"]}, ["'albido' is not known", "albedo"]),
]


@pytest.mark.parametrize(("field", "terms", "words"), TERMS, ids=[str(terms) for _, terms, _ in TERMS])
def test_bad_terms_are_refused_in_the_same_way(address, field, terms, words):
    with Raw(address, "bad-terms-client") as raw:
        header = {"type": "submit", "request": "a", "recipe": {"prompt": "stone", "size": 64}, **terms}
        raw.socket.send(msgspec.msgpack.encode(header))
        answer = raw.until(m.Failed)[0]
    assert (answer.request, answer.field) == ("a", field)
    told = f"{answer.sentence}; {answer.remedy}"
    assert [word for word in words if word not in told] == [], told
    with connect(address) as following:
        assert following.texture("stone", size=64).id


FRAMES = {
    "truncated": ([encode(m.Submit(request="a", recipe={"prompt": "stone"}))[:-3]], "header", ["no msgpack map"]),
    "over the limit": ([b"\x00" * 70_000], "header", ["70000 bytes", "65536"]),
    "two frames": (
        [encode(m.Ping(request="a")), b"pixels"],
        "payload",
        ["0 frames of payload were announced", "1 came"],
    ),
    "wrong type": ([msgspec.msgpack.encode({"type": "ping", "request": 5})], "request", ["str", "int"]),
    "unknown type": ([msgspec.msgpack.encode({"type": "dance"})], "type", ["'dance' is not known", "submit"]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_bad_frames_are_a_sentence_and_the_next_client_is_served(address, name):
    frames, field, words = FRAMES[name]
    with Raw(address, "bad-frames-client") as raw:
        raw.socket.send_multipart(frames)
        answer = raw.hear()[0]
    assert answer.field == field
    told = f"{answer.sentence}; {answer.remedy}"
    assert [word for word in words if word not in told] == [], told
    with connect(address) as following:
        assert following.texture("stone", size=64).id


def test_a_giant_frame_cuts_its_sender_and_the_next_client_is_served(address):
    with Raw(address, "giant-frames") as raw:
        raw.socket.send(b"\x00" * (6 << 20))
        assert not raw.socket.poll(200)
    with connect(address) as following:
        assert following.texture("stone", size=64).id


def test_an_unsupported_protocol_version_is_told_both_versions_and_what_to_do(address):
    with Raw(address) as raw:
        raw.socket.send(msgspec.msgpack.encode({"type": "hello", "version": [2, 0], "client": "from-the-future"}))
        answer = raw.hear()[0]
    assert (answer.code, answer.field) == ("version", "version")
    assert "protocol 1.2, the other 2.0" in answer.sentence
    assert "same major number" in answer.remedy
    with connect(address) as following:
        assert following.texture("stone", size=64).id


def spoil(folder, how):
    manifest = folder / "bundle.json"
    if how == "graph":
        data = bytearray((folder / "step.onnx").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "step.onnx").write_bytes(data)
    elif how == "cut":
        (folder / "decode.onnx").write_bytes((folder / "decode.onnx").read_bytes()[:100])
    elif how == "missing":
        (folder / "step.onnx").unlink()
    elif how == "no json":
        manifest.write_text("{", encoding="utf-8")
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text(encoding="utf-8")), **how}), encoding="utf-8")


def start(folder, how):
    """One as `cadenza serve` does it; the others without a process of their own."""
    if how != "graph":
        Runtime([folder], "onnxruntime")
    with server(folder, "onnxruntime"):
        pass


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("graph", ["files.step.onnx", "has the digest", "the manifest says", "copy it again"]),
        ("cut", ["files.decode.onnx", "has the digest"]),
        ("missing", ["files.step.onnx", "is missing", "copy the whole bundle"]),
        ("no json", ["bundle.json", "no JSON object", "export the bundle again"]),
        ({"format": 99}, ["bundle.json.format", "99", "format 1"]),
        ({"prediction": "guess"}, ["bundle.json", "guess", "prediction"]),
    ],
    ids=str,
)
def test_a_corrupt_bundle_is_refused_by_the_file_before_a_server_starts(tmp_path, how, words):
    folder = toy.write(tmp_path / "toy").folder
    spoil(folder, how)
    with pytest.raises(Refusal) as refused:
        start(folder, how)
    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)


def test_a_bundle_spoilt_while_it_is_served_changes_nothing_for_who_asks(tmp_path, serving, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    folder = toy.write(tmp_path / "toy").folder
    with Runtime([folder], "onnxruntime") as runtime, serving(runtime) as address, connect(address) as game:
        before = game.texture("stone", seed=1, size=64).digest
        for how in ("graph", "no json"):
            spoil(folder, how)
        assert game.texture("stone", seed=1, size=64).digest == before
