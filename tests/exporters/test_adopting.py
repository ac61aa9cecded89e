"""Foreign graphs as exporters write them: old opsets, functions, weights among the inputs; and descriptions that cannot be."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_adopt import DESCRIPTION, foreign

from cadenza.assets.refusal import Refusal
from cadenza.exporters import adopt as adopt_module
from cadenza.exporters import verify
from cadenza.exporters.adopt import adopt
from cadenza.runtime.runtime import Runtime

PLAIN = DESCRIPTION.replace('kind = "consistency"', 'kind = "none"')


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    whole = verify.check_bundle
    monkeypatch.setattr(verify, "PROCESSORS", ("onnxruntime",))
    monkeypatch.setattr(adopt_module, "check_bundle", lambda bundle: whole(bundle, samplers=("euler",)))


def adopted(folder, model, description=PLAIN):
    onnx.save(model, folder / "denoiser.onnx")
    (folder / "manifest.toml").write_text(description, encoding="utf-8")
    return adopt(folder / "denoiser.onnx", folder / "manifest.toml", folder / "out")


def old(opset):
    """clean = softmax of conv(noisy) + sigma over all but the batch, + scalar, as opsets below 13 write it."""
    value = helper.make_tensor_value_info
    field = ["n", 1, "h", "w_"]
    nodes = [
        helper.make_node("Conv", ["noisy", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Unsqueeze", ["sigma"], ["s"], axes=[1, 2, 3]),
        helper.make_node("Add", ["c", "s"], ["a"]),
        helper.make_node("Softmax", ["a"], ["m"]),
        helper.make_node("Unsqueeze", ["scalar"], ["k"], axes=[1, 2, 3]),
        helper.make_node("Add", ["m", "k"], ["clean"]),
    ]
    given = [value("noisy", 1, field), value("sigma", 1, ["n"]), value("scalar", 1, ["n"])]
    weight = numpy_helper.from_array(foreign()[1], "w")
    graph = helper.make_graph(nodes, "old", given, [value("clean", 1, field)], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=5)


def listed():
    """Its weight stands among the inputs, too, as graphs before ONNX's fourth version of its files have to."""
    model = foreign()[0]
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 1, 3, 3]))
    return model


def composed():
    """Adds the told noise ratio in a function of its own, which calls another."""
    model, opset = foreign()[0], [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    inner = helper.make_function("own", "Sum2", ["a", "b"], ["c"], [helper.make_node("Add", ["a", "b"], ["c"])], opset)
    call = [helper.make_node("Sum2", ["a", "b"], ["c"], domain="own")]
    outer = helper.make_function("own", "Told", ["a", "b"], ["c"], call, opset)
    model.graph.node[1].op_type, model.graph.node[1].domain = "Told", "own"
    model.functions.extend([inner, outer])
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


@pytest.mark.parametrize(
    "model",
    [old(9), old(11), listed(), composed()],
    ids=["opset 9", "opset 11", "weight among the inputs", "functions"],
)
def test_a_graph_as_old_exporters_write_it_computes_the_same_when_it_is_adopted(tmp_path, model):
    bundle = adopted(tmp_path, model)
    rng = np.random.default_rng(1)
    x, sigma, scalar = rng.standard_normal((2, 1, 8, 12), np.float32), np.float32([3.0, 0.7]), np.float32([0.2, 0.9])
    step, own = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in (bundle.path("step"), tmp_path / "denoiser.onnx")
    )
    rank = len(own.get_inputs()[1].shape)
    told = {"noisy": x, "sigma": sigma.reshape(2, *[1] * (rank - 1)), "scalar": scalar}
    raw = step.run(None, {"latent": x, "time": sigma, "condition": scalar[:, None]})[0]
    np.testing.assert_allclose(raw, own.run(None, told)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [13, 14])
def test_an_opset_before_that_of_the_loop_is_brought_to_it(tmp_path, opset):
    model = foreign()[0]
    model.opset_import[0].version = opset
    assert "loop" in adopted(tmp_path, model).manifest.graphs


def test_an_opset_that_cannot_be_converted_is_refused_by_its_number(tmp_path, monkeypatch):
    def fails(model, opset):
        raise RuntimeError("no adapter for Upsample")

    monkeypatch.setattr(adopt_module.version_converter, "convert_version", fails)
    with pytest.raises(Refusal, match=r"opset 9 .*no adapter for Upsample; export it with opset 15"):
        adopted(tmp_path, old(9))


def test_a_graph_in_float16_is_refused_in_words(tmp_path):
    model = foreign()[0]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), "w"))
    with pytest.raises(Refusal, match=r"source\.noisy: is float16, .*; export it in float32"):
        adopted(tmp_path, model)


@pytest.mark.parametrize(
    ("changes", "field", "named"),
    [
        ([("factor = 1", "factor = 8")], "adopt.latent.factor", "8 pixels a cell, and the maps of 4 cells have 4"),
        ([("minimum = 32", "minimum = 4"), ("multiple = 8", "multiple = 2")], "adopt.latent.minimum", "6 pixels"),
        ([('"ve"\nsigma_max = 80.0', '"flow"'), ("[80.0]", "[1.0]")], "adopt.preconditioning.kind", "'flow'"),
        ([('"consistency"', '"edm"'), ('"ve"\nsigma_max = 80.0', '"flow"'), ("[80.0]", "[1.0]")],
         "adopt.preconditioning.kind", "'edm' reads time as the noise ratio"),
        ([('"x0"', '"epsilon"')], "adopt.prediction", "'epsilon' is not what comes out of 'consistency'"),
    ],
)  # fmt: skip
def test_a_description_that_cannot_be_is_refused_by_its_field(tmp_path, changes, field, named):
    text = DESCRIPTION
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(Refusal, match=named) as refused:
        adopted(tmp_path, foreign()[0], text)
    assert refused.value.field == field
    assert not (tmp_path / "out").exists()


def test_the_smallest_size_that_is_adopted_is_served(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    text = DESCRIPTION.replace("minimum = 32", "minimum = 7").replace("multiple = 8", "multiple = 1")
    bundle = adopted(tmp_path, foreign()[0], text)
    with Runtime([bundle.folder]) as runtime:
        made = runtime.submit({"kind": "heightmap", "prompt": "ruggedness 0.3", "seed": 3, "size": 7}).wait(20)
    assert made.height.shape == (7, 7)
