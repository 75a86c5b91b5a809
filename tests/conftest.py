"""Puts this folder on the import path, so that every test can `import cast`; runs the demo once."""

from pathlib import Path

import locks
import pytest

locks.begin()


@pytest.fixture(scope="session")
def whole_demo(tmp_path_factory):
    """The whole demo, run once for all who look at it: (folder, figures)."""
    from troth.surfaces.demo.run import run_demo

    folder = tmp_path_factory.mktemp("demo") / "workspace"
    return folder, run_demo(folder)


@pytest.fixture(scope="session")
def repository():
    """The repository's own folder."""
    return Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def no_database_is_opened_beside_sqlite():
    """Also where the product took the refusal for some error of the file."""
    yield
    seen = list(locks.seen)
    locks.seen.clear()
    assert seen == []
