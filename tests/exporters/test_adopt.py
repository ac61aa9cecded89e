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
from cadenza.exporters import description
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
    (tmp_path / "manifest.toml").write_text(DESCRIPTION, encoding="utf-8")
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
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr
    assert (files / "out" / "bundle.json").is_file()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('latent = "noisy"', 'latent = "nosy"', "nosy.*noisy"),
        ('output = "clean"', 'output = "x"', "clean"),
        ('condition = "scalar"\n', "", "a word for each of its numbers"),
        ('prediction = "x0"', 'prediction = "score"', "prediction"),
        ("channels = 1", 'channels = "one"', "latent.channels"),
        ("channels = 1", "channels = 3", "pixels.channels.*each of the latent's 3 channels"),
        ('words = ["ruggedness"]', 'words = ["ruggedness", "wetness"]', "does not run as it is described"),
        ('words = ["ruggedness"]', "words = []", "a word for each of its numbers"),
        ("times = [80.0]", "times = [900.0]", "0 to 80 on this process"),
        ('sampler = "lcm"', 'sampler = "lmc"', "sampler: 'lmc' is not known; did you mean"),
        ("steps = 1", "steps = 2", "valid is a list of 2 or 3"),
        ("minimum = 32", "minimum = 128", "minimum up to maximum"),
        ('name = "islands"', 'nam = "islands"', "unknown field `nam`"),
    ],
)
def test_a_wrong_description_is_refused_by_name(files, old, new, named):
    (files / "manifest.toml").write_text(DESCRIPTION.replace(old, new), encoding="utf-8")
    with pytest.raises(Refusal, match=named):
        adopt(files / "denoiser.onnx", files / "manifest.toml", files / "out")


def test_a_network_that_paints_colours_becomes_a_texture(tmp_path, monkeypatch):
    """Three channels, EDM, no condition: each pixel's clean colour is half of the noisy one."""
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    value, field = helper.make_tensor_value_info, ["n", 3, "h", "w"]
    nodes = [helper.make_node("Mul", ["x", "half"], ["y"]), helper.make_node("Identity", ["t"], ["told"])]
    graph = helper.make_graph(
        nodes, "colours", [value("x", TensorProto.FLOAT, field), value("t", TensorProto.FLOAT, ["n"])],
        [value("y", TensorProto.FLOAT, field), value("told", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array(0.5, np.float32), "half")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "d.onnx")
    told = (
        DESCRIPTION.replace("heightmap", "texture")
        .replace('"consistency"', '"edm"')
        .replace("channels = 1", "channels = 3")
    )
    told = told.replace('words = ["ruggedness"]', "words = []").replace('condition = "scalar"\n', "")
    told = told.replace("noisy", "x").replace('sigma"', 't"').replace("clean", "y")
    (tmp_path / "m.toml").write_text(told, encoding="utf-8")
    bundle = adopt(tmp_path / "d.onnx", tmp_path / "m.toml", tmp_path / "out")
    with Runtime([bundle.folder]) as runtime:
        made = runtime.submit({"kind": "texture", "prompt": "", "seed": 3, "size": 32}).wait(20)
    assert made.albedo.shape == (32, 32, 3)
    assert (made.height == made.height[0, 0]).all()
    assert len({made.albedo[..., channel].tobytes() for channel in range(3)}) == 3


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
    text = (Path(adopt_module.__file__).parent / "EXPORT.md").read_text(encoding="utf-8")
    assert description.convert(text.split("```toml")[1].split("```")[0]).inputs.condition == "scalar"
