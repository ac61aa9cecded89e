"""The exporter's core on small networks: same bytes twice, sizes and batches free, torch's numbers, a check that can fail."""

import copy
import json
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from cadenza.assets.bundle import load_bundle, write_bundle
from cadenza.assets.manifest import Channel, Flow, Grain, Latent, Recommended, Words
from cadenza.assets.refusal import Refusal
from cadenza.exporters import trained
from cadenza.exporters.embedded.networks import (
    GRAIN,
    GRAIN_FACTOR,
    Autoencoder,
    AutoencoderShape,
    Block,
    Denoiser,
    DenoiserShape,
    fold,
)
from cadenza.exporters.graph import trace
from cadenza.exporters.texture import FIELD, export_texture_bundle
from cadenza.runtime.runtime import Runtime

WORDS = ["stone", "brick", "moss", "wet"]
MAPS = ["albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic"]


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    denoiser = Denoiser(DenoiserShape(latent=4, words=len(WORDS), wide=(16, 24), embedding=16, blocks=1, inner=2))
    autoencoder = Autoencoder(AutoencoderShape(latent=4, encoder=(8, 8), decoder=(16, 12, 8), blocks=(1, 1, 1)))
    with torch.no_grad():
        denoiser.gain.fill_(1.0)
        for number, block in enumerate(m for m in denoiser.modules() if isinstance(m, Block)):
            block.strength.fill_(0.2 + 0.1 * number)
    denoiser, autoencoder = fold(denoiser), fold(autoencoder)
    return denoiser.requires_grad_(False), autoencoder.decoder.requires_grad_(False)


def export(folder, networks):
    return export_texture_bundle(
        folder,
        *networks,
        {"NOTICE": "made for a test"},
        name="small",
        process=Flow(),
        prediction="flow",
        latent=Latent(channels=4, factor=8, minimum=64, maximum=512, multiple=16),
        grain=Grain(channels=GRAIN, factor=GRAIN_FACTOR),
        conditioning=Words(words=WORDS, materials=3),
        recommended=[Recommended(steps=n, sampler="lcm", times=[1 - i / n for i in range(n + 1)]) for n in (1, 4)],
        channels=[Channel(name=n) for n in MAPS],
        licence="MIT",
    )


@pytest.fixture(scope="module")
def bundle(networks, tmp_path_factory):
    return export(tmp_path_factory.mktemp("bundle"), networks)


def test_exporting_twice_gives_identical_bytes(bundle, networks, tmp_path):
    again = export(tmp_path, networks)
    assert again.manifest.files == bundle.manifest.files
    assert again.digest == bundle.digest


def test_an_export_that_fails_its_check_leaves_the_bundle_that_was_there(bundle, networks, tmp_path, monkeypatch):
    folder = shutil.copytree(bundle.folder, tmp_path / "texture")
    other = copy.deepcopy(networks[0])
    with torch.no_grad():
        other.leave.weight.mul_(1.5)

    def fails(bundle, more):
        raise Refusal("diverged", "step", "differs", "report it")

    monkeypatch.setattr(trained, "check_bundle", fails)
    with pytest.raises(Refusal, match="differs"):
        export(folder, (other, networks[1]))
    assert load_bundle(folder).digest == bundle.digest
    assert list(tmp_path.iterdir()) == [folder]


