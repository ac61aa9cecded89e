"""A foreign ONNX denoiser comes out as a heightmap bundle by description alone, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cadenza.assets.bundle import load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.bindings.command import app
from cadenza.exporters import adopt as adopt_module
from cadenza.exporters.adopt import adopt
from cadenza.runtime.runtime import Runtime

DESCRIPTION = """
name = "islands"
kind = "heightmap"
prediction = "x0"
words = ["ruggedness"]
licence = "MIT"
[process]
type = "ve"
sigma_max = 80.0
[inputs]
latent = "noisy"
time = "sigma"
condition = "scalar"
output = "clean"
[preconditioning]
kind = "consistency"
[latent]
channels = 1
factor = 1
minimum = 32
maximum = 64
multiple = 8
[[recommended]]
steps = 1
sampler = "lcm"
times = [80.0]
"""


def foreign():
    """clean = conv(noisy) + told sigma + scalar; its own names, ranks and shapes."""
    weight = np.random.default_rng(0).standard_normal((1, 1, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["noisy", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "sigma"], ["a"]),
        helper.make_node("Reshape", ["scalar", "shape"], ["s"]),
        helper.make_node("Add", ["a", "s"], ["clean"]),
    ]
    value = helper.make_tensor_value_info
    field = ["n", 1, "h", "w_"]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [
            value("noisy", TensorProto.FLOAT, field),
            value("sigma", TensorProto.FLOAT, ["n", 1, 1, 1]),
            value("scalar", TensorProto.FLOAT, ["n"]),
        ],
        [value("clean", TensorProto.FLOAT, field)],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "shape"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), weight


@pytest.fixture
def files(tmp_path):
    onnx.save(foreign()[0], tmp_path / "denoiser.onnx")
    (tmp_path / "manifest.toml").write_text(DESCRIPTION)
    return tmp_path


def test_an_adopted_graph_computes_the_consistency_function_around_the_foreign_network(files):
    import onnxruntime

    bundle = adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")
    step = onnxruntime.InferenceSession(bundle.path("step"), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    x, sigma, scalar = rng.standard_normal((2, 1, 8, 8), np.float32), np.float32([3.0, 0.7]), np.float32([[0.2], [0.9]])
    raw = step.run(None, {"latent": x, "time": sigma, "condition": scalar})[0]
    foreign_network = onnxruntime.InferenceSession(str(files / "denoiser.onnx"), providers=["CPUExecutionProvider"])
    s = sigma[:, None, None, None].astype(np.float64)
    inside = {"noisy": x / np.sqrt(s**2 + 0.25), "sigma": np.log(s) / 4, "scalar": scalar[:, 0]}
    answer = foreign_network.run(None, {name: array.astype(np.float32) for name, array in inside.items()})[0]
    skip, out = 0.25 / ((s - 0.002) ** 2 + 0.25), 0.5 * (s - 0.002) / np.sqrt(s**2 + 0.25)
    np.testing.assert_allclose(raw, skip * x + out * answer, rtol=1e-5, atol=1e-5)


def test_it_is_served_like_a_texture_and_the_scalar_is_set_by_a_word(files, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(files / "home"))
    bundle = adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")
    with Runtime([bundle.folder]) as runtime:
        low, high = (
            runtime.submit({"kind": "heightmap", "prompt": f"ruggedness {r}", "seed": 3, "size": 32}).wait(20)
            for r in (0.1, 0.9)
        )
        assert runtime.submit(low.recipe).wait(20).digest == low.digest != high.digest
    assert low.height.shape == (32, 32)
    assert low.normal.shape == (32, 32, 3)


def test_the_command_adopts_without_torch(files):
    code = (
        "import sys; sys.modules['torch'] = None; from cadenza.bindings.command.app import run; "
        f"sys.exit(run(['export', {str(files / 'denoiser.onnx')!r}, '--adopt', {str(files / 'manifest.toml')!r}, "
        f"'--out', {str(files / 'out')!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (files / "out" / "bundle.json").is_file()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('latent = "noisy"', 'latent = "nosy"', "nosy.*noisy"),
        ('output = "clean"', 'output = "x"', "clean"),
        ('condition = "scalar"\n', "", "scalar"),
        ('prediction = "x0"', 'prediction = "score"', "prediction"),
        ("channels = 1", 'channels = "one"', "latent.channels"),
    ],
)
def test_a_wrong_description_is_refused_by_name(files, old, new, named):
    (files / "manifest.toml").write_text(DESCRIPTION.replace(old, new))
    with pytest.raises(Refusal, match=named):
        adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")


def test_a_dry_run_tells_what_would_be_made_and_makes_nothing(files, capsys):
    words = ["export", files / "denoiser.onnx", "--adopt", files / "manifest.toml", "--out", files / "out", "--dry-run"]
    assert app.run([*map(str, words), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["kind"], told["words"], told["steps"]) == ("islands", "heightmap", ["ruggedness"], [1])
    assert told["bytes"] >= 36
    assert not (files / "out").exists()


def test_an_adoption_that_stops_leaves_what_was_there(files, monkeypatch):
    first = adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")
    monkeypatch.setattr(adopt_module, "check_bundle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")
    assert load_bundle(files / "out").digest == first.digest
    assert not (files / "out.part").exists()


def test_the_documented_description_is_read():
    text = (Path(adopt_module.__file__).parent / "EXPORT.md").read_text()
    assert adopt_module.convert(text.split("```toml")[1].split("```")[0]).inputs.condition == "scalar"
