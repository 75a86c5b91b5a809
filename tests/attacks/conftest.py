"""The houses that attacks happen in: those of the stories and of the hub, copied for each test."""

import shutil
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
for folder in ("stories", "surfaces"):
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))


@pytest.fixture(scope="session")
def made_house(tmp_path_factory):
    import marula

    folder = tmp_path_factory.mktemp("attacked") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def house(made_house, tmp_path):
    import marula

    folder = tmp_path / "house"
    shutil.copytree(made_house, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()
