import pytest

from cadenza.exporters import verify
from cadenza.exporters.diffusion import export


@pytest.fixture
def quick(monkeypatch):
    """Exports that verify the recommended tables on one backend and measure nothing: the rest has tests of its own."""
    hurry(monkeypatch)


def hurry(patch):
    patch.setattr(export, "SMALL", 0)
    patch.setattr(verify, "PROCESSORS", ("onnxruntime",))
    patch.setattr(export, "write_measured", lambda *_: None)
