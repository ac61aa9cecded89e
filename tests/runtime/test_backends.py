"""Backends: one contract for all, the reference against mathematics, names and devices that are not there."""

import sys
import threading
import weakref
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import openvino
import pytest
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.bundle import write_bundle
from cadenza.assets.manifest import Recommended, Ve, Vp
from cadenza.assets.refusal import Refusal
from cadenza.runtime.bundles import open_network
from cadenza.runtime.draws import StepDraws, initial
from cadenza.runtime.engine.backends import onnxruntime as ort
from cadenza.runtime.engine.backends import open_backend
from cadenza.runtime.engine.backends import openvino as ov
from cadenza.runtime.engine.backends.reference import evaluate
from cadenza.runtime.engine.engine import Engine
from cadenza.runtime.engine.job import Job, start
from cadenza.runtime.flight import shape
from cadenza.runtime.resolve import resolve
from cadenza.runtime.runtime import Runtime

ALL = ("onnxruntime", "openvino", "reference", "null")
ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).tolist()
PROCESSES = {
    "flow": {},
    "vp": dict(process=Vp(ALPHAS), prediction="epsilon", recommended=[Recommended(2, "lcm", [999, 499])]),
    "ve": dict(process=Ve(), prediction="x0", recommended=[Recommended(2, "lcm", [80, 2])]),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    files = {"step.onnx": toy.step_graph(), "decode.onnx": toy.decode_graph()}
    folder = tmp_path_factory.mktemp("processes")
    return {
        name: write_bundle(folder / name, msgspec.structs.replace(toy.manifest(), **change), files)
        for name, change in PROCESSES.items()
    }


@pytest.mark.parametrize("backend", ALL)
def test_every_backend_keeps_the_contract(backend, bundle):
    load = open_backend(backend)
    step, decode = (load(bundle.path(graph), 1) for graph in ("step", "decode"))
    random = np.random.default_rng(1)
    latent = random.standard_normal((3, toy.CHANNELS, 8, 16), np.float32)
    given = {"latent": latent, "time": np.array([1, 0.5, 0.1], np.float32)}
    given["condition"] = random.random((3, len(toy.WORDS)), np.float32)
    before = {name: array.copy() for name, array in given.items()}
    first, second = step.run(given), step.run(given)
    assert set(first) == {"raw"}
    assert first["raw"].dtype == np.float32
    assert first["raw"].shape == latent.shape
    np.testing.assert_array_equal(first["raw"], second["raw"])
    alone = step.run({name: array[1:2] for name, array in given.items()})["raw"]
    np.testing.assert_array_equal(alone[0], first["raw"][1])
    assert not np.shares_memory(first["raw"], second["raw"]), "a result must stay when the graph runs again"
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name])
    maps = decode.run({"latent": latent})["maps"]
    assert (maps.shape, maps.dtype) == ((3, len(toy.MAPS), 64, 128), np.float32)
    assert set(step.identity.to_dict()) == {"backend", "version", "device", "precision"}


def test_bfloat16_is_another_precision_with_a_name_of_its_own_or_refused(bundle):
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(Refusal, match="needs a processor with bfloat16"):
            open_backend("openvino:bf16")(bundle.path("step"), 1)
        return
    step = open_backend("openvino:bf16")(bundle.path("step"), 1)
    exact = open_backend("openvino")(bundle.path("step"), 1)
    assert (step.identity.precision, exact.identity.precision) == ("bfloat16", "float32")
    random = np.random.default_rng(1)
    given = {"latent": random.standard_normal((2, toy.CHANNELS, 8, 8), np.float32)}
    given |= {"time": np.float32([1, 0.5]), "condition": random.random((2, len(toy.WORDS)), np.float32)}
    rough, right = step.run(given)["raw"], exact.run(given)["raw"]
    assert 0 < np.abs(rough - right).max() < 0.05 * np.abs(right).max()


@pytest.fixture
def patient(monkeypatch):
    """A busy machine makes every call a long one."""
    monkeypatch.setattr(ov, "SHORT_S", 60.0)