def test_the_runtime_serves_an_exported_bundle(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    with Runtime([bundle.folder]) as runtime:
        texture = runtime.submit({"prompt": "wet brick", "seed": 7, "size": 64}).wait(20)
    assert texture.maps()["albedo"].shape == (64, 64, 3)


def test_the_report_in_the_bundle_has_every_backend_within_tolerance(bundle):
    report = json.loads((bundle.folder / "report.json").read_text(encoding="utf-8"))
    assert report["passed"]
    assert {check["backend"] for check in report["checks"]} == {"onnxruntime", "openvino"}
    assert all(max(check["host"], check["loop"], check["decoded"]) <= 1e-4 for check in report["checks"])
    assert report["torch"]["step"]["float32"] <= 1e-5 < report["torch"]["step"]["float16_weights"] <= 1e-2


def test_weights_are_kept_once_and_in_half(bundle, networks):
    numbers = sum(p.numel() for network in networks for p in network.parameters())
    assert (bundle.folder / "weights.bin").stat().st_size <= 2.1 * numbers
    assert all((bundle.folder / f"{name}.onnx").stat().st_size < 64_000 for name in ("step", "loop", "decode"))


@pytest.fixture(scope="module")
def graph(networks):
    axes = {"latent": FIELD, "time": {0: "batch"}, "condition": {0: "batch"}}
    example = {"latent": torch.randn(2, 4, 8, 12), "time": torch.rand(2), "condition": torch.rand(2, len(WORDS))}
    return trace(networks[0], example, ["raw"], axes)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 8, 8), (3, 10, 16), (2, 32, 12)])
def test_a_traced_graph_takes_any_batch_and_size(networks, graph, batch, height, width):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    latent, time, condition = torch.randn(batch, 4, height, width), torch.rand(batch), torch.rand(batch, len(WORDS))
    given = {"latent": latent.numpy(), "time": time.numpy(), "condition": condition.numpy()}
    expected = networks[0](latent, time, condition).numpy()
    np.testing.assert_allclose(session.run(None, given)[0], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_no_weight_arithmetic_is_left_in_a_traced_graph(graph):
    constant = {tensor.name for tensor in graph.graph.initializer}
    assert not [node.name for node in graph.graph.node if all(name in constant for name in node.input)]


def test_a_network_that_fixes_an_axis_is_refused_by_name():
    class Fixed(torch.nn.Module):
        def forward(self, latent):
            return torch.stack([2 * one for one in latent])

    with pytest.raises(Refusal, match=r"latent\.batch"):
        trace(Fixed(), {"latent": torch.randn(2, 4, 8, 8)}, ["raw"], {"latent": {0: "batch"}})


def spoiled_loop(bundle, folder):
    """The bundle with a loop graph whose body has one weight changed: the first of its convolutions."""
    loop = onnx.load(bundle.folder / "loop.onnx")
    body = next(a.g for node in loop.graph.node if node.op_type == "Loop" for a in node.attribute)
    weight = next(t for t in body.initializer if len(t.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float16(1.05), weight.name))
    files = {name: (bundle.folder / name).read_bytes() for name in bundle.manifest.files}
    return write_bundle(folder, bundle.manifest, {**files, "loop.onnx": loop.SerializeToString()})


def verify(*words):
    return subprocess.run(
        [sys.executable, "-m", "cadenza", "verify", *words], capture_output=True, encoding="utf-8", check=False
    )


def test_verify_names_the_first_stage_that_diverges_fails_and_changes_nothing(bundle, tmp_path):
    spoiled = spoiled_loop(bundle, tmp_path)
    ended = verify(str(spoiled.folder))
    assert ended.returncode == 1
    assert "loop graph, row 1 of" in ended.stderr
    assert load_bundle(spoiled.folder).digest == spoiled.digest


def test_a_bundle_without_a_loop_graph_is_verified_by_its_host_loop_and_the_report_written_in(bundle, tmp_path):
    graphs = {name: file for name, file in bundle.manifest.graphs.items() if name != "loop"}
    manifest = msgspec.structs.replace(bundle.manifest, graphs=graphs)
    files = {
        n: (bundle.folder / n).read_bytes()
        for n in bundle.manifest.files
        if n not in ("loop.onnx", "report.md", "report.json")
    }
    bare = write_bundle(tmp_path, manifest, files)
    report = json.loads(verify(str(bare.folder), "--write", "--json").stdout)
    assert report["passed"]
    assert all(check["loop"] is None for check in report["checks"])
    assert {"report.md", "report.json"} <= set(load_bundle(bare.folder).manifest.files)
