"""Engines of a small bundle: TensorRT-RTX's, built without a GPU, and OpenVINO's IR, of which the compiled form is kept."""

import locale
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

sys.path.insert(0, str(Path(__file__).resolve().parent))

import onnx
import toy
import toys

from cadenza.assets.bundle import add_files, load_bundle
from cadenza.assets.refusal import Refusal
from cadenza.exporters import engines, tensorrt
from cadenza.exporters.diffusion.export import export_pipeline
from cadenza.exporters.diffusion.planning import Options
from cadenza.exporters.engines import Wanted
from cadenza.exporters.loop import wrap_step
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.engine.backends import open_backend
from cadenza.runtime.runtime import Runtime


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
    made = engines.add_engines(bundle, Wanted(size=64, targets=["8.9"]))
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
    made = engines.add_engines(exported, Wanted(size=64, targets=["8.9", "12.0"]))
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
        engines.add_engines(bundle, Wanted(size=65))


def test_without_a_size_it_is_the_usual_or_what_the_bundle_makes(bundle):
    assert engines._size(load_bundle(EMBEDDED / "texture"), 0) == 256
    latent = bundle.manifest.latent
    assert engines._size(bundle, 0) == min(256, latent.maximum // latent.multiple * latent.multiple)
    sound = load_bundle(EMBEDDED / "sound")
    assert engines._size(sound, 0) == sound.manifest.latent.maximum


def test_an_unknown_target_is_refused_by_name(bundle):
    with pytest.raises(Refusal, match=r"8\.9"):
        engines.add_engines(bundle, Wanted(size=64, targets=["9.9"]))


def test_a_missing_package_is_one_sentence_with_the_command_to_get_it(bundle, monkeypatch):
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install 'cadenza\[tensorrt\]'"):
        engines.add_engines(bundle, Wanted(size=64))


def test_tensorrt_wants_a_gpu_and_builds_for_that_one(bundle, monkeypatch):
    monkeypatch.setattr(tensorrt, "gpus", list)
    with pytest.raises(Refusal, match="there is none here; take --kind tensorrt-rtx"):
        engines.add_engines(bundle, Wanted("tensorrt", 64))
    monkeypatch.setattr(tensorrt, "gpus", lambda: ["8.6", "8.9"])
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: name)
    assert tensorrt.check_targets("tensorrt", (), 48) == ["8.6"]
    with pytest.raises(Refusal, match=r"the GPU here, which has 8\.6"):
        tensorrt.check_targets("tensorrt", ["8.9"], 0)


@pytest.mark.parametrize(
    ("targets", "kib", "said"),
    [
        (["7.5", "8.9"], 48, r"7\.5 cannot compute while it draws"),
        (["8.9", "12.0"], 84, r"1 to 48 KiB for 8\.9"),
        (["12.0"], 85, r"1 to 84 KiB for 12\.0"),
    ],
)
def test_shared_memory_beside_graphics_is_limited_as_the_hardware_is(targets, kib, said, monkeypatch):
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: name)
    with pytest.raises(Refusal, match=said):
        tensorrt.check_targets("tensorrt-rtx", targets, kib)
    assert tensorrt.check_targets("tensorrt-rtx", targets, 0) == targets


def test_an_engine_for_a_gpu_that_draws_says_so_and_stands_beside_the_other(bundle):
    pytest.importorskip("tensorrt_rtx")
    plain = engines.add_engines(bundle, Wanted(size=64, targets=["8.9"], graphs=["decode"]))
    both = engines.add_engines(plain, Wanted(size=64, targets=["8.9"], shared_memory=48, graphs=["decode"]))
    assert [(e.file, e.shared_memory) for e in both.manifest.engines] == [
        ("engines/decode_64_1.rtx", 0),
        ("engines/decode_64_1_shared48.rtx", 48 * 1024),
    ]


def test_an_ir_gives_the_same_bytes_and_what_is_compiled_of_it_is_found_again(bundle, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    asked = {"prompt": "stone", "seed": 3, "size": 64}

    def made():
        with Runtime([bundle.folder], "openvino", threads=1) as runtime:
            return runtime.submit(asked).wait(60).digest

    before = made()
    assert not list((tmp_path / "home").rglob("*.blob"))
    with_ir = engines.add_engines(bundle, Wanted("openvino"))
    assert {engine.graph for engine in with_ir.manifest.engines} == {"step", "decode"}
    assert with_ir.path("step", "openvino").suffix == ".xml" != with_ir.path("step", "onnxruntime").suffix
    digests = [made(), made()]
    (blobs,) = {path.parent.name for path in (tmp_path / "home").rglob("*.blob")}
    assert digests == [before, before]
    assert blobs == with_ir.digest[:32]


def test_irs_opened_side_by_side_leave_the_process_its_locale(bundle, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    before = locale.setlocale(locale.LC_ALL)
    path = engines.add_engines(bundle, Wanted("openvino", graphs=["decode"])).path("decode", "openvino")
    load = open_backend("openvino")
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            list(pool.map(load, [path] * 4, [1] * 4))
            try:
                assert locale.setlocale(locale.LC_ALL) == before
            finally:
                locale.setlocale(locale.LC_ALL, before)
