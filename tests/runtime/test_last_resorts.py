"""What nobody meant to happen: it ends the one request, or the one start, that it happens to, and nothing of the others."""

import json
import os
import queue
from pathlib import Path

import kinds as small
import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.assets.store import Store
from cadenza.runtime import kinds, sound
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.engine import proof
from cadenza.runtime.engine.backends.base import Identity
from cadenza.runtime.engine.engine import Engine
from cadenza.runtime.engine.tokens import network
from cadenza.runtime.engine.tokens.sampling import Sampling, choose
from cadenza.runtime.flight import Flight
from cadenza.runtime.resolve import IMAGE_DEPTH
from cadenza.runtime.runtime import Runtime

A_STEP_EACH = {
    "guidance": {"guidance": [1, 2, 2, 1]},
    "levels": {"spacing": [5.0, 2.0, 1.0, 0.5, 0.0]},
    "times": {"spacing": {"times": [1.0, 0.7, 0.4, 0.1]}},
}
"""Dials that fit a run of four steps and none of fewer."""
NO_PROOFS = [
    b"",
    b"[]",
    b"7",
    b"[" * 100_000,
    b"\xff\xfe",
    b"{}",
    b'{"fixed": "x", "fixed_batch": "x", "any_threads": true}',
    b'{"fixed": 0, "fixed_batch": 0, "any_threads": true}',
    b'{"fixed": 2, "fixed_batch": 2, "any_threads": true}',
    b'{"fixed": true, "fixed_batch": true, "any_threads": true}',
    b'{"fixed": [1], "fixed_batch": null, "any_threads": 1}',
]


class Tokens:
    """A step of tokens that says what it reads, alike in any batch; `runs` counts its calls."""

    identity = Identity("small", "1", "none", "float32")

    def __init__(self):
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        return {"logits": inputs["tokens"], "key": inputs["keys"], "value": inputs["values"]}


class Latents(Tokens):
    def run(self, inputs):
        self.runs += 1
        return {"raw": inputs["latent"], "maps": inputs["latent"]}


def prove_tokens(bundle, folder):
    """The proof, and how many calls it took."""
    step = Tokens()
    return network.prove(step, network.Cache(1, 1, 8, 2), 3, 4, "0" * 64, folder), step.runs


def prove_latents(bundle, folder):
    step = Latents()
    return proof.prove(bundle, (step, step), 1, lambda: (step, step), folder), step.runs


