"""A person's package holds everything about them, proves it, and holds nothing of anybody else."""

import base64
import csv
import io
import json
import re
import zipfile
import zlib
from collections import Counter

import marula
import pytest

from troth import crypto
from troth.app import package
from troth.app.owndata import Eyes
from troth.capabilities import merging, people, rights
from troth.capabilities.access import cases
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.reading import Reading
from troth.capabilities.rights import package_files, package_story
from troth.errors import NotFound
from troth.kernel import events, proof
from troth.terms import Action, Actor, Refusal, Role

ADULT = "cast-adult"


def taken(house, outside=ADULT):
    person = house.person(outside)
    return package.build(house.ws, Eyes(person, person))


def data_of(made):
    return json.loads(made.files["data.json"])


def test_it_holds_a_page_a_paper_data_tables_events_receipts_a_schema_and_notes(house):
    names = set(taken(house).files)
    tables = {f"{name}.csv" for name in package_files.TABLES}
    assert {"README.txt", "index.html", "summary.pdf", "data.json", "schema.json", "policy",
            "events.jsonl"} | tables <= names  # fmt: skip
    assert {"values.csv", "consents.csv", "readings.csv", "shared.csv"} <= tables


def test_every_value_says_where_it_came_from_what_for_who_got_it_and_until_when(house):
    rows = {row["field"]: row for row in data_of(taken(house))["values"]}
    name, mail = rows["name.given"], rows["contact.email"]
    assert name["source"] == "shop checkout"
    assert name["iri"] == "https://w3id.org/dpv/pd#Name"
    assert name["path"] == "your own record"
    assert {p["purpose"]: p["ground"] for p in name["purposes"]}["offers"] == "consent"
    assert {p["purpose"]: p["ground"] for p in mail["purposes"]} == {"service": "dealings"}
    assert mail["until"]["rule"]
    assert mail["recipients"] == []


def test_a_mail_that_left_names_its_carrier_as_who_had_access(house):
    house.send([house.person(ADULT)])
    data = data_of(taken(house))
    mail = next(row for row in data["values"] if row["field"] == "contact.email")
    assert mail["recipients"] == ["the house's own mail system"]
    assert [row["to"] for row in data["shared"]] == ["the house's own mail system"]
    assert data["messages"][0]["became"][0]["state"] == "handed"


def test_what_the_house_never_said_about_its_storage_is_said_to_be_unknown(house):
    draft = house.folder / "troth.toml"
    text = re.sub(r"\[storage\][^\[]*", "", draft.read_text("utf-8"))
    assert "[storage]" not in text
    before = data_of(taken(house))["storage"][0]
    assert (before["country"], before["backups_days"]) == ("ZA", 35)
    draft.write_text(text, "utf-8")
    house.ws.apply()
    made = taken(house)
    after = data_of(made)["storage"][0]
    assert (after["system"], after["country"], after["backups_days"]) == ("unknown",) * 3
    assert b"unknown: the company has not said" in made.files["index.html"]


def test_one_reading_is_booked_a_category_and_the_package_itself(house):
    person = house.person(ADULT)
    eyes = Eyes(person, person)
    package.build(house.ws, eyes)
    package.build(house.ws, eyes)
    reads = [e.payload.fields for e in house.chain(person) if e.type == "data.read"]
    counted = Counter(name for each in reads for name in each)
    assert set(counted.values()) == {1}
    assert {"package", "purchases", "views", "identity.name", "contact.email"} <= set(counted)


def test_nobody_takes_somebody_elses_package(house):
    one, other = house.everybody(ADULT, "cast-guardian")
    with pytest.raises(NotFound):
        package.build(house.ws, Eyes(one, other, "agent"))
    assert house.chain(one)[-1].type == "use.refused"


def test_every_event_a_checkpoint_covers_has_a_receipt_that_verifies(house):
    made = taken(house)
    policy = proof.parse_policy(made.files["policy"].decode(), crypto.ed25519_verify)
    lines = [json.loads(line) for line in made.files["events.jsonl"].splitlines()]
    receipts = {name: raw for name, raw in made.files.items() if name.startswith("receipts/")}
    assert len(receipts) == len(lines)
    for raw in receipts.values():
        assert proof.read_receipt(raw, policy).event is not None
    flipped = next(iter(receipts.values())).replace(b"index ", b"index 1")
    with pytest.raises(Exception, match=r"."):
        proof.read_receipt(flipped, policy)


