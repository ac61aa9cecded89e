"""A torch module as an ONNX graph that loads quickly: dynamic sizes, no weight arithmetic left to do, the same bytes each time.

Constant factors beside convolutions are left where they are: folding them into the weights was tried on the embedded
networks and gained 1 % on ONNX Runtime and nothing on OpenVINO.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch
from onnx_ir.passes.common import DeduplicateInitializersPass, LiftConstantsToInitializersPass, RemoveUnusedNodesPass

from ..assets.refusal import Refusal

OPSET = 18
IR_VERSION = 10
NO_LIMIT = 1 << 40
SMALL = 1e-6
"""Below this a constant is kept from the optimiser, which compares with a tolerance."""
Axes = Mapping[str, Mapping[int, str]]
"""Which axes of which input are dynamic, and their names: {"latent": {0: "batch", 2: "height", 3: "width"}}."""


def trace(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], dynamic: Axes
) -> onnx.ModelProto:
    """The module as an ONNX graph with these input and output names, tidied.

    `inputs` are examples in the order of the module's arguments; the size of a dynamic axis must not be 1 in them. An axis
    that the module's code fixes to the example's size is refused, never silently fixed.
    """
    free: list[Any] = [dict.fromkeys(dynamic.get(name, {}), torch.export.Dim.AUTO) for name in inputs]
    named = [p for p in inspect.signature(module.forward).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    if len(named) < len(free):  # the rest is *arguments, which the tracer takes as one
        free[len(named) :] = [tuple(free[len(named) :])]
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(free),
            opset_version=OPSET,
            verbose=False,
            optimize=False,  # done below, with small constants out of its sight
        )
        model = program.model
        with _hidden(model):
            onnxscript.optimizer.optimize(model)
    ranges = program.exported_program.range_constraints
    fixed = {str(symbol): int(span.lower) for symbol, span in ranges.items() if span.lower == span.upper}
    for value in model.graph.inputs:
        value.shape = ir.Shape(_named(value, dynamic.get(value.name, {}), fixed))
    return tidy(model)


def tidy(model: ir.Model) -> onnx.ModelProto:
    """Folds constants of any size and drops what does not change the result: notes, module names, shapes of inner values."""
    onnxscript.optimizer.fold_constants(model, input_size_limit=NO_LIMIT, output_size_limit=NO_LIMIT)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    RemoveUnusedNodesPass()(model)
    DeduplicateInitializersPass(size_limit=NO_LIMIT)(model)
    _strip(model)
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    return proto


def _named(value: ir.Value, names: Mapping[int, str], fixed: Mapping[str, int]) -> list[int | str]:
    """The sizes of an input with its dynamic axes named; `fixed` are the tracer's symbols that have one value only."""
    sizes = [str(size) for size in value.shape or ()]
    for axis, name in names.items():
        only = fixed.get(sizes[axis], sizes[axis])
        if str(only).isdecimal():
            raise Refusal(
                "unsupported",
                f"{value.name}.{name}",
                f"the network works for {only} only, its code fixes this axis",
                "write it without numbers taken from the example's shape, or export at fixed sizes",
            )
    return [names.get(axis) or int(size) for axis, size in enumerate(sizes)]


@contextmanager
def _hidden(model: ir.Model) -> Iterator[None]:
    """Small constants look like inputs meanwhile: the optimiser takes `x + 1e-15` for `x`, and a division by 0 is left."""
    onnxscript.optimizer.inline(model)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    graph = model.graph
    held = [(value, value.const_value) for value in graph.initializers.values() if _is_small(value.const_value)]
    for value, _ in held:
        del graph.initializers[str(value.name)]
        value.const_value = None
        graph.inputs.append(value)
    try:
        yield
    finally:
        for value, constant in held:
            graph.inputs.remove(value)
            value.const_value = constant
            graph.register_initializer(value)


def _is_small(constant: ir.TensorProtocol | None) -> bool:
    if constant is None or constant.size != 1 or not constant.dtype.is_floating_point():
        return False
    return 0.0 < abs(float(constant.numpy().item())) < SMALL


def _strip(model: ir.Model) -> None:
    """The tracer's notes change with its version and hold paths of the machine."""
    model.producer_name = model.producer_version = model.doc_string = None
    model.ir_version = IR_VERSION
    graph = model.graph
    graph.name = "graph"
    noted: list[Any] = [model, graph, *graph.inputs, *graph.outputs, *graph.initializers.values()]
    for each in noted:
        each.metadata_props.clear()
        each.doc_string = None
    for output in graph.outputs:
        output.shape = ir.Shape([None] * len(output.shape)) if output.shape is not None else None
    for number, node in enumerate(graph):
        node.metadata_props.clear()
        node.name, node.doc_string = f"n{number}", None
        for output in node.outputs:
            if not output.is_graph_output():
                output.name = f"v{number}.{output.index()}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps notes that torch's exporter has about its own inside out of the user's sight; errors still rise."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
