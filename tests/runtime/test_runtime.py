"""The runtime on a small real bundle: same bits in any company, joining, cancelling, deadlines, refusals."""

import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

from cadenza.assets.refusal import Refusal
from cadenza.assets.store import Store
from cadenza.runtime.runtime import Runtime

DIALS = [
    {},
    {"steps": 2},
    {"steps": 3, "sampler": "euler"},
    {"steps": 5, "sampler": "dpmpp_2m", "spacing": "karras", "guidance": 3.0},
    {"steps": 4, "sampler": "euler_ancestral", "noise": "brownian"},
    {"steps": 3, "sampler": "heun", "variation_seed": 9, "variation_strength": 0.3},
]


def test_a_request_gives_the_same_bits_alone_and_in_every_company(runtime):
    requests = [{"prompt": "mossy stone", "seed": s, "size": 64 + 64 * (s % 2), **d} for s in range(3) for d in DIALS]
    alone = [runtime.submit(request).wait(20).digest for request in requests]
    assert len(set(alone)) == len(requests)
    for shuffle in range(5):
        order = list(range(len(requests)))
        random.Random(shuffle).shuffle(order)
        works = {i: runtime.submit(requests[i], priority=i % 3) for i in order}
        assert [works[i].wait(20).digest for i in range(len(requests))] == alone


def test_another_runtime_with_another_thread_count_gives_the_same_bits(runtime, bundle):
    request = {"prompt": "wet brick", "seed": 7, "size": 128}
    backend = next(iter(runtime.networks.values())).made_by["backend"]
    with Runtime([bundle.folder], backend, threads=1) as other:
        assert other.submit(request).wait(20).digest == runtime.submit(request).wait(20).digest


def test_the_recipe_of_a_result_makes_it_again(runtime):
    texture = runtime.submit({"prompt": "sand", "seed": 3}).wait(20)
    again = runtime.submit(texture.recipe).wait(20)
    assert (again.digest, again.id) == (texture.digest, texture.id)


def test_textures_tile(runtime):
    maps = runtime.submit({"prompt": "stone", "size": [128, 64]}).wait(20).maps()
    assert maps["albedo"].shape == (64, 128, 3)
    for array in maps.values():
        field = array.astype(float)
        for axis in (0, 1):
            inside = np.abs(np.diff(field, axis=axis)).mean()
            wrap = np.abs(np.take(field, 0, axis) - np.take(field, -1, axis)).mean()
            assert wrap <= 1.5 * inside + 1  # a random decoder has edges at every cell; the seam is one of them


def test_identical_requests_in_flight_are_made_once(runtime):
    before = runtime.stats()
    gate = threading.Event()
    blocker = runtime.submit({"prompt": "sand", "seed": 77}, on_event=lambda work: gate.wait(5))
    works = [runtime.submit({"prompt": "sand", "seed": 78}) for _ in range(5)]
    gate.set()
    blocker.wait(20)
    assert len({work.wait(20).digest for work in works}) == 1
    after = runtime.stats()
    assert after["joined"] - before["joined"] == 4
    assert after["done"] - before["done"] == 6


def test_a_cancelled_request_ends_and_the_others_go_on(runtime):
    gate = threading.Event()
    blocker = runtime.submit({"prompt": "sand", "seed": 80}, on_event=lambda work: gate.wait(5))
    doomed = runtime.submit({"prompt": "sand", "seed": 81, "steps": 50, "sampler": "euler"})
    runtime.cancel(doomed)
    gate.set()
    with pytest.raises(Refusal, match="cancelled"):
        doomed.wait(20)
    assert blocker.wait(20).digest
    assert doomed.state == "cancelled"


def test_an_urgent_request_overtakes_those_that_wait(runtime):
    ended, gate = [], threading.Event()

    def note(work):
        gate.wait(5)
        if work.state == "done":
            ended.append(work.recipe.seed)

    waiting = [runtime.submit({"prompt": "brick", "seed": 100 + i}, on_event=note) for i in range(8)]
    urgent = runtime.submit({"prompt": "brick", "seed": 999}, priority=5, on_event=note)
    gate.set()
    for work in (urgent, *waiting):
        work.wait(20)
    assert ended.index(999) <= 4  # at most the call that was already running goes first


