"""A small real bundle for tests: a circular convolution network as ONNX graphs, written with onnx.helper."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cadenza.assets.bundle import write_bundle
from cadenza.assets.manifest import Channel, Flow, Latent, Manifest, Recommended, Words

CHANNELS, WIDE, FACTOR = 4, 16, 8
WORDS = ["stone", "brick", "moss", "sand", "wet", "mossy", "cracked"]
MAPS = ["albedo.r", "albedo.g", "albedo.b", "height", "roughness", "metallic"]


def _weights(rng, name, *shape):
    return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)


def _value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, "toy", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


EDGES = [
    numpy_helper.from_array(np.array([n], np.int64), name)
    for name, n in (("m1", -1), ("p0", 0), ("p1", 1), ("end", 2**31))
]
EDGES += [numpy_helper.from_array(np.array([axis], np.int64), f"axis{axis}") for axis in (2, 3)]


def _wrap(source, to):
    """Circular padding by one as slices and concatenations: OpenVINO reads no Pad in mode wrap."""
    nodes = []
    for axis, into in ((2, f"{to}_rows"), (3, to)):
        first, last = f"{into}_first", f"{into}_last"
        nodes.append(helper.make_node("Slice", [source, "p0", "p1", f"axis{axis}"], [first]))
        nodes.append(helper.make_node("Slice", [source, "m1", "end", f"axis{axis}"], [last]))
        nodes.append(helper.make_node("Concat", [last, source, first], [into], axis=axis))
        source = into
    return nodes


def step_graph(seed=0):
    """raw = conv(silu(circular conv(latent) + time and condition))."""
    rng = np.random.default_rng(seed)
    constants = [
        _weights(rng, "w1", WIDE, CHANNELS, 3, 3),
        _weights(rng, "w2", CHANNELS, WIDE, 3, 3),
        _weights(rng, "wc", len(WORDS) + 1, WIDE),
        *EDGES,
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "space"),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["time", "one"], ["t"]),
        helper.make_node("Concat", ["t", "condition"], ["given"], axis=1),
        helper.make_node("MatMul", ["given", "wc"], ["m"]),
        helper.make_node("Unsqueeze", ["m", "space"], ["modulation"]),
        *_wrap("latent", "p1_in"),
        helper.make_node("Conv", ["p1_in", "w1"], ["c1"]),
        helper.make_node("Add", ["c1", "modulation"], ["a1"]),
        helper.make_node("Sigmoid", ["a1"], ["s1"]),
        helper.make_node("Mul", ["a1", "s1"], ["h1"]),
        *_wrap("h1", "p2_in"),
        helper.make_node("Conv", ["p2_in", "w2"], ["raw"]),
    ]
    inputs = [_value("latent", "B", CHANNELS, "h", "w"), _value("time", "B"), _value("condition", "B", len(WORDS))]
    return _model(nodes, inputs, [_value("raw", "B", CHANNELS, "h", "w")], constants)


def decode_graph(seed=1):
    rng = np.random.default_rng(seed)
    constants = [_weights(rng, "w", len(MAPS) * FACTOR * FACTOR, CHANNELS, 3, 3)]
    constants += EDGES
    nodes = [
        *_wrap("latent", "p_in"),
        helper.make_node("Conv", ["p_in", "w"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=FACTOR),
        helper.make_node("Sigmoid", ["d"], ["maps"]),
    ]
    return _model(
        nodes, [_value("latent", "B", CHANNELS, "h", "w")], [_value("maps", "B", len(MAPS), "H", "W")], constants
    )


def manifest():
    return Manifest(
        name="toy",
        kind="texture",
        process=Flow(),
        prediction="flow",
        latent=Latent(channels=CHANNELS, factor=FACTOR, minimum=64, maximum=512, multiple=16),
        conditioning=Words(words=WORDS, materials=4, synonyms={"rock": "stone"}),
        recommended=[Recommended(steps=n, sampler="lcm", times=[1 - i / n for i in range(n + 1)]) for n in (1, 2, 4)],
        channels=[Channel(name=n, encoding="srgb" if n.startswith("albedo") else "linear") for n in MAPS],
        graphs={"step": "step.onnx", "decode": "decode.onnx"},
        licence="MIT",
    )


def write(folder):
    return write_bundle(folder, manifest(), {"step.onnx": step_graph(), "decode.onnx": decode_graph()})
