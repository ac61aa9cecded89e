"""TensorRT-RTX engines of a small bundle, built without a GPU."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

sys.path.insert(0, str(Path(__file__).resolve().parent))

import onnx
import toy
import toys

from cadenza.assets.bundle import add_files, load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.exporters import engines
from cadenza.exporters.diffusion.export import Options, export_pipeline
from cadenza.exporters.loop import wrap_step
from cadenza.runtime.bundles import EMBEDDED


@pytest.fixture
def bundle(tmp_path):
    made = toy.write(tmp_path)
    made.manifest.graphs["loop"] = "loop.onnx"
    loop = wrap_step(onnx.load(made.path("step")))
    return add_files(made, {"loop.onnx": loop.SerializeToString()})


def inspect(made, engine):
    """Inputs and outputs of the graph are in the engine; opening one takes a GPU, its names can be read without."""
    data = (made.folder / engine.file).read_bytes()
    graph = onnx.load(made.path(engine.graph), load_external_data=False).graph
    assert set(engine.shapes) == {value.name for value in graph.input}
    assert all(value.name.encode() in data for value in (*graph.input, *graph.output))


def test_engines_of_step_and_loop_are_built_and_become_files_of_the_bundle(bundle):
    pytest.importorskip("tensorrt_rtx")
    made = engines.add_engines(bundle, 64, targets=["8.9"])
    assert load_bundle(made.folder).digest == made.digest != bundle.digest
    assert [engine.graph for engine in made.manifest.engines] == ["step", "loop", "decode"]
    for engine in made.manifest.engines:
        inspect(made, engine)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
def test_engines_of_a_toy_stable_diffusion_and_its_loop_are_built_without_a_gpu(tmp_path, quick):
    pytest.importorskip("tensorrt_rtx")
    exported = export_pipeline(toys.stable_diffusion(), tmp_path / "sd", Options(steps=(4,)))
    made = engines.add_engines(exported, 64, targets=["8.9", "12.0"])
    cells = 64 // exported.manifest.latent.factor
    field, condition = [1, 4, cells, cells], exported.condition_size
    shapes = {engine.graph: engine.shapes for engine in made.manifest.engines}
    assert shapes["step"] == {"latent": field, "time": [1], "condition": [1, condition]}
    assert shapes["loop"]["condition"] == [1, 1, condition]
    assert shapes["loop"]["noise"] == [4, 1, *field]
    assert shapes["decode"] == {"latent": field}
    for engine in made.manifest.engines:
        inspect(made, engine)


@pytest.mark.parametrize("graph", ["step", "loop", "decode"])
def test_shapes_are_those_of_the_graphs_inputs(graph):
    """Of the embedded bundle, whose decoder takes noise."""
    embedded = load_bundle(EMBEDDED / "texture")
    shapes = engines.shapes_of(embedded, graph, 128, 1)
    inputs = {value.name: value for value in onnx.load(embedded.path(graph), load_external_data=False).graph.input}
    assert set(shapes) == set(inputs)
    for name, shape in shapes.items():
        dims = inputs[name].type.tensor_type.shape.dim
        assert len(dims) == len(shape)
        assert all(not dim.dim_value or dim.dim_value == side for dim, side in zip(dims, shape, strict=True))


def test_a_size_that_the_bundle_does_not_make_is_refused(bundle):
    with pytest.raises(Refusal, match="size: 65 is out of range, valid is a multiple of"):
        engines.add_engines(bundle, 65)


def test_an_unknown_target_is_refused_by_name(bundle):
    with pytest.raises(Refusal, match=r"8\.9"):
        engines.add_engines(bundle, 64, targets=["9.9"])


def test_a_missing_package_is_one_sentence_with_the_command_to_get_it(bundle, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="pip install tensorrt-rtx"):
        engines.add_engines(bundle, 64)
