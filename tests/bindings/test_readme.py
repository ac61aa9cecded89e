"""What the README says can be run is run, and what it names is there."""

import re
from pathlib import Path

import numpy as np
import pytest

from cadenza.bindings.command.app import build
from cadenza.runtime import Process, compile_plan
from cadenza.runtime.solver.samplers import SAMPLERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]


@pytest.fixture
def adams2():
    code = next(code for code in PYTHON if "SAMPLERS[" in code)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 15
    before = dict(SAMPLERS)
    exec(code, {})
    yield
    SAMPLERS.clear()
    SAMPLERS.update(before)


def error(steps):
    """Of a Gaussian of deviation 0.5 carried from noise ratio 10 to 0.1, against the exact solution of the flow."""
    spread, start, end = 0.25, 10.0, 0.1
    levels = np.exp(np.linspace(np.log(start), np.log(end), steps + 1))
    plan = compile_plan(
        sampler="adams2", spacing=tuple(levels), steps=steps, process=Process.ve(), prediction="x0", guidance=1.0
    )
    assert plan.evaluations == steps
    assert plan.noise_draws == 0
    got = plan.run(lambda x, sigma, _: x * spread / (spread + sigma**2), np.ones((1, 1)), lambda k: np.zeros((1, 1)))
    return abs(got.item() - start * np.sqrt((spread + end**2) / (spread + start**2)))


def test_the_sampler_of_the_readme_is_of_the_order_it_says(adams2):
    assert np.log2(error(64) / error(128)) > 1.7


def test_every_command_of_the_readme_exists_with_its_options():
    commands = build().commands
    used = [re.split(r"\s+#", line)[0] for line in SHELL]
    used = [match.group(1) for line in used for match in re.finditer(r"cadenza ([a-z].*)", line)]
    assert len(used) >= 5
    for line in used:
        name, *words = line.split()
        options = {option for param in commands[name].params for option in (*param.opts, *param.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= options


def test_ci_runs_the_readmes_test_command():
    test = next(line for line in SHELL if "pytest" in line)
    assert test in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_path_that_the_readme_names_is_there():
    for path in re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*|assets|runtime|bridge|bindings|exporters|tests)`", PAGE):
        assert (ROOT / path).exists() or path == "cadenza-demo/", path
