"""A package on the command line: written for the desk, taken in elsewhere."""

import json
import zipfile

import cli_shop as shop
import pytest

from troth.surfaces.commands.call import Call, find

OFFICER = "privacy_officer:nokuthula@marula.example"
MARKETER = "marketer:lindiwe@marula.example"


@pytest.fixture
def ws(tmp_path):
    return shop.copied(shop.built(), tmp_path / "ws")


NEW = "new.qzxmark@post.example"


def chain(folder, person):
    with Call(folder, shop.AT).opened() as opened, opened.store.look() as view:
        who = find(opened, view, person)
        return [each.event for each in opened.desk.scribe.chain(view, who)]


def case(folder, person):
    line = ("case", "open", person, "--source", "ticket", "--ticket", "T-9")
    shop.done(shop.at(folder, *line))
    return ("--reason", "T-9")


def test_the_desk_writes_a_package_and_it_is_in_the_record_first(ws, tmp_path):
    out = tmp_path / "out" / "c.zip"
    case(ws, "c-agreed")
    line = ("person", "package", "c-agreed", "--out", str(out), "--reason", "T-9")
    ran = shop.at(ws, *line, "--as", OFFICER, "--json")
    assert ran.status == 0, ran
    assert not any(mark in ran.out + ran.err for mark in shop.MARKS)
    last = chain(ws, "c-agreed")[-1]
    assert (last.type, last.payload.reason) == ("data.read", "case:T-9")
    with zipfile.ZipFile(out) as archive:
        data = json.loads(archive.read("data.json"))
        assert archive.testzip() is None
    assert {row["field"] for row in data["values"]} >= {"name.given", "contact.email"}
    assert data["closed"]
    again = shop.at(ws, *line, "--as", OFFICER)
    assert again.status == 2


def test_who_may_not_take_data_out_writes_no_file(ws, tmp_path):
    out = tmp_path / "c.zip"
    ran = shop.at(ws, "person", "package", "c-agreed", "--out", str(out), "--as", MARKETER)
    assert ran.status == 1
    assert not out.exists()


def test_a_package_is_taken_in_once(ws, tmp_path):
    out = tmp_path / "c.zip"
    line = ("person", "package", "c-level", "--out", str(out), "--as", OFFICER)
    shop.done(shop.at(ws, *line, *case(ws, "c-level")))
    ran = shop.at(ws, "import", "package", str(out))
    assert (ran.status, "known here" in ran.err) == (2, True)
    with zipfile.ZipFile(out) as archive:
        data = json.loads(archive.read("data.json"))
    for row in data["values"]:
        if row["field"] == "external.id":
            row["value"] = "c-new"
        if row["field"] == "contact.email":
            row["value"] = "new.qzxmark@post.example"
    data["controller"]["ledger"] = "other.example/ledger"
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data), "utf-8")
    taken = shop.at(ws, "import", "package", str(file), "--json")
    assert taken.status == 0, taken
    assert (taken.data["dealings"], taken.data["unproven"]) == (0, 2)
    assert shop.at(ws, "explain", NEW, "--purpose", "offers").status == 1
