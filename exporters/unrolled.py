"""A plan's whole run as one ONNX graph without a loop, for runtimes that read none: its rows one after another, its numbers inside.

Inputs (float32; D draws of the plan, G evaluations a row: 1, or 2 where the plan is guided):

    start      (B, C, h, w)      unit noise
    noise      (D, B, C, h, w)   unit draws in the plan's order; the input is missing where the plan draws none
    condition  (G, B, K)         with the prompt, then without

Output: latent (B, C, h, w). Weights are held once, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from ..assets.refusal import Refusal
from ..runtime.solver import Plan
from .loop import Name, Nodes, value_info

MOST_ROWS = 16


def unroll(step: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
    """The graph of this plan on a step with the inputs latent, time and condition."""
    if plan.rows > MOST_ROWS:
        raise Refusal(
            "too_large", "unrolled", f"{plan.rows} rows are more than {MOST_ROWS}", "take the loop graph for long plans"
        )
    shapes = {value.name: value.type.tensor_type.shape for value in step.graph.input}
    field: list[int | str] = ["batch", shapes["latent"].dim[1].dim_value, "height", "width"]
    evaluations = 2 if plan.guided.any() else 1
    n = Nodes("unrolled_")
    draws = [n.do("Gather", "noise", n.constant(k), axis=0) for k in range(plan.noise_draws)]
    conditions = [n.do("Gather", "condition", n.constant(k), axis=0) for k in range(evaluations)]
    batch = n.do("Shape", "start", start=0, end=1)

    def drawn(row: int) -> list[Name | None]:
        return [None if k < 0 else draws[int(k)] for k in plan.draws[row]]

    def weighted(weights: Sequence[float], columns: Sequence[Name | None]) -> Name | None:
        total: Name | None = None
        for weight, column in zip(weights, columns, strict=True):
            if weight == 0.0 or column is None:
                continue
            term = n.do("Mul", column, n.constant(weight, np.float32))
            total = term if total is None else n.do("Add", total, term)
        return total

    slots = [weighted(row, ["start", None, *drawn(0)]) for row in plan.head]
    for row in range(plan.rows):
        x = weighted(plan.read[row], slots)
        assert x is not None
        time = n.do("Expand", n.constant([plan.time[row]], np.float32), batch)
        asked = conditions if plan.guided[row] else conditions[:1]
        raws = [_evaluate(n, step, f"row{row}.{k}.", (x, time, each)) for k, each in enumerate(asked)]
        columns = [*slots, *raws, *[None] * (2 - len(raws)), *drawn(row + 1)]
        slots = [weighted(weights, columns) for weights in plan.mix[row]]
    assert slots[0] is not None
    n.do("Identity", slots[0], out="latent")
    size = shapes["condition"].dim[1].dim_value
    given = [value_info("start", *field), value_info("condition", evaluations, "batch", size)]
    if plan.noise_draws:
        given.insert(1, value_info("noise", plan.noise_draws, *field))
    graph = helper.make_graph(
        n.nodes, "unrolled", given, [value_info("latent", *field)], [*n.constants, *step.graph.initializer]
    )
    model = helper.make_model(graph, opset_imports=step.opset_import, ir_version=step.ir_version)
    model.producer_name = ""
    return model


def _evaluate(n: Nodes, step: onnx.ModelProto, prefix: str, inputs: tuple[Name, Name, Name]) -> Name:
    """The step's nodes once more, on these inputs; names of weights stay, so that all rows share them."""
    names = dict(zip(("latent", "time", "condition"), inputs, strict=True))
    names |= {tensor.name: tensor.name for tensor in step.graph.initializer}
    for node in step.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        for at, name in enumerate(node.input):
            copy.input[at] = names.get(name, name and prefix + name)
        for at, name in enumerate(node.output):
            copy.output[at] = name and prefix + name
        n.nodes.append(copy)
    return f"{prefix}raw"
