"""The house of the stories, made once and copied for each attack."""

import shutil

import marula
import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def house(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()
