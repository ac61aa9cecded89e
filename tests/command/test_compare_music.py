"""`cadenza compare temperature`: a picture, and numbers that say what the dials do."""

import json

import pytest
import typer
from click.testing import CliRunner
from PIL import Image

from cadenza.bindings.command import compare_music
from cadenza.bindings.command.compare import compare


def test_temperature_by_top_k_is_a_grid_of_one_seed(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(compare_music, "TEMPERATURES", (0.0, 1.5))
    monkeypatch.setattr(compare_music, "TOP_KS", (1, 0))
    monkeypatch.setattr(compare_music, "BARS", 1)
    app = typer.Typer()
    app.command()(compare)
    asked = ["temperature", "--prompt", "combat", "--seed", "3", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(typer.main.get_command(app), asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["temperature"]
    with Image.open(found["file"]) as picture:
        assert picture.width > 1000
    greedy, greedy_too, one_word, drawn = ((cell["notes"], cell["chords"]) for cell in found["cells"])
    assert greedy == greedy_too == one_word  # the likeliest word is the only one of top-k 1, however hot
    assert drawn != greedy
    assert len({cell["id"] for cell in found["cells"]}) == 4
