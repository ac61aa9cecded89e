import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import toys
import toys_pictures
from hurried import hurry

from cadenza.exporters.diffusion import export


@pytest.fixture
def quick(monkeypatch):
    """Exports that verify the recommended tables on one backend and measure nothing: the rest has tests of its own."""
    hurry(monkeypatch)


@dataclass(frozen=True)
class Reading:
    """A pipeline, and its bundle with a ControlNet (from the folder `control`) and an IP-Adapter (from the file `adapter`)."""

    pipe: Any
    control: Path
    adapter: Path
    bundle: Any


@pytest.fixture(scope="session")
def reading(tmp_path_factory):
    pipe, folder = toys.stable_diffusion(), tmp_path_factory.mktemp("reading")
    toys_pictures.control(pipe.unet).save_pretrained(folder / "control")
    (folder / "adapter").mkdir()
    adapter = toys_pictures.adapter(pipe.unet, folder / "adapter")
    told = dict(controls=(("depth", str(folder / "control")),), adapters=(("style", str(adapter)),))
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        bundle = export.export_pipeline(pipe, folder / "out", export.Options(steps=(2, 4), **told))
    return Reading(pipe, folder / "control", adapter, bundle)
