"""The bill of materials: complete, valid by its own schema, the same for the same machine."""

import importlib.metadata
import json

import cli_shop
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from troth.app import sbom
from troth.terms import Instant


def test_the_bill_is_valid_by_the_schema_of_cyclonedx():
    ran = cli_shop.run("sbom")
    assert ran.status == 0
    check = JsonStrictValidator(SchemaVersion.V1_6)
    assert check.validate_str(ran.out) is None
    broken = json.loads(ran.out)
    broken["components"][0]["type"] = "wish"
    assert check.validate_str(json.dumps(broken)) is not None


def test_every_package_that_troth_imports_is_in_it():
    made = sbom.bill(Instant(0))
    named = {part["name"]: part["version"] for part in made["components"]}
    for name in ("cryptography", "msgspec", "fastapi", "starlette", "click", "jinja2"):
        assert named[name] == importlib.metadata.version(name)
    assert {"sqlite", "openssl", "cpython"} <= named.keys()


def test_whatever_depends_is_named_and_nothing_else():
    made = sbom.bill(Instant(0))
    refs = {part["bom-ref"] for part in made["components"]} | {sbom.ROOT}
    for row in made["dependencies"]:
        assert row["ref"] in refs
        assert set(row["dependsOn"]) <= refs
    root = next(row for row in made["dependencies"] if row["ref"] == sbom.ROOT)
    assert any(ref.startswith("pkg:pypi/cryptography@") for ref in root["dependsOn"])


def test_it_is_the_same_each_time():
    assert sbom.bill(Instant(0)) == sbom.bill(Instant(0))


@pytest.mark.parametrize("path", ["/", "tmp", "home"])
def test_it_names_no_place_of_this_machine(path):
    text = json.dumps(sbom.bill(Instant(0))["metadata"])
    assert path not in text
