import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy

from cadenza.runtime.runtime import Runtime


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return toy.write(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session", params=["onnxruntime", "openvino"])
def runtime(request, bundle, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CADENZA_HOME", str(tmp_path_factory.mktemp("home")))
        with Runtime([bundle.folder], request.param) as made:
            yield made
