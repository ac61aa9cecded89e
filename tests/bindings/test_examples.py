"""The examples, as they stand, against a server on the small bundle; and the README's client is one of them."""

import runpy
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

import cadenza
from cadenza.bridge import aio, server
from cadenza.runtime.runtime import Runtime

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "bindings" / "python" / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        bundle = toy.write(tmp_path_factory.mktemp("toy"))
        bound, ready, stop = [], threading.Event(), threading.Event()

        def announce(address):
            bound.append(address)
            ready.set()

        with Runtime([bundle.folder], "onnxruntime") as runtime:
            terms = dict(ready=announce, stop=stop)
            thread = threading.Thread(target=server.serve, args=(runtime, "tcp://127.0.0.1:*"), kwargs=terms)
            thread.start()
            assert ready.wait(10)
            yield bound[0]
            stop.set()
            thread.join(5)
            assert not thread.is_alive()


@pytest.fixture
def run(address, tmp_path, monkeypatch, capsys):
    """Runs an example in a folder of its own, with the test's server at the default address."""
    blocking, waiting = cadenza.connect, aio.connect
    monkeypatch.setattr(cadenza, "connect", lambda: blocking(address))
    monkeypatch.setattr(aio, "connect", lambda _: waiting(address))
    monkeypatch.chdir(tmp_path)

    def run(path):
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


def size(path):
    with Image.open(path) as image:
        return image.size


def lines(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def test_the_first_example_is_short_and_shows_every_map(run):
    assert len(lines(EXAMPLES[0])) < 20
    assert "(128, 128, 3) (128, 128, 3) (128, 128) (128, 128)" in run(EXAMPLES[0])


def test_the_frame_loop_gets_its_texture(run):
    said = run(EXAMPLES[1])
    assert "frames later: (128, 128, 3) (128, 128, 3)" in said


def test_asyncio_brings_the_files_that_were_asked_for(run, tmp_path):
    said = run(EXAMPLES[2])
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == sorted(
        f"{p}_{name}.dds" for p in ("mossy-stone", "wet-brick", "sand") for name in ("albedo", "normal_directx", "orm")
    )
    assert all(name in said for name in files)
    assert size(tmp_path / "sand_orm.dds") == (128, 128)


def test_the_sweep_draws_a_sheet_of_sixteen(run, tmp_path):
    run(EXAMPLES[3])
    width, height = size(tmp_path / "sweep.png")
    assert width == 10 + 4 * 202
    assert height == 10 + 4 * 224


def test_every_example_is_run_here_and_named_in_its_readme():
    assert [path.name[0] for path in EXAMPLES] == ["1", "2", "3", "4"]
    page = (ROOT / "bindings" / "python" / "README.md").read_text(encoding="utf-8")
    assert all(path.name in page for path in EXAMPLES)


def test_the_client_in_the_readme_is_the_frame_loop_and_has_at_most_fifteen_lines():
    code = EXAMPLES[1].read_text(encoding="utf-8").split('"""\n', 1)[1].strip()
    assert code in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(lines(EXAMPLES[1])) <= 15
