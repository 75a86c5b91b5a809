"""The stories' house, made once a session and copied for each test of a use case."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "stories"))

import marula


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def house(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()
