"""A house with 120 people who agreed and a list of them, for steps that get killed."""

import killing
import marula
import pytest


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash") / "house"
    marula.make(folder)
    return folder


@pytest.fixture(scope="session")
def made(empty, tmp_path_factory):
    import shutil

    folder = tmp_path_factory.mktemp("crash") / "full"
    shutil.copytree(empty, folder)
    house = marula.House(folder)
    people = killing.names(160)
    house.take("customers", *map(killing.customer, people))
    house.take("consents", *map(killing.given, people[:140]))
    house.ws.sign()
    house.ws.close()
    (folder / "candidates").write_text("\n".join(people))
    return folder
