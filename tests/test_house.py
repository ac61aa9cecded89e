"""The rules of the house: who may import whom, and that every sub-package is listed."""

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("assets", "runtime", "bridge", "exporters", "bindings")
MAY_IMPORT = {
    "assets": {"assets"},
    "runtime": {"assets", "runtime"},
    "bridge": {"assets", "runtime", "bridge"},
    "exporters": {"assets", "runtime", "exporters"},
    "bindings": {"assets", "runtime", "bridge", "bindings"},
}
HEAVY = {"torch", "diffusers", "transformers", "onnx", "onnxscript", "scipy", "safetensors"}
FILES = [
    path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if "examples" not in path.parts
]  # examples are what a user writes, and import the package by its name


def imported(path):
    """Dotted names that a file imports, relative ones resolved against the package root."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module.split(".")[0], None
            else:
                base = package[: len(package) - node.level + 1]
                target = (*base, *(node.module.split(".") if node.module else ()))
                for alias in node.names:
                    yield None, (target or (alias.name,))[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way_and_heavy_libraries_stay_with_the_exporters(path):
    folder = path.relative_to(ROOT).parts[0]
    for library, inside in imported(path):
        if inside is not None:
            assert inside in MAY_IMPORT[folder] or inside == "__version__", f"{folder} must not import {inside}"
        else:
            assert library != "cadenza", "imports inside the package are relative"
            assert folder == "exporters" or library not in HEAVY, f"only exporters may import {library}"


def files_imported(path):
    """Files of the package that a file imports, anywhere in it and for types only, too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = package[: len(package) - node.level + 1]
            target = ROOT.joinpath(*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                places = (target / f"{alias.name}.py", target.with_suffix(".py"), target / "__init__.py")
                yield next(place for place in places if place.is_file())


def test_no_files_import_each_other_in_a_circle():
    graph = {path: set(files_imported(path)) for path in FILES}
    samplers = ROOT / "runtime" / "solver" / "samplers"
    graph[samplers / "restart.py"].remove(samplers / "__init__.py")  # it runs any sampler by its name, and is one
    order = [*TopologicalSorter(graph).static_order()]  # or CycleError
    assert set(order) >= set(FILES)


def test_every_subpackage_is_listed_in_pyproject():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    found = {"cadenza"} | {
        ".".join(("cadenza", *init.parent.relative_to(ROOT).parts))
        for f in FOLDERS
        for init in (ROOT / f).rglob("__init__.py")
    }
    assert listed == found


def test_no_source_file_is_longer_than_four_hundred_lines():
    long = {
        str(path.relative_to(ROOT)): n
        for path in FILES
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def words(call):
    """Names that a call's arguments are given by."""
    return {word.arg for word in call.keywords}


def test_text_is_read_and_written_as_utf_8_whatever_the_locale():
    left = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"read_text", "write_text"} or "text" in words(node)
        if "encoding" not in words(node)
    ]
    assert not left