def _given(batch, height, width):
    random = np.random.default_rng([batch, height, width])
    given = {"latent": random.standard_normal((batch, toy.CHANNELS, height, width), np.float32)}
    given["time"] = random.random(batch, np.float32)
    return given | {"condition": random.random((batch, len(toy.WORDS)), np.float32)}


def test_a_size_in_use_gets_a_graph_of_its_own_and_bits_stay(bundle, patient):
    step = open_backend("openvino")(bundle.path("step"), 1)
    sizes = [(1, 8, 8), (3, 8, 8), (1, 8, 16), (2, 16, 8)]
    before = {size: step.run(_given(*size))["raw"] for size in sizes}
    for size in sizes:
        for _ in range(ov.FIXED_AFTER):
            np.testing.assert_array_equal(step.run(_given(*size))["raw"], before[size])
    step.settle()
    assert len(step._fixed) == ov.FIXED_LIMIT < len(sizes)
    assert all(fixed.result() is not None for fixed in step._fixed.values())
    for size in sizes:
        first, second = step.run(_given(*size))["raw"], step.run(_given(*size))["raw"]
        np.testing.assert_array_equal(first, before[size])
        assert not np.shares_memory(first, second)


def test_a_graph_that_is_let_go_is_not_kept_until_one_of_its_own_could_be_compiled(bundle, patient):
    gate = threading.Event()
    busy = ov._compiling.submit(gate.wait, 20)
    step = open_backend("openvino")(bundle.path("step"), 1)
    for _ in range(ov.FIXED_AFTER):
        step.run(_given(1, 8, 8))
    (fixed,), alive = step._fixed.values(), weakref.ref(step)
    del step
    assert alive() is None
    gate.set()
    assert busy.result()
    assert fixed.result(20) is None