def test_its_data_fits_its_own_schema(house):
    made = taken(house)
    schema, data = json.loads(made.files["schema.json"]), data_of(made)
    assert missing(schema, data) == []
    broken = {**data, "values": [{"field": "x"}]}
    assert missing(schema, broken)


def missing(schema, value, place="$"):
    """Return where a value lacks what its schema requires, or is of another kind."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    named = schema.get("type", [])
    named = [named] if isinstance(named, str) else named
    if named and not any(isinstance(value, kinds.get(k, type(None))) for k in named):
        return [place]
    if "const" in schema and schema["const"] != value:
        return [place]
    if "enum" in schema and value not in schema["enum"]:
        return [place]
    out = [f"{place}.{k}" for k in schema.get("required", ()) if k not in value]
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            out += missing(inner, value[key], f"{place}.{key}") if key in value else []
        if schema.get("additionalProperties") is False:
            out += [f"{place}.{k}" for k in value.keys() - schema["properties"].keys()]
    if isinstance(value, list):
        for each in value[:50]:
            out += missing(schema.get("items", {}), each, f"{place}[]")
    return out


def test_the_archive_has_fixed_order_and_times_and_is_the_same_twice(house):
    made = taken(house)
    raw = b"".join(rights.stream(made))
    assert raw == b"".join(rights.stream(made))
    archive = zipfile.ZipFile(io.BytesIO(raw))
    assert archive.testzip() is None
    assert archive.namelist() == list(made.files)
    assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_part_is_the_tables_or_the_data_with_the_notes(house):
    made = taken(house)
    assert set(made.only("csv").files) == {"README.txt"} | {n for n in made.files if ".csv" in n}
    assert set(made.only("json").files) == {"README.txt", "data.json", "schema.json"}


def test_a_spreadsheet_runs_nothing_out_of_a_table(house):
    who = house.newcomer("formula", given_name="=cmd()", interests="")
    made = package.build(house.ws, Eyes(who, who))
    rows = csv.DictReader(io.StringIO(made.files["values.csv"].decode()))
    values = {row["field"]: row["value"] for row in rows}
    assert values["name.given"] == "'=cmd()"


def test_the_page_runs_no_script_fetches_nothing_and_escapes_what_it_shows(house):
    who = house.newcomer("angle", given_name="<script>alert(1)</script>")
    made = package.build(house.ws, Eyes(who, who))
    text = made.files["index.html"].decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", text)


def test_merged_records_are_all_in_it_each_value_with_its_path(house):
    one, other = house.everybody("cast-shared-one", "cast-shared-two")
    merging.merge(house.desk, one, other, "the same person", marula.OFFICER)
    data = data_of(package.build(house.ws, Eyes(one, one)))
    assert data["person"]["records"] == 2
    numbers = {r["value"]: r["path"] for r in data["values"] if r["field"] == "external.id"}
    assert numbers == {
        "cast-shared-one": "your own record",
        "cast-shared-two": "record 1, merged into yours",
    }
    assert len(data["activity"]) == 6


# Nothing of anybody else (C10)


def bytes_of(made):
    """Every byte of a package, and what lies packed or encoded in it."""
    whole = b"".join(rights.stream(made)) + b"\n".join(made.files.values())
    for raw in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", made.files["summary.pdf"], re.S):
        whole += zlib.decompress(raw)
    for raw in made.files.values():
        for line in re.findall(rb"^extra ([A-Za-z0-9+/=]+)$", raw, re.M):
            whole += base64.b64decode(line)
    return whole


def identifiers(house, outside):
    """What tells a person: number, names, addresses, ids; as kept, spelled and encoded."""
    person = house.person(outside)
    values = [text for each in opened(house, person).values() for text in [each]]
    raw = [person, person.hex().encode(), base64.b64encode(person)]
    return {outside.encode(), *raw, *(v.encode() for v in values)}


def opened(house, person):
    with house.ws.store.look() as view:
        rows = view.sealed([person], house.desk.vault.fields).get(person, [])
        house.desk.vault.keys.load([person], view.now)
        vault = house.desk.vault
        held = {r.field: vault._open(person, r, view.now).decode() for r in rows}
    return {k: v for k, v in held.items() if k not in {"birth.year", "interests"}}


@pytest.fixture
def crowded(house):
    """The house with everybody tied to the adult: a shared mailbox, a guardian, staff notes."""
    adult, guardian, minor = house.everybody(ADULT, "cast-guardian", "cast-minor")
    people.link(house.desk, adult, guardian, "agent", "letter", Actor(Role.SYSTEM, "t"))
    people.link(house.desk, minor, guardian, "competent_person", "form", Actor(Role.SYSTEM, "t"))
    note = events.DataRead("service", ("facts",), "asked by planted.stranger@post.example")
    house.desk.record(adult, [note], marula.OFFICER)
    package.build(house.ws, Eyes(minor, guardian, "competent_person"))
    return house


@pytest.mark.parametrize("outside", [ADULT, "cast-minor", "cast-guardian", "cast-shared-one"])
def test_a_package_holds_no_identifier_of_any_other_person(crowded, outside):
    house, mine = crowded, identifiers(crowded, outside)
    person = house.person(outside)
    whole = bytes_of(package.build(house.ws, Eyes(person, person)))
    everybody = [m.external_id for m in marula.cast_members()]
    shared_words = {b"", b"Naidoo", b"Mqhayi"}  # a family name two of the cast share
    for other in everybody:
        if other == outside:
            continue
        found = [i for i in identifiers(house, other) - mine - shared_words if i in whole]
        assert found == [], (other, found)
    assert b"planted.stranger@post.example" not in whole
    assert all(i in whole for i in [outside.encode(), person.hex().encode()])


def test_an_event_that_names_another_is_told_without_them_and_proved_without_content(crowded):
    made = taken(crowded)
    policy = proof.parse_policy(made.files["policy"].decode(), crypto.ed25519_verify)
    lines = [json.loads(line) for line in made.files["events.jsonl"].splitlines()]
    linked = next(line for line in lines if line["type"] == "person.linked")
    assert linked["said"]["other"] == package_story.HIDDEN
    assert linked["left_out"]
    raw = made.files[f"receipts/{linked['n']:06}-person.linked.tlog-proof"]
    assert proof.read_receipt(raw, policy).event is None


def test_the_address_of_a_parent_is_left_out_and_said_to_be(crowded):
    rows = {r["field"]: r for r in data_of(taken(crowded, "cast-minor"))["values"]}
    assert "value" not in rows["contact.competent"]
    assert rows["contact.competent"]["left_out"] == "it is somebody else's"


def test_the_planted_leak_is_found(crowded):
    made = taken(crowded)
    leak = package_files.Package({**made.files, "leak.txt": b"cast-zero"}, made.counts)
    assert any(i in bytes_of(leak) for i in identifiers(crowded, "cast-zero"))


def test_an_address_of_ones_own_stays_in_a_text(house):
    said = events.DataRead("service", (), "wrote from Mine@post.example and b@post.example")
    clean, cut = package_story.particulars(said, frozenset({"mine@post.example"}))
    assert clean["reason"] == f"wrote from Mine@post.example and {package_story.HIDDEN}"
    assert cut


# The rights desk


def test_the_desk_takes_as_much_as_its_role_may_and_the_rest_is_named_as_closed(house):
    person = house.person(ADULT)
    ref = cases.open_case(house.desk, person, Opening("7", "mail"), marula.OFFICER).ref
    reading = Reading(person, marula.OFFICER, (), ref, Action.EXPORT)
    made = package.build_for(house.ws, reading)
    data = data_of(made)
    assert {row["category"] for row in data["closed"]} >= {"purchases", "interests.declared"}
    assert {row["field"] for row in data["values"]} <= {"contact.email", "name.given",
                                                        "name.family", "external.id"}  # fmt: skip
    assert data["activity"] == []
    last = house.chain(person)[-1]
    assert (last.type, last.payload.reason) == ("data.read", "case:7")
    assert "package" in last.payload.fields


def test_a_marketer_takes_no_package_and_the_attempt_is_recorded(house):
    person = house.person(ADULT)
    ref = cases.open_case(house.desk, person, Opening("8", "mail"), marula.OFFICER).ref
    before = house.chain(person)
    reading = Reading(person, marula.MARKETER, (), ref, Action.EXPORT)
    assert isinstance(package.build_for(house.ws, reading), Refusal)
    assert house.chain(person) == before, "whoever may not ask looks at nobody"
    assert house.house_chain()[-1].type == "claim.refused"
