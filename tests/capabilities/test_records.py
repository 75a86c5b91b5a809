"""A consent record: made when somebody says something, proven by its event, made anew at will."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import marula
import pytest

from troth import crypto
from troth.capabilities import preferences, rights
from troth.capabilities.preferences import records
from troth.engines import dpv
from troth.errors import InvalidInput, NotFound
from troth.kernel import events
from troth.terms import ConsentStatus, instant

YES = {"notice": "offers@3", "method": "button", "proof": "form:1"}


def newest(house, person):
    with house.ws.store.look() as view:
        chain = house.desk.scribe.chain(view, person)
        found = preferences.records_of(house.desk, view, chain)
        return found[0], records.record_bytes(view, chain, found[0].n)


def standing(house, digest):
    with house.ws.store.look() as view:
        return preferences.standing(house.desk, view, bytes.fromhex(digest))


@pytest.fixture
def person(house):
    return house.newcomer("keeper")


def test_what_a_person_says_leaves_a_record_whose_hash_is_in_the_event(house, person):
    booked = house.say(person, "given", **YES)
    kept, raw = newest(house, person)
    assert crypto.sha256(raw).hex() == booked[0].payload.record == kept.digest
    value = preferences.require_record(raw)
    told = dpv.read(raw)
    assert told.notes == ()
    assert told.status == "dpv:ConsentGiven"
    assert told.notices == ("offers@3",)
    assert told.controllers == ("https://marula.example",)
    assert dpv.terms_of(value) <= records.terms()
    assert value["dpv:hasProcess"][0]["troth:channel"] == ["email"]


def test_a_record_holds_neither_the_persons_id_nor_name_nor_address(house, person):
    house.say(person, "given", **YES)
    house.say(person, "withdrawn")
    with house.ws.store.look() as view:
        chain = house.desk.scribe.chain(view, person)
        ns = [k.n for k in preferences.records_of(house.desk, view, chain)]
        texts = [records.record_bytes(view, chain, n).decode() for n in ns]
    assert len(texts) == 2
    for text in texts:
        assert person.hex() not in text
        assert "keeper" not in text
    subjects = {json.loads(t)["dpv:hasDataSubject"]["dct:identifier"] for t in texts}
    assert len(subjects) == 2


def test_the_same_bytes_come_again_after_purposes_and_notices_changed(house, person):
    house.say(person, "given", **YES)
    before = newest(house, person)
    for name, old, new in (
        ("purposes/offers.toml", "retention_days = 1095", "retention_days = 30"),
        ("notices/offers.md", "Yes or no, both are fine.", "Planted other words."),
        ("troth.toml", "12 Quiet Street", "13 Planted Street"),
    ):
        path = house.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    house.at(marula.NOW + timedelta(days=3))
    house.ws.apply()
    assert newest(house, person)[1] == before[1]
    house.say(person, "reaffirmed", **YES)
    after = json.loads(newest(house, person)[1])
    assert "13 Planted Street" in json.dumps(after)
    assert after["dpv:hasNotice"] != json.loads(before[1])["dpv:hasNotice"]


def test_the_same_bytes_come_again_though_the_house_changed_in_that_very_second(house, person):
    booked = house.say(person, "given", **YES)
    path = house.folder / "purposes/offers.toml"
    path.write_text(path.read_text().replace("retention_days = 1095", "retention_days = 31"))
    house.ws.apply()  # the clock of a story stands still: the same second
    assert crypto.sha256(newest(house, person)[1]).hex() == booked[0].payload.record
    house.say(person, "reaffirmed", **YES)
    assert b"P31D" in newest(house, person)[1]


def place(raw):
    value = json.loads(raw)["dpv:hasProcess"][0]["dpv:hasStorageCondition"]
    return next(v["rdf:value"] for v in value if v["@type"] == "dpv:StorageLocation")


def store_in(house, country):
    path = house.folder / "troth.toml"
    kept = re.sub(r"(?ms)^\[storage\].*?(?=^\[|\Z)", "", path.read_text())
    told = f'[storage]\ncountry = "{country}"\n\n' if country is not None else ""
    path.write_text(f"{kept.rstrip()}\n\n{told}")
    house.at(marula.NOW + timedelta(hours=1))
    house.ws.apply()


@pytest.mark.parametrize(("country", "told"), [
    ("ZA", "loc:ZA"), ("Germany", "Germany"), ("", "not stated"), (None, "not stated"),
])  # fmt: skip
def test_a_record_says_where_the_data_lies_as_the_house_says_and_never_its_seat(
    house, person, country, told
):
    store_in(house, country)
    house.say(person, "given", **YES)
    _, raw = newest(house, person)
    assert place(raw) == told
    assert dpv.terms_of(preferences.require_record(raw)) <= records.terms()


def test_a_record_made_by_an_earlier_table_comes_again_to_the_same_bytes(
    house, person, monkeypatch
):
    store_in(house, "Germany")
    with monkeypatch.context() as before:
        before.setattr(records, "VERSIONS", (1,))
        booked = house.say(person, "given", **YES)
    kept, raw = newest(house, person)
    assert crypto.sha256(raw).hex() == booked[0].payload.record == kept.digest
    assert place(raw) == "loc:ZA"


def test_a_record_that_cannot_be_made_anew_is_said_not_to_be_there_and_never_made_up(
    house, person
):
    house.say(person, "given", **YES)
    with house.ws.store.look() as view:
        chain = house.desk.scribe.chain(view, person)
        act = chain[-1].event.payload
        other = replace(act, record="00" * 32)
        with pytest.raises(NotFound):
            records.rebuild(view, other, chain[-1].event.at)
        with pytest.raises(NotFound):
            records.rebuild(view, replace(act, record=None), chain[-1].event.at)
        with pytest.raises(NotFound):
            records.record_bytes(view, chain, 1)


@pytest.mark.parametrize(("status", "word", "more"), [
    ("given", "dpv:ConsentGiven", YES),
    ("reaffirmed", "dpv:RenewedConsentGiven", YES),
    ("refused", "dpv:ConsentRefused", {}),
    ("withdrawn", "dpv:ConsentWithdrawn", {}),
    ("objected", "dpv:LegitimateInterestObjected", {}),
    ("request_deferred", "dpv:ConsentRequestDeferred", {}),
])  # fmt: skip
def test_each_thing_said_has_its_word(house, person, status, word, more):
    house.say(person, status, **more)
    raw = newest(house, person)[1]
    preferences.require_record(raw)
    assert dpv.read(raw).status == word


def test_a_signal_and_a_house_that_does_not_say_who_it_is_leave_no_record(house, person):
    house.say(person, "opted_out", channels=("*",), method="gpc", given_by="signal")
    path = house.folder / "troth.toml"
    path.write_text(path.read_text().replace('privacy_contact = "privacy@marula.example"', ""))
    house.ws.apply()
    house.say(person, "given", **YES)
    with house.ws.store.look() as view:
        chain = house.desk.scribe.chain(view, person)
        assert preferences.records_of(house.desk, view, chain) == []
    assert isinstance(chain[-1].event.payload, events.ConsentAct)


def test_a_later_choice_supersedes_a_record_and_one_about_something_else_does_not(house, person):
    house.say(person, "given", **YES)
    first = newest(house, person)[0]
    assert first.state == standing(house, first.digest) == "valid"
    house.say(person, "refused", purpose="newsletter")
    assert standing(house, first.digest) == "valid"
    house.say(person, "withdrawn")
    assert standing(house, first.digest) == "superseded"
    second = newest(house, person)[0]
    assert standing(house, second.digest) == "valid"
    house.say(person, "given", **YES)
    assert standing(house, second.digest) == "superseded"


def test_a_no_to_all_marketing_and_the_end_of_its_time_supersede_a_yes(house, person):
    house.say(person, "given", **YES)
    first = newest(house, person)[0]
    house.say(person, "withdrawn", purpose="marketing", channels=("*",))
    assert standing(house, first.digest) == "superseded"
    other = house.newcomer("second")
    house.say(other, "given", **YES)
    kept = newest(house, other)[0]
    house.at(marula.NOW + timedelta(days=800))
    assert standing(house, kept.digest) == "superseded"


def test_a_code_leads_to_the_same_answer_as_the_file(house, person):
    house.say(person, "given", **YES)
    kept = newest(house, person)[0]
    with house.ws.store.look() as view:
        assert preferences.standing_of_code(house.desk, view, kept.code) == "valid"
        other = dpv.short_code(crypto.sha256(b"planted"))
        assert preferences.standing_of_code(house.desk, view, other) == "unknown"
        wrong = kept.code[:-1] + ("0" if kept.code[-1] != "0" else "1")
        with pytest.raises(InvalidInput):
            preferences.standing_of_code(house.desk, view, wrong)
    assert standing(house, "ab" * 32) == "unknown"


def test_after_an_erasure_a_record_is_unknown(house, person):
    house.say(person, "given", **YES)
    kept = newest(house, person)[0]
    rights.erase(house.desk, person, "asked", marula.OFFICER, house.ws.settle)
    assert standing(house, kept.digest) == "unknown"


def test_a_yes_still_to_be_confirmed_is_recorded_as_asked_not_as_given(house, person):
    path = house.folder / "purposes/offers.toml"
    path.write_text(path.read_text().replace("double_opt_in = false", "double_opt_in = true"))
    house.ws.apply()
    house.say(person, "given", **YES)
    kept, raw = newest(house, person)
    assert dpv.read(raw).status == "dpv:ConsentRequested"
    assert kept.state == "valid"
    house.say(person, "given", confirmed_at=instant(marula.NOW), **YES)
    sure, raw = newest(house, person)
    assert dpv.read(raw).status == "dpv:ConsentGiven"
    assert sure.state == "valid"
    assert standing(house, kept.digest) == "superseded"


def test_what_others_did_for_a_person_is_recorded_as_theirs(house, person):
    house.say(person, "withdrawn", given_by="competent_person")
    value = json.loads(newest(house, person)[1])
    assert value["dpv:hasConsentStatus"][0]["dpv:isIndicatedBy"] == "dpv:GuardianOfDataSubject"


def test_a_merge_leaves_each_record_with_the_chain_it_was_made_in(house, person):
    house.say(person, "given", **YES)
    kept = newest(house, person)[0]
    other = house.newcomer("twin")
    from troth.capabilities import merging

    merging.merge(house.desk, other, person, "the same person", marula.OFFICER)
    assert standing(house, kept.digest) in {"valid", "superseded"}
    house.say(other, "withdrawn")
    assert standing(house, kept.digest) == "superseded"
    assert ConsentStatus.WITHDRAWN
