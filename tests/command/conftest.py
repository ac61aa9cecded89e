"""Commands run in this process, on a home of their own; a test file that wants other bundles has a `home` or `run` of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.bindings.command import app


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the small texture bundle in `toy`."""
    folder = tmp_path_factory.mktemp("home")
    toy.write(folder / "toy")
    return folder


@pytest.fixture
def run(home, monkeypatch, capsys):
    """run(*words) -> (exit status, standard output, standard error) of a command."""
    monkeypatch.setenv("CADENZA_HOME", str(home))

    def run(*words):
        status = app.run([str(word) for word in words])
        return status, *capsys.readouterr()

    return run
