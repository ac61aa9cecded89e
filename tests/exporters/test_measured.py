"""What `--measure` writes, of bundles whose graphs read more than a latent."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
import toy_inputs

import cadenza
from cadenza.assets.bundle import load_bundle, write_bundle
from cadenza.exporters import measured, verify

EMBEDDED = Path(cadenza.__file__).parent / "assets" / "embedded"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(measured, "REPEATS", 1)
    monkeypatch.setattr(verify, "PROCESSORS", ("onnxruntime",))


def with_loop(folder):
    """The toy that paints, its step in a loop, too."""
    import msgspec
    import onnx

    from cadenza.exporters.loop import wrap_step

    bundle = toy_inputs.write_painter(folder)
    files = {name: (folder / name).read_bytes() for name in bundle.manifest.files}
    files["loop.onnx"] = wrap_step(onnx.load_from_string(toy_inputs.paint_graph())).SerializeToString()
    graphs = {**bundle.manifest.graphs, "loop": "loop.onnx"}
    return write_bundle(folder, msgspec.structs.replace(bundle.manifest, graphs=graphs), files)


@pytest.mark.parametrize("write", [toy.write, toy_inputs.write, toy_inputs.write_painter, with_loop])
def test_every_graph_of_a_toy_is_measured_whatever_it_reads(tmp_path, write):
    bundle = write(tmp_path)
    seconds = measured.measure(bundle)["seconds"]["onnxruntime"]
    assert {"step", "decode", "host_loop", *({"loop"} & set(bundle.manifest.graphs))} <= set(seconds)
    assert all(each > 0 for each in seconds.values())


@pytest.mark.parametrize("name", ["texture", "sound"])
def test_the_embedded_bundles_are_measured_with_grain_and_what_is_held(name):
    seconds = measured.measure(load_bundle(EMBEDDED / name))["seconds"]["onnxruntime"]
    assert {"step", "decode", "loop"} <= set(seconds)
