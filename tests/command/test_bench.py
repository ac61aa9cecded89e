"""`cadenza bench` on the small bundle: every figure is there or says why not, and each measures what it says."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import toy

from cadenza.assets.bundle import write_bundle
from cadenza.bindings import figures, figures_urgent, footprint
from cadenza.bridge.inproc import InprocGame
from cadenza.exporters.loop import wrap_step
from cadenza.runtime.bundles import embedded_bundles
from cadenza.runtime.runtime import Runtime

FIGURES = {
    "overhead_inproc",
    "overhead_socket",
    "torch_ratio_float32",
    "torch_ratio_bfloat16",
    "urgent_ticks_p99",
    "loop_ratio",
    "ms_128",
    "ms_256",
    "cold_start_s",
    "resident_mb",
    "installed_mb",
}

SHORT = {figures: {"COLD_STARTS": 1, "SETTLE_S": 0.1}, figures_urgent: {"ROUNDS": 5, "CROWD_S": 0.2}}
"""The longest measurements, made short."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The toy with a loop graph."""
    graphs = {**toy.manifest().graphs, "loop": "loop.onnx"}
    step = toy.step_graph()
    files = {"step.onnx": step, "decode.onnx": toy.decode_graph()}
    model = onnx.load_from_string(step)
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    files["loop.onnx"] = wrap_step(model).SerializeToString()
    folder = tmp_path_factory.mktemp("bench") / "toy"
    return write_bundle(folder, msgspec.structs.replace(toy.manifest(), graphs=graphs), files)


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    for module, lengths in SHORT.items():
        for name, length in lengths.items():
            monkeypatch.setattr(module, name, length)


def plan(bundle, rounds=3):
    return figures.Bench(bundle.folder, "stone", rounds, lambda: None)


def test_every_figure_is_a_number_or_says_why_not(bundle):
    """The whole command once, its longest measurements made short in the program that runs it."""
    lines = ["from cadenza.bindings.command import main"]
    for module, lengths in SHORT.items():
        lines += [
            f"import {module.__name__} as short",
            *(f"short.{name} = {length}" for name, length in lengths.items()),
        ]
    script = "\n".join([*lines, "main()"])
    words = ["bench", "--bundle", str(bundle.folder), "--rounds", "1", "--json"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= FIGURES
    for name in FIGURES:
        assert isinstance(found[name], float) or found["reasons"][name], name
    assert 0 < found["overhead_inproc"] < 1
    assert 0 < found["overhead_socket"] < 1
    assert {"torch_ratio_float32", "torch_ratio_bfloat16"} <= set(found["reasons"])  # the toy has no torch weights
    assert set(found["backends"]) == set(figures.backends_here(bundle.path("step"))) >= {"onnxruntime"}
    assert 0 < found["backends"][found["auto"]]["overhead_socket"] < 1
    assert found["installed_with_openvino_mb"] > found["installed_mb"]


def test_overhead_is_what_is_not_the_models_or_the_decoders(bundle):
    """With calls of 20 ms, four steps and a decoder are 100 ms: what is measured beside them is the engine's own."""
    with Runtime([bundle.folder], "null:20") as runtime:
        found = figures.speeds(plan(bundle), {"null": runtime})["null"]
    assert found["ms_128"] > 100
    assert abs(found["overhead_inproc"] - found["overhead_inproc_ms"] / found["ms_128"]) < 0.02
    assert found["overhead_inproc"] < 0.5


def test_an_urgent_request_is_measured_under_a_load_that_lasts(bundle):
    with Runtime([bundle.folder], "null:5") as runtime:
        seen, ended = [], threading.Event()

        def watch():
            while not ended.wait(0.02):
                seen.append(runtime.stats()["unfinished"])

        watcher = threading.Thread(target=watch)
        watcher.start()
        found = figures_urgent.urgent(plan(bundle, 1), runtime)
        ended.set()
        watcher.join()
        assert max(seen) > figures_urgent.WAITING
        assert found["urgent_ticks_before_its_first_max"] <= 1
        assert found["tick_ms"] >= 5
        with InprocGame(runtime, owned=False) as game:  # what waited was cancelled
            assert game.texture("stone", seed=1).id


def test_the_loop_graph_is_compared_with_the_engines_own_loop(bundle):
    with Runtime([bundle.folder], "onnxruntime", 1) as runtime:
        found, reason = figures.loop_ratio(plan(bundle), runtime, "onnxruntime", 1)
        assert 0.05 < found < 20
        assert not reason


def test_what_was_measured_in_one_round_is_compared_with_each_other():
    assert figures.ratio([2.0, 40.0, 6.0], [1.0, 10.0, 3.0]) == 2.0


def test_a_server_that_cannot_start_is_one_sentence(tmp_path):
    with pytest.raises(figures.Refusal, match="did not start"), figures.server(tmp_path, "onnxruntime"):
        pass


def test_the_installed_size_counts_what_the_runtime_requires_and_no_torch():
    sizes = footprint.installed_mb(footprint.OWN)
    assert {"cadenza", "numpy", "onnxruntime", "pyzmq", "msgspec"} <= set(sizes)
    assert not {"torch", "openvino", "onnx"} & set(sizes)
    assert sizes["onnxruntime"] > 10


@pytest.mark.slow
@pytest.mark.skipif(not embedded_bundles(), reason="this build has no embedded bundle")
def test_the_embedded_weights_in_a_plain_torch_loop_are_compared_and_give_the_same_latent():
    torch = pytest.importorskip("torch")
    from cadenza.exporters.embedded.baseline import as_trained, load_networks
    from cadenza.exporters.embedded.networks import GRAIN

    folder = embedded_bundles()[0]
    with Runtime([folder], "onnxruntime") as runtime:
        ratios, reasons = figures.torch_ratios(
            figures.Bench(folder, "stone", 3, lambda: None), {"onnxruntime": runtime}, "onnxruntime", 2
        )
        (network,) = runtime.networks.values()
    assert ratios["torch_ratio_float32"] > 0.2
    assert ratios["torch_float32_ratio"] == ratios["torch_ratio_folded_float32"]  # over the one backend here
    assert ratios["torch_ratio_float32"] > ratios["torch_ratio_folded_float32"] / 1.5
    assert (ratios["torch_ratio_bfloat16"] is None) == ("torch_ratio_bfloat16" in reasons)
    denoiser, decoder = load_networks(folder)
    random = np.random.default_rng(7)
    latent, time = random.standard_normal((2, denoiser.shape.latent, 8, 16), np.float32), np.float32([0.9, 0.2])
    condition = random.random((2, denoiser.shape.words), np.float32)
    with torch.inference_mode():
        raw = denoiser(*map(torch.from_numpy, (latent, time, condition))).numpy()
    ours = network.evaluate(latent, time, condition)
    assert np.abs(raw - ours).max() <= 1e-4 * np.abs(ours).max()
    with torch.inference_mode():
        plain = as_trained(denoiser)(*map(torch.from_numpy, (latent, time, condition))).numpy()
        given = [torch.from_numpy(latent), torch.rand(2, GRAIN, 32, 64) - 0.5]
        maps, plain_maps = (made(*given).numpy() for made in (decoder, as_trained(decoder)))
    assert np.abs(plain - raw).max() <= 1e-3 * np.abs(raw).max()  # float16 weights: their norms are 1 to three digits
    assert np.abs(plain_maps - maps).max() <= 1e-3 * np.abs(maps).max()