def test_a_deadline_that_cannot_be_met_fails_early_or_takes_fewer_steps(runtime):
    runtime.submit({"prompt": "stone", "seed": 1}).wait(20)
    runtime.submit({"prompt": "stone", "seed": 2}).wait(20)
    request = {"prompt": "stone", "seed": 3, "size": 512, "steps": 1000, "sampler": "euler"}
    with pytest.raises(Refusal) as refused:
        runtime.submit(request, deadline_ms=1, late="fail")
    assert refused.value.code == "deadline"
    degraded = runtime.submit({**request, "sampler": None}, deadline_ms=1e-3, late="degrade")
    assert degraded.recipe.steps == 1
    assert runtime.submit(degraded.wait(20).recipe).wait(20).digest == degraded.result.digest


def test_results_are_stored_beside_the_engine_and_whole_when_it_is_closed(bundle, tmp_path):
    store = Store(tmp_path / "store")
    with Runtime(str(bundle.folder), "null", store=store) as runtime:  # one folder is a list of one
        works = [runtime.submit({"prompt": "stone", "seed": seed, "size": 64}) for seed in range(80)]
        textures = [work.wait(20) for work in works]
    for texture in textures:
        assert store.record(texture.id)["digest"] == texture.digest
        assert set(store.maps(texture.id)) == set(texture.maps())


def test_a_disk_that_is_full_and_a_caller_that_raises_end_nothing(bundle, tmp_path, caplog):
    class Full(Store):
        def put(self, record, maps):
            raise OSError(28, "No space left on device")

    def raising(work):
        raise ZeroDivisionError("the game's own bug")

    with Runtime([bundle.folder], "null", store=Full(tmp_path)) as runtime:
        wrong = runtime.submit({"prompt": "stone", "seed": 1}, on_event=raising)
        beside = runtime.submit({"prompt": "stone", "seed": 1})
        assert wrong.wait(20).digest == beside.wait(20).digest
        assert runtime.submit({"prompt": "stone", "seed": 2}).wait(20).digest
    assert runtime.stats()["not_stored"] == runtime.stats()["done"] - runtime.stats()["joined"]
    assert "the game's own bug" in caplog.text
    assert "No space left" in caplog.text


def test_a_caller_that_ends_its_thread_ends_nobody_elses(bundle, caplog):
    with Runtime([bundle.folder], "null") as runtime:
        leaving = runtime.submit({"prompt": "stone", "seed": 1}, on_event=lambda work: sys.exit("its own end"))
        assert leaving.wait(20).digest
        assert runtime.submit({"prompt": "stone", "seed": 2}).wait(20).digest
    assert "its own end" in caplog.text


