"""TensorRT-RTX engines of a small bundle, built without a GPU."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx
import toy

from cadenza.assets.bundle import add_files, load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.exporters import engines
from cadenza.exporters.loop import wrap_step


@pytest.fixture
def bundle(tmp_path):
    made = toy.write(tmp_path)
    made.manifest.graphs["loop"] = "loop.onnx"
    loop = wrap_step(onnx.load(made.path("step")))
    return add_files(made, {"loop.onnx": loop.SerializeToString()})


def test_engines_of_step_and_loop_are_built_and_become_files_of_the_bundle(bundle):
    pytest.importorskip("tensorrt_rtx")
    made = engines.add_engines(bundle, 64, targets=["8.9"])
    assert load_bundle(made.folder).digest == made.digest != bundle.digest
    assert [engine.graph for engine in made.manifest.engines] == ["step", "loop", "decode"]
    for engine in made.manifest.engines:
        data = (made.folder / engine.file).read_bytes()
        graph = onnx.load(made.path(engine.graph)).graph
        names = [value.name for value in (*graph.input, *graph.output)]
        assert set(engine.shapes) == {value.name for value in graph.input}
        assert all(name.encode() in data for name in names)  # opening an engine takes a GPU; its names can be read


def test_an_unknown_target_is_refused_by_name(bundle):
    with pytest.raises(Refusal, match=r"8\.9"):
        engines.add_engines(bundle, 64, targets=["9.9"])


def test_a_missing_package_is_one_sentence_with_the_command_to_get_it(bundle, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="pip install tensorrt-rtx"):
        engines.add_engines(bundle, 64)
