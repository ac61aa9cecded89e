"""The sampler that the README adds, as printed and with no other edit: in plans, names, listings and `compare`."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.bindings.command.compare import DRAWINGS, Table
from cadenza.bindings.command.listing import samplers
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.looking import Workbench
from cadenza.runtime.solver.analytic import exact_model
from cadenza.runtime.solver.levels import check_spacing, levels_of
from cadenza.runtime.solver.measure import measured_order
from cadenza.runtime.solver.names import resolve_names
from cadenza.runtime.solver.samplers import SAMPLERS

README = Path(__file__).resolve().parents[2] / "README.md"
PROCESSES = [(Process.ve(), "x0"), (Process.flow(), "flow"), (Process.trig(), "v")]


@pytest.fixture(autouse=True)
def name():
    """The README's block, run; it may be 15 lines at most."""
    (code,) = re.findall(r"```python\n((?:(?!```).)*SAMPLERS\[.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 15
    before = dict(SAMPLERS)
    exec(code, {})
    (added,) = SAMPLERS.keys() - before.keys()
    yield added
    del SAMPLERS[added]


@pytest.mark.parametrize(("process", "prediction"), PROCESSES, ids=["ve", "flow", "trig"])
def test_it_has_plans_of_its_order_and_cost_with_guidance_and_a_corrector(name, process, prediction):
    start = np.linspace(-2.0, 2.0, 9)
    plain = compile_plan(name, "sgm_uniform", 12, process, prediction)
    assert (plain.evaluations, plain.noise_draws) == (12, 0)
    assert compile_plan(name, "sgm_uniform", 12, process, prediction, guidance=3.0).evaluations == 24
    run = plain.run(exact_model(process, prediction), start, lambda k: start)
    model = exact_model(process, prediction)

    def denoise(x, level):
        alpha, sigma = level.alpha * level.scale, level.sigma * level.scale
        raw = model(x * level.scale, level.time, True)
        a, b = {"x0": (0.0, 1.0), "flow": (1.0, -sigma), "v": (alpha, -sigma)}[prediction]
        return a * x * level.scale + b * raw

    levels = levels_of(check_spacing("sgm_uniform", 12), 12, process, 1.0)
    eager = SAMPLERS[name].run(denoise, process.start_scale(levels[0]) * start, levels)
    np.testing.assert_allclose(run, eager * levels[-1].scale, atol=1e-10)


def test_its_order_is_what_it_says_and_unic_raises_it(name):
    for process, prediction in PROCESSES[:2]:
        assert measured_order(name, process, prediction) >= SAMPLERS[name].order - 0.3
        assert measured_order(name, process, prediction, corrector="unic") >= SAMPLERS[name].order + 0.7


def test_it_has_its_names_and_is_listed(name):
    assert resolve_names(f"{SAMPLERS[name].title} Karras").sampler == name
    app = typer.Typer()
    app.command()(samplers)
    told = json.loads(CliRunner().invoke(typer.main.get_command(app), ["--json"]).stdout)
    assert name in {row["name"] for row in told["samplers"]}
    assert [row["name"] for row in told["live"]] == ["dpm_adaptive"]
    assert name in CliRunner().invoke(typer.main.get_command(app), []).stdout


def test_it_is_compared_with_others(name, tmp_path):
    bench = Workbench(toy.write(tmp_path / "toy").folder, "onnxruntime", tmp_path / "proofs")
    request = {"kind": "texture", "prompt": "stone", "seed": 7, "size": 64, "spacing": "sgm_uniform"}
    _, numbers = DRAWINGS["error"].draw(Table(bench, request, tmp_path, ["euler", name], [8, 16]))
    ends = {each: line[-1][1] for each, line in numbers["nfe_error"].items()}
    assert ends[name] < ends["euler"]