def _mul_add():
    """raw = cos(scale * time + phase): one rounding or two before the cosine, as the compiler likes."""
    nodes = [
        helper.make_node("Unsqueeze", ["time", "axes"], ["t"]),
        helper.make_node("Mul", ["t", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "phase"], ["sum"]),
        helper.make_node("Cos", ["sum"], ["raw"]),
    ]
    random = np.random.default_rng(0)
    constants = {name: random.random((1, 96), np.float32) * 9 for name in ("scale", "phase")}
    constants["axes"] = np.int64([1])
    graph = helper.make_graph(
        nodes,
        "mul_add",
        [helper.make_tensor_value_info("time", 1, ["batch"])],
        [helper.make_tensor_value_info("raw", 1, ["batch", 96])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9).SerializeToString()


def test_a_graph_that_would_round_otherwise_at_fixed_sizes_keeps_its_bits(tmp_path, patient):
    """On some processors OpenVINO fuses here what it does not fuse where sizes are open; bits must stay on all."""
    (tmp_path / "graph.onnx").write_bytes(_mul_add())
    graph = open_backend("openvino")(tmp_path / "graph.onnx", 1)
    times = np.random.default_rng(1).random((40, 1), np.float32)
    before = [graph.run({"time": time})["raw"] for time in times]
    graph.settle()
    for time, bits in zip(times, before, strict=True):
        np.testing.assert_array_equal(graph.run({"time": time})["raw"], bits)


def test_a_graph_for_fixed_sizes_that_gives_other_bits_is_not_used(bundle, monkeypatch, patient):
    step = open_backend("openvino")(bundle.path("step"), 1)
    given = _given(1, 8, 8)
    right = step.run(given)["raw"]
    monkeypatch.setattr(ov, "_agree", lambda one, other, inputs: False)
    for _ in range(ov.FIXED_AFTER):
        step.run(given)
    step.settle()
    assert [fixed.result() for fixed in step._fixed.values()] == [None]
    np.testing.assert_array_equal(step.run(given)["raw"], right)


def test_agreeing_by_chance_on_round_numbers_is_not_enough():
    """The same function at 0, 0.5 and 1 and not between: a probe with a request's own times would let it pass."""

    def exact(inputs):
        return {"raw": inputs["time"]}

    def other(inputs):
        return {"raw": np.where(inputs["time"] % 0.5 == 0, inputs["time"], np.nextafter(inputs["time"], np.float32(2)))}

    given = {"time": np.float32([0.5, 1.0])}
    assert np.array_equal(exact(given)["raw"], other(given)["raw"])
    assert not ov._agree(exact, other, given)
    assert ov._agree(exact, exact, given)


CASES = [
    ("lcm", {}),
    ("euler", {"guidance": 2.0}),
    ("heun", {"spacing": "karras"}),
    ("dpmpp_2m", {"spacing": "karras", "guidance": 3.0}),
    ("dpmpp_2m_sde", {}),
    ("euler_ancestral", {"noise": "brownian", "guidance": 1.5}),
]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(("sampler", "dials"), CASES)
def test_the_engine_on_the_reference_backend_gives_what_the_plan_says(bundles, process, sampler, dials, tmp_path):
    """The float32 engine, in company, against the plan's float64 executor on the exact model: 1e-4 of the scale."""
    bundle = bundles[process]
    network = open_network(bundle, "reference", 1, tmp_path)
    engine, jobs, expected = Engine(), [], []
    for seed in range(3):
        request = {"prompt": "wet stone", "negative": "sand", "seed": seed, "size": 64, "steps": 6 + seed}
        r = resolve({**request, "sampler": sampler, **dials}, {bundle.digest: bundle})
        begin, draw = initial(r.recipe, shape(r)), StepDraws(r.recipe, r.plan, shape(r))

        def model(x, time, conditional, r=r):
            return evaluate(r.bundle.manifest, x, time, r.condition[0 if conditional else 1])

        expected.append(r.plan.run(model, begin, draw))
        first = start(r.plan, begin, None, draw)
        jobs.append(Job(network, r.plan, shape(r), lambda first=first: first, r.condition, draw))
        engine.add(jobs[-1])
    while engine.tick():
        pass
    for job, latent in zip(jobs, expected, strict=True):
        assert np.abs(job.latent - latent).max() <= 1e-4 * np.abs(latent).max()


def test_a_request_on_the_reference_backend_replays(bundle):
    with Runtime([bundle.folder], "reference") as runtime:
        texture = runtime.submit({"prompt": "stone", "seed": 5, "size": 64}).wait(20)
        assert texture.made_by["backend"] == "reference"
        assert runtime.submit(texture.recipe).wait(20).digest == texture.digest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tvm", ["'tvm' is not known", "openvino"]),
        ("onnxruntime:gpu", ["'onnxruntime:gpu' is not known", "onnxruntime:cuda"]),
        ("openvino:npu", ["'openvino:npu' is not known", "openvino:bf16"]),
        ("reference:fast", ["'reference:fast' is not known"]),
        ("null:soon", ["'null:soon' has no delay in milliseconds", "null:30"]),
        ("null:-1", ["no delay"]),
        ("null:nan", ["no delay"]),
    ],
)
def test_a_backend_that_is_not_known_is_one_sentence(bundle, name, words):
    with pytest.raises(Refusal) as refused:
        open_backend(name)(bundle.path("step"), 1)
    assert refused.value.field == "backend"
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize("choice", [c for c in ort.providers() if c != "cpu"])
def test_an_execution_provider_that_is_not_there_is_refused_and_never_replaced(bundle, choice, monkeypatch):
    provider = ort.providers()[choice][0]
    if provider in onnxruntime.get_available_providers():
        pytest.skip("this machine has it")
    with pytest.raises(Refusal, match=f"needs {provider}; here there are") as refused:
        open_backend(f"onnxruntime:{choice}")(bundle.path("step"), 1)
    assert "install" in refused.value.remedy
    monkeypatch.setattr(
        ort, "_check_there", lambda *_: None
    )  # as on a machine whose build has it: the options are taken
    with pytest.warns(UserWarning, match=provider):
        graph = open_backend(f"onnxruntime:{choice}")(bundle.path("step"), 1)
    assert graph.identity.device.startswith(choice)


def test_a_provider_that_cannot_start_is_refused_though_the_build_has_it(bundle, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.warns(UserWarning, match="CUDA"), pytest.raises(Refusal, match="here there are CPUExecutionProvider"):
        open_backend("onnxruntime:cuda")(bundle.path("step"), 1)
