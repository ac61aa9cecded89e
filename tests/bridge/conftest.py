import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakes import FakeRuntime
from running import running


@pytest.fixture
def runtime():
    return FakeRuntime()


@pytest.fixture
def held():
    return FakeRuntime(hold=True)


@pytest.fixture
def address(runtime):
    with running(runtime) as address:
        yield address


@pytest.fixture(scope="session")
def serving():
    return running
