"""A package taken elsewhere brings what its person told and did; and opens nothing by itself (C11)."""

import json
import zipfile
from datetime import timedelta

import marula
import pytest

from troth import app
from troth.app import package, package_import
from troth.app.owndata import Eyes
from troth.capabilities import merging, people, rights
from troth.capabilities.rights.package_portable import portable
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces.demo.material import write_drafts
from troth.terms import Actor, Channel, Role, instant

CAST = [member.external_id for member in marula.cast_members()]


EMPTY = (
    b'{"format":"troth.package","version":1,"controller":{},"person":{},"values":[],'
    b'"dealings":[],"consents":[],"activity":[]}'
)


@pytest.fixture
def elsewhere(tmp_path):
    """Another house, with nobody in it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_drafts(folder, marula.NOW)
    draft = folder / "troth.toml"
    draft.write_text(
        draft.read_text("utf-8").replace('domain = "marula.example"', 'domain = "other.example"'),
        "utf-8",
    )
    app.init(folder)
    made = marula.House(folder)
    made.ws.apply()
    yield made
    made.ws.close()


def taken(house, person):
    return package.build(house.ws, Eyes(person, person))


def carried(made):
    return portable(json.loads(made.files["data.json"]))


def moved(made, folder, elsewhere):
    file = folder / "mine.zip"
    file.write_bytes(b"".join(rights.stream(made)))
    return package_import.import_package(elsewhere.ws, file)


@pytest.mark.parametrize("outside", CAST)
def test_what_a_person_told_and_did_comes_back_byte_for_byte(house, elsewhere, tmp_path, outside):
    made = taken(house, house.person(outside))
    found = moved(made, tmp_path, elsewhere)
    again = taken(elsewhere, found.person)
    assert carried(again) == carried(made)
    assert made.files["data.json"] != again.files["data.json"]


def test_every_kind_of_value_comes_back(house, elsewhere, tmp_path):
    who = house.newcomer(
        "rich", phone="+27 21 555 0100", given_name="Zoë", family_name="O'Neill; Jr",
        interests="tea;rooibos;bread", birth_year="1971", relation_kind="contract",
        objection_offered="yes", details_from_sale="yes",
    )  # fmt: skip
    house.take("events", *(
        {"external_id": "rich", "at": (marula.NOW - timedelta(days=d, seconds=.25)).isoformat(),
         "kind": kind, "item": item, "group": group, "amount_minor": amount, "currency": "ZAR",
         "units": units, "store": ""}
        for d, kind, item, group, amount, units in (
            (3, "purchase", "1", "tea", "1250", "2"), (2, "return", "1", "tea", "-1250", "-2"),
            (400, "purchase", "9", "wine", "9900", "1"),
        )
    ), sensitive=frozenset({"9"}))  # fmt: skip
    system = Actor(Role.SYSTEM, "test")
    people.change_address(house.desk, who, Channel.POST, "1 Long Street\nCape Town", "f", system)
    dealing = people.Dealing("donation", instant(marula.NOW - timedelta(days=9)), "marula", "tea")
    people.relate(house.desk, who, dealing, "letter", system)
    made = taken(house, who)
    told = json.loads(carried(made))
    assert told["values"]["contact.post"] == "1 Long Street\nCape Town"
    assert len(told["activity"]) == 3
    again = taken(elsewhere, moved(made, tmp_path, elsewhere).person)
    assert carried(again) == carried(made)
    data = json.loads(again.files["data.json"])
    kept = {row["item"]: row["category"] for row in data["activity"]}
    assert kept == {"1": "purchases", "9": "purchases.sensitive"}


def test_two_records_that_became_one_come_back_as_one(house, elsewhere, tmp_path):
    one, other = house.everybody("cast-shared-one", "cast-shared-two")
    merging.merge(house.desk, one, other, "the same person", marula.OFFICER)
    made = taken(house, one)
    again = taken(elsewhere, moved(made, tmp_path, elsewhere).person)
    assert carried(again) == carried(made)
    assert json.loads(again.files["data.json"])["person"]["records"] == 1


def test_a_lost_entry_is_noticed(house):
    made = taken(house, house.person("cast-adult"))
    data = json.loads(made.files["data.json"])
    for part in ("activity", "values"):
        assert portable({**data, part: data[part][1:]}) != portable(data)
    person = {**data["person"], "language": "zz"}
    assert portable({**data, "person": person}) != portable(data)


def test_a_yes_given_to_one_house_opens_nothing_in_another(house, elsewhere, tmp_path):
    assert house.codes(house.person("cast-adult")) == []
    found = moved(taken(house, house.person("cast-adult")), tmp_path, elsewhere)
    assert found.unproven > 0
    elsewhere.take("registry", head=marula.registry_head(marula.days_ago(3)))
    assert elsewhere.codes(found.person) == ["no_consent"]
    acts = [e.type for e in elsewhere.chain(found.person) if e.type.startswith("consent.")]
    assert set(acts) == {"consent.imported"}


def test_dealings_with_one_house_are_none_with_another_and_come_back_to_their_own(
    house, elsewhere, tmp_path
):
    made = taken(house, house.person("cast-adult"))
    assert json.loads(made.files["data.json"])["dealings"]
    found = moved(made, tmp_path, elsewhere)
    assert found.dealings == 0
    assert elsewhere.record(found.person).relations == ()
    own = tmp_path / "own"
    own.mkdir()
    write_drafts(own, marula.NOW)
    app.init(own)
    again = marula.House(own)
    again.ws.apply()
    back = moved(made, tmp_path, again)
    assert (
        again.record(back.person).relations == house.record(house.person("cast-adult")).relations
    )
    again.ws.close()


def test_a_no_binds_in_the_new_house_at_once(house, elsewhere, tmp_path):
    found = moved(taken(house, house.person("cast-objected")), tmp_path, elsewhere)
    assert "objected" in elsewhere.codes(found.person)


def test_a_package_of_somebody_known_takes_nothing_over(house, elsewhere, tmp_path):
    made = taken(house, house.person("cast-adult"))
    moved(made, tmp_path, elsewhere)
    size = len(elsewhere.house_chain())
    with pytest.raises(Conflict):
        moved(made, tmp_path, elsewhere)
    assert len(elsewhere.house_chain()) == size


@pytest.mark.parametrize("raw", [
    b"", b"{}", b"PK\x03\x04", b'{"format":"troth.package","version":2}', b"[]", b"\xff",
    EMPTY.replace(b"troth.package", b"other"), EMPTY,
])  # fmt: skip
def test_what_is_no_package_is_refused_whole(elsewhere, tmp_path, raw):
    file = tmp_path / "x.json"
    file.write_bytes(raw)
    size = len(elsewhere.house_chain())
    with pytest.raises(InvalidInput):
        package_import.import_package(elsewhere.ws, file)
    assert len(elsewhere.house_chain()) == size


def test_an_archive_without_data_and_a_file_that_is_not_there_are_told_apart(elsewhere, tmp_path):
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(InvalidInput):
        package_import.import_package(elsewhere.ws, file)
    with pytest.raises(NotFound):
        package_import.import_package(elsewhere.ws, tmp_path / "none.zip")


def test_a_bomb_is_not_unpacked(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(package_import, "LARGEST", 1_000)
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", b"0" * 100_000)
    with pytest.raises(InvalidInput, match="too large"):
        package_import.import_package(elsewhere.ws, file)