@pytest.fixture(scope="module")
def served(bundle, tmp_path_factory):
    """A runtime of the toy texture and the embedded music."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime([bundle.folder, EMBEDDED / "music"], "onnxruntime", threads=1) as runtime:
            yield runtime


def fails(*_, **__):
    raise MemoryError("no room for this one")


@pytest.mark.parametrize("deadline_ms", [1e-3, 60_000])
@pytest.mark.parametrize("dial", A_STEP_EACH)
def test_a_request_that_tells_each_step_may_be_degraded_as_any_other(served, dial, deadline_ms):
    served.submit({"prompt": "stone", "seed": 1}).wait(20)
    served.submit({"prompt": "stone", "seed": 2}).wait(20)  # from here on it knows how long one takes
    request = {"prompt": "stone", "steps": 4, **A_STEP_EACH[dial]}
    work = served.submit(request, deadline_ms=deadline_ms, late="degrade")
    assert work.recipe == served.resolve(request).recipe
    assert work.wait(20).digest


def test_a_request_that_is_wrong_is_refused_where_steps_may_be_degraded_too(served):
    with pytest.raises(Refusal, match="guidance"):
        served.submit({"prompt": "stone", "steps": 2, "guidance": [1, 2, 2, 1]}, deadline_ms=1, late="degrade")


@pytest.mark.parametrize(
    ("owner", "name", "request_"),
    [
        (kinds, "tokens_job", {"kind": "music", "prompt": "tense", "bars": 1}),
        (Flight, "draws", {"prompt": "stone"}),
        (Flight, "draws", {"prompt": "stone", "denoise": 0.5, "image": {"prompt": "sand"}}),
    ],
)
def test_a_request_that_cannot_be_begun_ends_with_a_refusal_and_others_are_served(
    served, monkeypatch, owner, name, request_
):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails)
        with pytest.raises(Refusal, match="no room for this one") as refused:
            served.submit(request_).wait(20)
    assert refused.value.code == "internal"
    assert served.submit(request_).wait(20).digest
    assert served.stats()["unfinished"] == 0


def test_a_request_whose_image_is_made_and_which_then_cannot_be_begun_ends_with_a_refusal(served, monkeypatch):
    request = {"prompt": "stone", "denoise": 0.5, "image": {"prompt": "sand"}}
    draws = Flight.draws

    def of_the_image_only(flight, resolved, ahead):
        return fails() if resolved is flight.resolved else draws(flight, resolved, ahead)

    with monkeypatch.context() as patch:
        patch.setattr(Flight, "draws", of_the_image_only)
        with pytest.raises(Refusal, match="no room for this one"):
            served.submit(request).wait(20)
    assert served.submit(request).wait(20).digest


def test_a_command_or_a_tick_that_raises_is_logged_and_the_engine_goes_on(served, monkeypatch, caplog):
    raised = queue.SimpleQueue()
    tick = Engine.tick

    def once(engine):
        if raised.empty():
            raised.put(True)
            raise ZeroDivisionError("of a tick")
        return tick(engine)

    served._commands.put(fails)
    monkeypatch.setattr(Engine, "tick", once)
    assert served.submit({"prompt": "stone"}).wait(20).digest
    assert "no room for this one" in caplog.text
    assert "of a tick" in caplog.text


@pytest.mark.parametrize("prove", [prove_latents, prove_tokens])
def test_a_proof_that_cannot_be_kept_is_made_at_each_start(bundle, tmp_path, caplog, prove):
    (tmp_path / "file").write_bytes(b"")
    made, runs = prove(bundle, tmp_path / "file" / "proofs")
    assert runs > 0
    assert prove(bundle, tmp_path / "file" / "proofs") == (made, runs)
    assert "a proof is not kept" in caplog.text


@pytest.mark.parametrize("content", NO_PROOFS)
@pytest.mark.parametrize("prove", [prove_latents, prove_tokens])
def test_a_file_that_is_no_proof_counts_as_none_and_is_replaced(bundle, tmp_path, prove, content):
    made = prove(bundle, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert prove(bundle, tmp_path) == made
    assert prove(bundle, tmp_path) == (made[0], 0)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_runtime_starts_where_nothing_can_be_kept(bundle, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "file"))
    with Runtime([bundle.folder], "onnxruntime", threads=1) as runtime:
        assert runtime.submit({"prompt": "stone", "size": 64}).wait(20).digest


def test_two_writers_of_one_result_leave_it_whole(tmp_path, monkeypatch):
    maps = {"height": np.arange(4096, dtype=np.uint8).reshape(64, 64)}
    record, replace, beside = {"id": "a" * 64, "recipe": {}, "digest": "x" * 2000}, os.replace, []

    def meanwhile(part, path):
        if not beside:  # the other one begins and ends between the two halves of this one's write
            beside.append(part)
            Store(tmp_path).put(record, maps)
        replace(part, path)

    monkeypatch.setattr(os, "replace", meanwhile)
    Store(tmp_path).put(record, maps)
    assert Store(tmp_path).record("a" * 64) == record
    assert np.array_equal(Store(tmp_path).maps("a" * 64)["height"], maps["height"])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npz"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / f"{'a' * 64}.json").mkdir()
    with pytest.raises(OSError):
        Store(tmp_path).put({"id": "a" * 64}, None)
    assert len(list(tmp_path.iterdir())) == 1


def sounds(bundle, depth):
    request = {"prompt": "stone", "seconds": 1}
    for _ in range(depth):
        request = {"prompt": "stone", "seconds": 1, "denoise": 0.5, "image": request}
    return sound.resolve(request, bundle)


def test_a_sound_of_a_sound_goes_as_deep_as_a_picture_of_a_picture(tmp_path):
    bundle = small.write_sound(tmp_path)
    assert json.dumps(sounds(bundle, IMAGE_DEPTH).recipe.to_dict()).count('"image": {') == IMAGE_DEPTH
    for depth in (IMAGE_DEPTH + 1, 900):
        with pytest.raises(Refusal, match=f"at most {IMAGE_DEPTH} deep"):
            sounds(bundle, depth)


@pytest.mark.parametrize("more", [{}, {"top_p": 0.9}, {"top_k": 2}])
@pytest.mark.parametrize("logits", [[1.0, 3.0, 2.0], [-1.0, -0.5, -2.0], [1.0, 2.0, -np.inf], [0.0, 1e-3, -5.0]])
@pytest.mark.parametrize("temperature", [1e-300, 1e-308, 1e-310, 5e-324])
def test_the_colder_the_draw_the_likelier_its_word(logits, temperature, more):
    gumbel = np.array([5.0, -5.0, 5.0])
    assert choose(np.array(logits), gumbel, Sampling(temperature, **more)) == np.argmax(logits)


def test_no_draw_is_changed_by_how_the_coldest_are_made():
    rng = np.random.default_rng(0)
    for temperature in (0.1, 0.7, 1.0, 10.0):
        logits, gumbel = rng.normal(0, 5, 50), rng.gumbel(size=50)
        assert choose(logits, gumbel, Sampling(temperature, 0)) == np.argmax(logits / temperature + gumbel)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no maps at all", b"\x80\x05N."])
def test_maps_and_records_that_were_damaged_on_the_disk_are_refused_by_their_path(tmp_path, data):
    id = "b" * 64
    for ask, path in (
        (Store(tmp_path).maps, tmp_path / f"{id}.npz"),
        (Store(tmp_path).record, tmp_path / f"{id}.json"),
    ):
        path.write_bytes(data)
        with pytest.raises(Refusal, match=str(path)) as refused:
            ask(id)
        assert refused.value.code == "corrupt"


def test_a_record_of_a_whole_id_is_found_without_looking_at_all_that_is_kept(tmp_path, monkeypatch):
    record = {"id": "c" * 64, "recipe": {}, "digest": "x"}
    Store(tmp_path).put(record, None)
    assert Store(tmp_path).record("c" * 8) == record
    monkeypatch.setattr(Path, "glob", None)
    assert Store(tmp_path).record("c" * 64) == record
