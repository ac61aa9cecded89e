"""Small real bundles of sounds and flipbooks: the toy's step, and decoders that make samples and sheets."""

import msgspec
import numpy as np
import toy
from onnx import helper, load_from_string, numpy_helper

from cadenza.assets.bundle import write_bundle
from cadenza.assets.manifest import Channel, Latent, Samples, Sheet

HOP, RATE, LONGEST = 4, 32, 64
SHEET = {"frames": 4, "rows": 2, "columns": 2, "rate": 8.0}


def waveform():
    """samples (B, 2, 1, HOP L) from latent (B, C, 1, L)."""
    rng = np.random.default_rng(5)
    constants = [
        toy._weights(rng, "w", 2 * HOP, toy.CHANNELS, 1, 1),
        numpy_helper.from_array(np.array([0, 2, HOP, -1], np.int64), "parted"),
        numpy_helper.from_array(np.array([0, 2, 1, -1], np.int64), "whole"),
    ]
    nodes = [
        helper.make_node("Conv", ["latent", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "parted"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("Reshape", ["t", "whole"], ["maps"]),
    ]
    return toy._model(
        nodes, [toy._value("latent", "B", toy.CHANNELS, 1, "w")], [toy._value("maps", "B", 2, 1, "W")], constants
    )


def write(folder, kind, decode, **changes):
    manifest = msgspec.structs.replace(toy.manifest(), name=f"toy {kind}", kind=kind, **changes)
    return write_bundle(folder, manifest, {"step.onnx": toy.step_graph(), "decode.onnx": decode})


def tiled():
    """The toy's decoder, its maps side by side and below each other: a sheet of four frames."""
    model = load_from_string(toy.decode_graph())
    model.graph.node[-1].output[0] = "one"
    model.graph.node.append(helper.make_node("Neg", ["one"], ["minus"]))
    model.graph.node.append(helper.make_node("Exp", ["minus"], ["other"]))
    model.graph.node.append(helper.make_node("Concat", ["one", "other"], ["row"], axis=3))
    model.graph.node.append(helper.make_node("Concat", ["row", "row"], ["maps"], axis=2))
    return model.SerializeToString()


def write_sound(folder):
    """Two channels, at most LONGEST cells of HOP samples."""
    latent, channels = Latent(toy.CHANNELS, HOP, HOP, LONGEST * HOP, HOP), [Channel("left"), Channel("right")]
    return write(folder, "sound", waveform(), latent=latent, channels=channels, samples=Samples(RATE))


def write_flipbook(folder):
    """Four frames, two by two."""
    return write(folder, "flipbook", tiled(), sheet=Sheet(**SHEET))
