"""The page about import files names every column the importers know, and none they do not."""

import re
import tomllib
from importlib.resources import files

import pytest

from troth.surfaces.demo.material import COLUMNS

HEADINGS = tomllib.loads((files("troth") / "data/headings.toml").read_text("utf-8"))


def section(repository, kind):
    text = (repository / "docs/import.md").read_text("utf-8")
    return text.split(f"\n## {kind}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("kind", ["customers", "consents", "events", "suppressions", "registry"])
def test_every_column_an_importer_knows_is_on_the_page(repository, kind):
    known = set(HEADINGS["headings"][kind]) | set(COLUMNS.get(kind, ()))
    named = set(re.findall(r"`([a-z_]+)`", section(repository, kind)))
    assert known - {"hash"} <= named or kind == "registry"
    assert "hash" in section(repository, "registry")


@pytest.mark.parametrize("kind", ["customers", "consents"])
def test_no_column_on_the_page_is_one_no_importer_knows(repository, kind):
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", section(repository, kind), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    known = set(HEADINGS["headings"][kind]) | set(HEADINGS["headings"]["common"])
    assert named <= known


def test_what_is_needed_is_told_as_the_importer_demands_it(repository):
    for kind in ("customers", "consents", "events"):
        told = re.search(r"Needed: ([^.]*)\.", section(repository, kind))[1]
        wanted = {field for group in HEADINGS["required"][kind] for field in group}
        assert set(re.findall(r"`([a-z_]+)`", told)) == wanted
