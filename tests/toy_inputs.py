"""Toy bundles whose step graphs read more than text: a picture with a strength, an encoded picture, a mask and an image."""

import msgspec
import numpy as np
import onnx
import toy
from onnx import helper, numpy_helper

from cadenza.assets.bundle import write_bundle
from cadenza.assets.inputs import Anew, Encoded, Kept, Number, Picture

SIDE, WIDTH = 16, 6
INPUTS = {
    "depth": Picture(3),
    "depth_strength": Number(1.0, 0.0, 2.0),
    "style": Encoded("encode_style", SIDE, (WIDTH,)),
    "style_strength": Number(0.5, 0.0, 1.0),
}
READS = {"step_depth": ["depth", "depth_strength"], "step_style": ["style", "style_strength"]}
PAINTS = {"anew": Anew(), "kept": Kept()}


def constant(name, array, kind=np.float32):
    return numpy_helper.from_array(np.asarray(array, kind), name)


def reading(given, nodes, constants, last):
    """The toy step whose output has `last` added."""
    model = onnx.load_from_string(toy.step_graph())
    model.graph.node[-1].output[0] = "plain"
    more = [*nodes, helper.make_node("Add", ["plain", last], ["raw"])]
    inputs = [toy._value(name, "B", *shape) for name, shape in given.items()]
    return toy._model(
        [*model.graph.node, *more], [*model.graph.input, *inputs], list(model.graph.output),
        [*model.graph.initializer, *constants],
    )  # fmt: skip


def pooled(source, to, weights):
    """A picture by latent cell, its colours mixed to the latent's channels."""
    cells = dict(kernel_shape=[toy.FACTOR] * 2, strides=[toy.FACTOR] * 2)
    pool = helper.make_node("AveragePool", [source], [f"{to}_cells"], **cells)
    return [pool, helper.make_node("Conv", [f"{to}_cells", weights], [to])]


def mixing(name, *shape, seed=5):
    return constant(name, np.random.default_rng(seed).standard_normal(shape))


def depth_graph():
    nodes = [
        *pooled("depth", "seen", "mix"),
        helper.make_node("Unsqueeze", ["depth_strength", "axes"], ["much"]),
        helper.make_node("Mul", ["seen", "much"], ["last"]),
    ]
    constants = [mixing("mix", toy.CHANNELS, 3, 1, 1), constant("axes", [1, 2, 3], np.int64)]
    return reading({"depth": (3, "H", "W"), "depth_strength": ()}, nodes, constants, "last")


def style_graph():
    nodes = [
        helper.make_node("MatMul", ["style", "mix"], ["seen"]),
        helper.make_node("Unsqueeze", ["seen", "field"], ["wide"]),
        helper.make_node("Unsqueeze", ["style_strength", "axes"], ["much"]),
        helper.make_node("Mul", ["wide", "much"], ["last"]),
    ]
    axes = [constant("field", [2, 3], np.int64), constant("axes", [1, 2, 3], np.int64)]
    return reading(
        {"style": (WIDTH,), "style_strength": ()}, nodes, [mixing("mix", WIDTH, toy.CHANNELS), *axes], "last"
    )


def paint_graph():
    nodes = [helper.make_node("Concat", ["kept", "anew"], ["both"], axis=1)]
    nodes.append(helper.make_node("Conv", ["both", "mix"], ["last"]))
    given = {"anew": (1, "h", "w"), "kept": (toy.CHANNELS, "h", "w")}
    return reading(given, nodes, [mixing("mix", toy.CHANNELS, toy.CHANNELS + 1, 1, 1)], "last")


def encoder_graph():
    image = [toy._value("image", "B", 3, "H", "W")]
    constants = [mixing("mix", toy.CHANNELS, 3, 1, 1), constant("grey", 0.5)]
    nodes = [helper.make_node("Sub", ["image", "grey"], ["centred"]), *pooled("centred", "latent", "mix")]
    return toy._model(nodes, image, [toy._value("latent", "B", toy.CHANNELS, "h", "w")], constants)


def style_encoder_graph():
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["numbers"]),
        helper.make_node("MatMul", ["numbers", "mix"], ["embedding"]),
        helper.make_node("Identity", ["none"], ["unconditional"]),
    ]
    constants = [
        constant("flat", [0, -1], np.int64),
        mixing("mix", 3 * SIDE * SIDE, WIDTH),
        constant("none", [[0] * WIDTH]),
    ]
    outputs = [toy._value("embedding", "B", WIDTH), toy._value("unconditional", 1, WIDTH)]
    return toy._model(nodes, [toy._value("image", "B", 3, SIDE, SIDE)], outputs, constants)


def _write(folder, files, **fields):
    graphs = {name.removesuffix(".onnx"): name for name in files}
    return write_bundle(folder, msgspec.structs.replace(toy.manifest(), graphs=graphs, **fields), files)


def write(folder):
    """Starts from pictures, and reads `depth` or `style`."""
    files = {
        "step.onnx": toy.step_graph(), "decode.onnx": toy.decode_graph(), "encode_image.onnx": encoder_graph(),
        "step_depth.onnx": depth_graph(), "step_style.onnx": style_graph(), "encode_style.onnx": style_encoder_graph(),
    }  # fmt: skip
    return _write(folder, files, name="reader", inputs=INPUTS, reads=READS)


def write_painter(folder):
    """Its network is told the mask and what of the image stays."""
    files = {"step.onnx": paint_graph(), "decode.onnx": toy.decode_graph(), "encode_image.onnx": encoder_graph()}
    return _write(folder, files, name="painter", inputs=PAINTS, reads={"step": ["anew", "kept"]})
