"""Exports that are stopped go on where they were, and the same export gives the same bytes."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys

from cadenza.assets.refusal import Refusal
from cadenza.exporters.diffusion import export
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.planning import Options
from cadenza.exporters.diffusion.resume import Kept, Stages, key_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
MADE = {"sd": toys.stable_diffusion, "sd3": toys.stable_diffusion_3}


def graph(number=0.0):
    weights = np.full((64, 64), number, np.float32)
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [64, 64])
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [64, 64])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", [value], [out], [numpy_helper.from_array(weights, "w")]))


def test_a_graph_is_made_once_under_a_key_and_anew_under_another(tmp_path):
    first = Kept(tmp_path / "kept", "a").graph("step", lambda: graph(1.5))
    again = Kept(tmp_path / "kept", "a").graph("step", lambda: pytest.fail("was kept"))
    other = Kept(tmp_path / "kept", "b").graph("step", lambda: graph(2.5))
    made = graph(1.5).SerializeToString(deterministic=True)
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True) == made
    assert [float(numpy_helper.to_array(m.graph.initializer[0])[0, 0]) for m in (again, other)] == [1.5, 2.5]


def test_a_graph_that_was_being_written_is_made_anew(tmp_path):
    kept = Kept(tmp_path / "kept", "a")
    with pytest.raises(KeyboardInterrupt):
        kept.graph("step", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert numpy_helper.to_array(Kept(tmp_path / "kept", "a").graph("step", graph).graph.initializer[0]).shape == (
        64,
        64,
    )


def test_nothing_is_kept_without_a_key(tmp_path):
    Kept(tmp_path / "kept", None).graph("step", graph)
    assert list(tmp_path.iterdir()) == []


def test_stages_are_timed_by_name_and_added_up():
    with Stages(2) as stages:
        for what in ("one", "two", "one", ""):
            stages.begin(what)
    assert list(stages.told()) == ["one", "two"]
    assert all(seconds >= 0 for seconds in stages.told().values())


def test_the_key_follows_weights_and_options():
    pipe = toys.stable_diffusion()
    same = key_of(toys.stable_diffusion().components, {"steps": (4,)})
    assert key_of(pipe.components, {"steps": (4,)}) == same != key_of(pipe.components, {"steps": (8,)})
    pipe.vae.decoder.conv_in.bias.data[0] += 1e-6
    assert key_of(pipe.components, {"steps": (4,)}) != same


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MADE)
def test_an_export_gives_the_same_digests_twice_and_after_it_was_stopped(name, tmp_path, monkeypatch, quick):
    options = Options(steps=(4,), name="toy")
    whole = export_pipeline(MADE[name](), tmp_path / "whole", options)
    monkeypatch.setattr(export, "KEPT_FROM", 0)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export, "against_pipeline", stopped)
        with pytest.raises(KeyboardInterrupt):
            export_pipeline(MADE[name](), tmp_path / "out", options)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "out.unfinished"}
    with monkeypatch.context() as patch:
        patch.setattr(export, "trace", lambda *_: pytest.fail("was traced again"))
        resumed = export_pipeline(MADE[name](), tmp_path / "out", options)
    assert resumed.manifest.files == whole.manifest.files
    assert resumed.digest == whole.digest
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "out"}


def test_a_disk_that_is_too_small_is_refused_before_anything_is_traced(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "trace", lambda *_: pytest.fail("was traced"))
    monkeypatch.setattr(export.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(Refusal, match="no space left; the bundle takes about 1 MB"):
        export_pipeline(toys.stable_diffusion(), tmp_path / "deep" / "out", Options(steps=(4,)))
    assert list(tmp_path.iterdir()) == []
