"""The whole solver loop as one ONNX graph: a step inside an ONNX Loop, the plan's numbers as inputs, so it runs every plan.

Inputs (float32; R rows, S slots, N noise columns, at least one, G evaluations a row: 1, or 2 with the unconditional one):

    head       (S, A)              slots before the first row = head @ begin
    begin      (A, B, C, h, w)     start, image, and what the head draws
    read       (R, S)              the model's input = read[row] . slots
    time       (R,)                what the model is told
    mix        (R, S, S + G + N)   slots = mix[row] @ [slots, raw, raw_uncond, noise...]
    noise      (R, N, B, C, h, w)  unit draws, zeros where a column has none
    condition  (G, B, K) ...       each condition of the step, the evaluations in front

Output: latent (B, C, h, w). The weights stand inside the body: in the outer graph ONNX Runtime does not pre-pack them.
TensorRT wants the Loop's condition given, so it is, as a constant true.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

Name = str


class Nodes:
    """A list of nodes with names made up in order."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix, self._number = prefix, 0

    def constant(self, value: object, kind: type = np.int64) -> Name:
        name = self._name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def do(self, operator: str, *inputs: Name, out: Name | None = None, **attributes: object) -> Name:
        out = out or self._name()
        self.nodes.append(helper.make_node(operator, list(inputs), [out], f"{self._prefix}{out}", **attributes))
        return out

    def _name(self) -> Name:
        self._number += 1
        return f"{self._prefix}{self._number}"


def wrap_step(step: onnx.ModelProto) -> onnx.ModelProto:
    """The loop of a step graph with inputs latent (B, C, h, w), time (B,), conditions (B, ...) and output raw."""
    inputs = {value.name: value for value in step.graph.input}
    channels, height, width = (_size(d) for d in inputs["latent"].type.tensor_type.shape.dim[1:])
    conditions = {
        name: [_size(d) for d in value.type.tensor_type.shape.dim[1:]]
        for name, value in inputs.items()
        if name not in ("latent", "time")
    }
    field = ["batch", channels, height, width]
    outer = Nodes("outer_")
    shape = outer.do("Shape", "begin", start=1)
    flat = outer.do("Reshape", "begin", outer.constant([0, -1]))
    first = outer.do("MatMul", "head", flat)
    rows = outer.do("Squeeze", outer.do("Shape", "time"), outer.constant([0]))
    body = _body(step, list(conditions), shape)
    slots = outer.do("Loop", rows, outer.constant(True, np.bool_), first, body=body)
    last = outer.do("Gather", slots, outer.constant(0), axis=0)
    outer.do("Reshape", last, shape, out="latent")
    given = [
        value_info("head", "slots", "begins"),
        value_info("begin", "begins", *field),
        value_info("read", "rows", "slots"),
        value_info("time", "rows"),
        value_info("mix", "rows", "slots", "columns"),
        value_info("noise", "rows", "noises", *field),
        *(value_info(name, "evaluations", "batch", *shape) for name, shape in conditions.items()),
    ]
    graph = helper.make_graph(outer.nodes, "loop", given, [value_info("latent", *field)], outer.constants)
    model = helper.make_model(graph, opset_imports=step.opset_import, ir_version=step.ir_version)
    model.producer_name = ""
    return model


def _body(step: onnx.ModelProto, conditions: list[Name], shape: Name) -> onnx.GraphProto:
    """(iteration, true, slots (S, B C h w)) to (true, slots): what one row of a plan does."""
    inside = compose.add_prefix(step, "step.", rename_nodes=False).graph  # a body shares names with the graph around it
    n = Nodes("loop_")
    read, time, mix, noise = (n.do("Gather", name, "iteration", axis=0) for name in ("read", "time", "mix", "noise"))
    zero, one, minus = (n.constant([number]) for number in (0, 1, -1))
    batch, rest = (n.do("Slice", shape, start, end, zero) for start, end in ((zero, one), (one, n.constant([4]))))
    evaluations = n.do("Shape", conditions[0], start=0, end=1) if conditions else one
    x = n.do("MatMul", n.do("Unsqueeze", read, zero), "slots_in")  # (1, B C h w)
    repeated = n.do("Expand", x, n.do("Concat", evaluations, one, axis=0))
    n.do("Reshape", repeated, n.do("Concat", minus, rest, axis=0), out="step.latent")
    n.do("Expand", time, n.do("Mul", evaluations, batch), out="step.time")
    for name in conditions:
        n.do("Reshape", name, n.do("Concat", minus, n.do("Shape", name, start=2), axis=0), out=f"step.{name}")
    before = len(n.nodes)
    flat = n.do("Concat", minus, n.do("Shape", "slots_in", start=1), axis=0)
    raw, drawn = n.do("Reshape", "step.raw", flat), n.do("Reshape", noise, flat)
    n.do("MatMul", mix, n.do("Concat", "slots_in", raw, drawn, axis=0), out="slots_out")
    n.do("Identity", "true_in", out="true_out")
    nodes = [*n.nodes[:before], *inside.node, *n.nodes[before:]]
    inputs = [
        helper.make_tensor_value_info("iteration", TensorProto.INT64, []),
        helper.make_tensor_value_info("true_in", TensorProto.BOOL, []),
        value_info("slots_in", "slots", "numbers"),
    ]
    outputs = [
        helper.make_tensor_value_info("true_out", TensorProto.BOOL, []),
        value_info("slots_out", "slots", "numbers"),
    ]
    return helper.make_graph(nodes, "row", inputs, outputs, [*n.constants, *inside.initializer])


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    return str(dim.dim_param) or int(dim.dim_value)


def value_info(name: Name, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
