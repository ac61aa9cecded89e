"""Weights in every storage: near what they were, in a graph that runs, in the bytes that were promised."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cadenza.exporters.precision import PRECISIONS, quantized
from cadenza.exporters.storage import STORAGE, Use
from cadenza.exporters.weights import GraphFiles

WORST = {"fp32": 0.0, "fp16": 2**-11, "bf16": 2**-8, "int8": 1.01 / 254, "int4": 1.01 / 14}
"""Of a number over the largest of those that share its scale; half a step of the grid."""
APART = {"fp32": 1e-6, "fp16": 1e-3, "bf16": 5e-3, "int8": 0.02, "int4": 0.2}
"""Root of the mean square over three layers: each adds a grid of deviation step / sqrt(12) to normal weights, whose largest
is about 4 deviations a channel and 2.2 a block of 32: sqrt(3) 4 / 127 / sqrt(12) is 1.6 %, sqrt(3) 2.2 / 7 / sqrt(12) 16 %."""
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1.1, "int4": 0.65}


def graph(seed=0, factor=1.0):
    """raw = conv(latent) through a product with weights over channels and back."""
    rng = np.random.default_rng(seed)
    arrays = {
        "conv": factor * rng.standard_normal((64, 32, 3, 3)).astype(np.float32),
        "product": rng.standard_normal((64, 96)).astype(np.float32),
        "table": rng.standard_normal((96, 32)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["latent", "conv"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "product"], ["m"]),
        helper.make_node("MatMul", ["m", "table"], ["n"]),
        helper.make_node("Transpose", ["n"], ["raw"], perm=[0, 3, 1, 2]),
    ]
    field = ["batch", 32, "height", "width"]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes, "g", [value("latent", TensorProto.FLOAT, field)], [value("raw", TensorProto.FLOAT, field)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model, latent):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"latent": latent})[0]


@pytest.fixture(scope="module")
def latent():
    return np.random.default_rng(1).standard_normal((2, 32, 8, 6), np.float32)


@pytest.mark.parametrize("store", STORAGE)
def test_a_stored_weight_is_within_half_a_step_of_what_it_was(store):
    array = np.random.default_rng(2).standard_normal((64, 96)).astype(np.float32)
    stored = STORAGE[store](array, "w", Use(1, 0))
    nodes = [stored.node] if stored.node else [helper.make_node("Identity", ["w"], ["out"])]
    if stored.node:
        nodes.append(helper.make_node("Identity", ["w"], ["out"]))
    made = helper.make_graph(
        nodes,
        "g",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [64, 96])],
        list(stored.arrays.values()),
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", max(18, stored.opset))], ir_version=10)
    back = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {})[0]
    error = np.abs(back - array).max()
    assert error <= WORST[store] * np.abs(array).max()
    assert (error > 0) == (store != "fp32")


@pytest.mark.parametrize("store", STORAGE)
def test_a_graph_in_a_folder_runs_near_the_graph_it_was_and_takes_the_bytes_promised(store, latent, tmp_path):
    expected = run(graph().SerializeToString(), latent)
    with GraphFiles(tmp_path, store) as files:
        files.add("step", graph())
    made = run(str(tmp_path / "step.onnx"), latent)
    assert np.sqrt(np.mean((made - expected) ** 2)) <= APART[store] * np.sqrt(np.mean(expected**2))
    numbers = 64 * 32 * 9 + 64 * 96 + 96 * 32
    assert (tmp_path / "weights.bin").stat().st_size <= BYTES[store] * numbers + 1024


def test_a_weight_too_high_for_float16_stays_float32_and_nothing_overflows(latent, tmp_path):
    with GraphFiles(tmp_path, "fp16") as files:
        files.add("step", graph(factor=1e5))
    made = run(str(tmp_path / "step.onnx"), latent)
    assert np.isfinite(made).all()
    expected = run(graph(factor=1e5).SerializeToString(), latent)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore")
def test_static_int8_is_calibrated_on_what_it_is_given(latent):
    expected = run(graph().SerializeToString(), latent)
    model = quantized(graph(), [{"latent": latent}])
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    near = np.abs(run(model.SerializeToString(), latent) - expected).max() / np.abs(expected).max()
    far = quantized(graph(), [{"latent": 100 * latent}])
    assert near < 0.05 < np.abs(run(far.SerializeToString(), latent) - expected).max() / np.abs(expected).max()


@pytest.mark.filterwarnings("ignore")
def test_a_product_stays_float_where_one_range_would_drown_the_quietest_run(latent):
    model = quantized(graph(), [{"latent": latent}, {"latent": 0.01 * latent}])
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    assert not [
        node for node in model.graph.node if node.op_type in ("Conv", "MatMul") and node.input[0] in dequantized
    ]
    quiet = run(model.SerializeToString(), 0.01 * latent)
    expected = run(graph().SerializeToString(), 0.01 * latent)
    np.testing.assert_allclose(quiet, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_every_precision_names_known_storage():
    assert {p.step for p in PRECISIONS.values()} | {p.rest for p in PRECISIONS.values()} <= set(STORAGE)
