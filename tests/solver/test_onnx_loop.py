"""The third way to run a sampler: its plan as the inputs of one ONNX loop graph, which never changes."""

import numpy as np
import onnxruntime
import pytest
from measured import CFG_PP, PROCESSES
from onnx import TensorProto, helper

from cadenza.exporters.loop import wrap_step
from cadenza.runtime import compile_plan
from cadenza.runtime.engine.loop import loop_inputs
from cadenza.runtime.solver.samplers import SAMPLERS

LEVELS = [9.0, 4.0, 1.5, 0.6, 0.2, 0.0]
SHAPE = (1, 2, 3)


def value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture(scope="module")
def loop():
    """raw = tanh(latent condition), with a condition for each of the two evaluations."""
    nodes = [helper.make_node("Mul", ["latent", "condition"], ["both"]), helper.make_node("Tanh", ["both"], ["raw"])]
    nodes.append(helper.make_node("Identity", ["time"], ["heard"]))
    given = [value("latent", "batch", *SHAPE), value("time", "batch"), value("condition", "batch", 1, 1, 1)]
    graph = helper.make_graph(nodes, "step", given, [value("raw", "batch", *SHAPE)])
    step = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return onnxruntime.InferenceSession(wrap_step(step).SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_plan_run_by_the_onnx_loop_equals_its_float64_run(loop, name, kind):
    process, prediction = PROCESSES[kind]
    rng = np.random.default_rng(4)
    start, draws = rng.standard_normal((1, *SHAPE), np.float32), rng.standard_normal((80, 1, *SHAPE), np.float32)
    conditions = np.array([0.3, 0.1], np.float32).reshape(2, 1, 1, 1, 1)
    for guidance in (1.0, 3.0):
        plan = compile_plan(name, LEVELS, 5, process, prediction, guidance=guidance)
        assert plan.guided.any() == (guidance != 1.0 or name in CFG_PP)

        def model(x, time, conditional):
            return np.tanh(x * conditions[0 if conditional else 1])

        given = loop_inputs(plan, start, lambda k: draws[k], {"condition": conditions})
        (latent,) = loop.run(None, given)
        expected = plan.run(model, start, lambda k: draws[k])
        assert np.abs(latent - expected).max() <= 1e-4 * np.abs(expected).max()
