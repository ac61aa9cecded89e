"""`cadenza compare`, `travel` and `names` on a small real bundle: files that are pictures, numbers that say something."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import CliRunner
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.assets.refusal import Refusal
from cadenza.bindings.command import app
from cadenza.bindings.command.compare import DRAWINGS, Table
from cadenza.bindings.command.fit import fit
from cadenza.bindings.command.listing import names
from cadenza.bindings.command.make import make
from cadenza.bindings.command.replay import replay
from cadenza.bindings.command.travel import travel
from cadenza.runtime.bundles import EMBEDDED
from cadenza.runtime.looking import Workbench


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    bench = Workbench(toy.write(folder / "toy").folder, "onnxruntime", folder / "proofs")
    request = {"kind": "texture", "prompt": "stone", "seed": 7, "size": 64}
    return lambda **chosen: Table(bench, request, folder / "out", **{"samplers": None, "steps": None, **chosen})


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_contact_sheet_has_a_cell_for_every_sampler_and_step_count(table):
    path, _ = DRAWINGS["sheet"].draw(table(samplers=["euler", "heun"], steps=[1, 2, 4]))
    assert picture(path).shape[1] > 3 * 160
    one, _ = DRAWINGS["sheet"].draw(table(samplers=["euler"], steps=[1]))
    assert picture(one).shape[1] < 200


def test_the_error_falls_with_the_evaluations_and_faster_for_a_higher_order(table):
    path, numbers = DRAWINGS["error"].draw(table(samplers=["euler", "dpmpp_2m", "ddpm"], steps=[4, 8, 16]))
    lines = numbers["nfe_error"]
    assert set(lines) == {"euler", "dpmpp_2m"}  # what draws noise converges to nothing
    assert [nfe for nfe, _ in lines["euler"]] == [4, 8, 16]
    errors = {name: [off for _, off in line] for name, line in lines.items()}
    assert all(a > b for line in errors.values() for a, b in zip(line, line[1:], strict=False))
    assert errors["dpmpp_2m"][-1] < 0.5 * errors["euler"][-1]
    assert picture(path).std() > 10


def test_the_strip_shows_an_estimate_a_step_and_its_last_one_is_the_result_of_ddim(table):
    board = table()
    path, numbers = DRAWINGS["strip"].draw(board)
    assert numbers == {"samplers": ["ddim", "ddpm"], "steps": 10}
    assert picture(path).shape[1] > 10 * 160
    run = board.run("ddim", 10, watch=True)
    assert len(run.estimates) == 10
    np.testing.assert_allclose(run.estimates[-1], run.latent, atol=1e-5)


def test_the_strip_gives_every_sampler_a_row_though_they_take_different_numbers_of_evaluations(table):
    path, _ = DRAWINGS["strip"].draw(table(samplers=["euler", "heun"], steps=[2]))
    page = picture(path)
    assert page.shape[1] == 10 + 3 * 170  # heun has three, euler two and a blank
    blank, filled = page[10:160, 360:500], page[210:350, 360:500]
    assert blank.std((0, 1)).max() == 0 < filled.std((0, 1)).min()


def test_the_chart_of_spacings_has_every_spacing(table):
    path, numbers = DRAWINGS["spacings"].draw(table())
    assert all(len(levels) == 13 and levels[-1] == 0 for levels in numbers["levels"].values())
    assert picture(path).shape[0] > 400


def test_times_are_measured_for_every_count(table):
    _, numbers = DRAWINGS["time"].draw(table(samplers=["euler"], steps=[1, 2]))
    assert all(ms > 0 for ms in numbers["milliseconds"]["euler"])


def test_ddim_needs_no_step_noise_ddpm_does_and_both_repeat_bit_for_bit(table):
    _, same = DRAWINGS["exercise-2"].draw(table())
    assert same["ddim"] == {"same seed, same bits": True, "other step noise, same bits": True}
    assert same["ddpm"] == {"same seed, same bits": True, "other step noise, same bits": False}


def test_quality_and_time_are_shown_for_every_step_count(table):
    path, numbers = DRAWINGS["exercise-3"].draw(table(steps=[5, 10, 20]))
    errors = [error for _, _, error in numbers["steps_ms_error"]]
    assert errors == sorted(errors, reverse=True)
    assert path.name == "exercise-3.png"


def run(function, *words, **given):
    app = typer.Typer()
    app.command()(function)
    done = CliRunner().invoke(typer.main.get_command(app), [*words, "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


def test_travel_writes_its_frames_and_a_sheet(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    toy.write(tmp_path / "toy")
    words = ["texture", "stone", "--seeds", "1,2", "--frames", "3", "--size", "64", "--bundle", str(tmp_path / "toy")]
    files = run(travel, *words, "--out", str(tmp_path / "walk"))["files"]
    assert [path.rsplit("/", 1)[-1] for path in files] == [
        "frame-000.png",
        "frame-001.png",
        "frame-002.png",
        "sheet.png",
    ]
    first, middle, last = (picture(path).astype(float) for path in files[:3])
    assert np.abs(first - middle).mean() < np.abs(first - last).mean()


def test_names_says_what_a_name_or_a_scheduler_config_means(tmp_path):
    assert run(names, "DPM++ 2M SDE Karras") == {"sampler": "dpmpp_2m_sde", "spacing": "karras", "options": {}}
    config = tmp_path / "scheduler_config.json"
    config.write_text(json.dumps({"_class_name": "LCMScheduler", "timestep_spacing": "trailing"}), encoding="utf-8")
    read = run(names, str(config))
    assert (read["sampler"], read["process"]["kind"]) == ("lcm", "vp")
    assert "timestep_spacing" in read["no_effect"]
    config.write_text("{", encoding="utf-8")
    with pytest.raises(Refusal, match="no JSON"):
        run(names, str(config))


def test_fitted_numbers_err_less_than_the_method_they_correct(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    toy.write(tmp_path / "toy")
    words = ["--bundle", str(tmp_path / "toy"), "--seeds", "4", "--steps", "4", "--fine", "4"]
    (found,) = run(fit, *words).values()
    assert len(found["corrections"]) == 12
    assert len(found["spacing"]["times"]) == 4
    assert found["error"]["fitted"] < 0.6 * found["error"]["dpmpp_2m"] < found["error"]["euler"]


def test_make_starts_from_the_record_of_an_earlier_texture(tmp_path, monkeypatch):
    monkeypatch.setenv("CADENZA_HOME", str(tmp_path))
    toy.write(tmp_path / "toy")
    common = ["--bundle", str(tmp_path / "toy"), "--size", "64", "--steps", "4"]
    first = run(make, "texture", "brick", "--out", str(tmp_path / "brick.png"), *common)
    words = ["--image", str(tmp_path / "brick.png"), "--mask", "0,0,32,32", "--out", str(tmp_path / "part.png")]
    second = run(make, "texture", "moss", *words, *common)
    assert second["recipe"]["image"] == first["recipe"]
    assert run(replay, str(tmp_path / "part.json"), "--bundle", str(tmp_path / "toy"))["same"]
    before, after = (picture(tmp_path / name).astype(int) for name in ("brick.png", "part.png"))
    apart = np.abs(before - after).max(axis=2)
    assert apart[44:52, 44:52].max() <= 1  # further from the mask than the decoder sees, but for rounding
    assert apart[8:24, 8:24].mean() > 5


def test_a_sampler_is_drawn_as_its_name_says(table):
    """With the spacing and the options that belong to the name, and not only the function behind it."""
    board = table()
    for name, field, value in (("DPM++ 2M Karras", "spacing", "karras"), ("DEIS 2M", "options", {"order": 2})):
        assert getattr(board.run(name, 3).resolved.recipe, field) == value
    assert board.run("euler", 3).resolved.recipe.spacing == "sgm_uniform"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("exercise-2", "--samplers", "euler"), "samplers: 1 are given, and exercise-2 looks at none; leave them out"),
        (("strip", "--steps", "3,6"), "steps: 2 are given, and strip looks at 1; give 1"),
        (("exercise-3", "--samplers", "euler,heun"), "samplers: 2 are given, and exercise-3 looks at 1"),
        (("temperature", "--samplers", "euler"), "samplers: is a dial of pictures, not of temperature"),
        (("sheet", "--steps", "1.5,2"), "steps: '1.5,2' is no list of whole numbers"),
        (("sheet", "--samplers", "foo"), "foo"),
    ],
)
def test_what_a_drawing_does_not_look_at_is_refused(capsys, words, said):
    assert app.run(["compare", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_drawing_of_convergence_wants_a_sampler_that_converges(table):
    with pytest.raises(Refusal, match="samplers: all draw noise"):
        DRAWINGS["error"].draw(table(samplers=["ddpm"], steps=[2, 3]))


def test_music_has_no_latents_to_draw(capsys):
    assert app.run(["compare", "sheet", "--bundle", str(EMBEDDED / "music")]) == 2
    assert "bundle: makes music, which has no latents" in capsys.readouterr().err
