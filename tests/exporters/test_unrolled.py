"""An unrolled graph computes what the plan's reference executor does, with the weights of one step."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cadenza.assets.refusal import Refusal
from cadenza.exporters.unrolled import unroll
from cadenza.runtime.solver import Process, compile_plan

CHANNELS, WORDS = 3, 5


def step():
    """raw = conv(latent) + condition @ w, times a number that falls with time."""
    rng = np.random.default_rng(0)
    value, field = helper.make_tensor_value_info, ["batch", CHANNELS, "height", "width"]
    arrays = {
        "w": 0.2 * rng.standard_normal((CHANNELS, CHANNELS, 3, 3)),
        "p": rng.standard_normal((WORDS, CHANNELS)),
        "one": np.ones(1),
    }
    nodes = [
        helper.make_node("Conv", ["latent", "w"], ["c"], "n0", pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["condition", "p"], ["m"], "n1"),
        helper.make_node("Unsqueeze", ["m", "axes"], ["u"], "n2"),
        helper.make_node("Add", ["c", "u"], ["s"], "n3"),
        helper.make_node("Add", ["time", "one"], ["t"], "n4"),
        helper.make_node("Unsqueeze", ["t", "all"], ["d"], "n5"),
        helper.make_node("Div", ["s", "d"], ["raw"], "n6"),
    ]
    constants = [numpy_helper.from_array(a.astype(np.float32), k) for k, a in arrays.items()]
    constants += [numpy_helper.from_array(np.array(a), k) for k, a in (("axes", [2, 3]), ("all", [1, 2, 3]))]
    graph = helper.make_graph(
        nodes, "step",
        [value("latent", TensorProto.FLOAT, field), value("time", TensorProto.FLOAT, ["batch"]),
         value("condition", TensorProto.FLOAT, ["batch", WORDS])],
        [value("raw", TensorProto.FLOAT, field)], constants,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def session(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("sampler", ["euler", "lcm", "heun", "dpmpp_2m_sde"])
def test_it_is_the_plan(sampler, guidance):
    plan = compile_plan(sampler, [9.0, 1.5, 0.3, 0.0], 3, Process.flow(), "flow", guidance=guidance)
    rng = np.random.default_rng(1)
    field = (2, CHANNELS, 5, 4)
    start, draws = rng.standard_normal(field, np.float32), rng.standard_normal((plan.noise_draws, *field), np.float32)
    conditions = rng.standard_normal((2, 2, WORDS)).astype(np.float32)
    one = session(step())

    def model(x, time, conditional):
        given = {"latent": x.astype(np.float32), "time": np.full(2, time, np.float32)}
        return one.run(None, {**given, "condition": conditions[0 if conditional else 1]})[0]

    expected = plan.run(model, start, lambda k: draws[k])
    made = unroll(step(), plan)
    given = {"start": start, "condition": conditions[: 2 if guidance != 1.0 else 1]}
    if plan.noise_draws:
        given["noise"] = draws
    latent = session(made).run(None, given)[0]
    np.testing.assert_allclose(latent, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert sum(len(t.dims) == 4 for t in made.graph.initializer) == 1


def test_a_long_plan_is_sent_to_the_loop_graph():
    with pytest.raises(Refusal, match="20 rows are more than 16"):
        unroll(step(), compile_plan("euler", "karras", 20, Process.ve(), "x0"))