def test_a_close_that_was_interrupted_is_gone_on_with(bundle, tmp_path):
    class Slow(Store):
        def put(self, record, maps):
            begun.set()
            gate.wait(20)
            super().put(record, maps)

    def interrupted(*_):
        raise KeyboardInterrupt

    begun, gate = threading.Event(), threading.Event()
    runtime = Runtime([bundle.folder], "null", store=Slow(tmp_path))
    made = [runtime.submit({"prompt": "stone", "seed": seed, "size": 64}) for seed in range(3)]
    for work in made:
        work.wait(20)
    begun.wait(20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime._thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runtime.close()
    with pytest.raises(Refusal, match="closed"):
        runtime.submit({"prompt": "stone"})
    gate.set()
    runtime.close()
    runtime.close()
    assert not runtime._thread.is_alive()
    for work in made:
        assert Store(tmp_path).record(work.result.id)


def test_texts_of_those_who_wait_are_not_encoded_before_an_urgent_one_is_done(bundle):
    gate, encoded = threading.Event(), []
    with Runtime([bundle.folder], "null") as runtime:
        network = runtime.networks[bundle.digest]
        conditions = network.conditions
        network.conditions = lambda parsed: encoded.append(parsed) or conditions(parsed)
        runtime.submit({"prompt": "sand"}, on_event=lambda work: gate.wait(5))
        waiting = [runtime.submit({"prompt": "sand", "seed": seed, "size": 256}) for seed in range(1, 30)]
        urgent = runtime.submit({"prompt": "brick"}, priority=5, on_event=lambda work: told.append(len(encoded)))
        told = []
        gate.set()
        urgent.wait(20)
        assert told[-1] <= 2  # the one that was running, and its own
        for work in waiting:
            work.wait(20)
        assert len(encoded) == 31


def test_words_that_are_not_known_come_back(runtime):
    texture = runtime.submit({"prompt": "zorgly wet rock, moss 0.5", "seed": 1}).wait(20)
    assert texture.ignored == ("zorgly",)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("prompt", {"prompt": "zorgly"}),
        ("prompt", {"prompt": 7}),
        ("prompt", {"prompt": None}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 1.5}),
        ("size", {"size": 100}),
        ("size", {"size": 4096}),
        ("size", {"size": "128"}),
        ("sampler", {"sampler": "eulerr"}),
        ("steps", {"steps": 0}),
        ("steps", {"steps": [4]}),
        ("guidance", {"guidance": float("nan")}),
        ("kind", {"kind": "sprite"}),
        ("bundle", {"bundle": "nope"}),
        ("noise", {"noise": ["brownian"]}),
        ("colour", {"colour": "red"}),
    ],
)
def test_bad_input_is_a_sentence_that_names_the_field(runtime, field, change):
    with pytest.raises(Refusal) as refused:
        runtime.submit({"prompt": "stone", **change})
    assert refused.value.field == field
    assert runtime.submit({"prompt": "stone", "seed": 4}).wait(20).digest


LEAVING = """
import sys
import cadenza
game = cadenza.connect("inproc", backend=sys.argv[1])
asked = [game.submit({"kind": "texture", "prompt": "mossy stone", "seed": seed}) for seed in range(40)]
piece = game.submit({"kind": "music", "prompt": "calm", "bars": 4})
stream = game.stream("calm exploration", ahead=8)
asked[2].result()
raise SystemExit(sys.argv[2])
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_game_that_ends_without_closing_ends_as_it_meant_to(backend):
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, backend, "its own words"], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr.strip()) == (1, "its own words"), "a model torn down while it ran aborts all"


STAYING = """
import sys, threading
import cadenza
from cadenza.bridge.server import serve

def stay():
    threading.main_thread().join()
    with cadenza.connect("inproc", backend=sys.argv[1]) as game:
        for seed in range(6):
            game.texture("mossy stone", seed=seed, size=64)
        game.music("combat", bars=1)
        addresses, ready, stop = [], threading.Event(), threading.Event()
        serving = dict(ready=lambda address: (addresses.append(address), ready.set()), stop=stop)
        server = threading.Thread(target=serve, args=(game.runtime, "tcp://127.0.0.1:*"), kwargs=serving)
        server.start()
        ready.wait(5)
        with cadenza.connect(addresses[0]) as remote:
            remote.submit({"prompt": "brick", "size": 64, "guidance": 2.0}, encoding="png").result(20)
        stop.set()
        server.join()
    print("all was made")

threading.Thread(target=stay).start()
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_thread_that_goes_on_when_the_main_one_has_ended_is_served(backend):
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", STAYING, backend], capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("all was made", "")


FORKING = """
import os, sys
from cadenza.assets.refusal import Refusal
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.runtime import Runtime

runtime = Runtime([EMBEDDED / "texture"], "null")
before = runtime.submit({"prompt": "stone", "size": 64}).wait(20)
with runtime._lock:
    child = os.fork()
if child == 0:
    try:
        runtime.submit({"prompt": "stone", "size": 64})
    except Refusal as refusal:
        print("child:", refusal.code, flush=True)
    sys.exit(7)
print("exit", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert runtime.submit({"prompt": "stone", "size": 64}).wait(20).digest == before.digest
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_process_with_a_runtime_is_refused_and_ends():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, encoding="utf-8", check=False, timeout=30
    )
    assert (done.stdout.split("\n"), done.stderr) == (["child: closed", "exit 7", ""], "")
