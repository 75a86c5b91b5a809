"""Every stage of a relation: who somebody is to us changes, what they said stays theirs."""

import csv
from datetime import timedelta

import pytest
from marula import BLANK, COLUMNS, NOW, OFFICER, days_ago

from troth import app
from troth.capabilities import merging, people, preferences, rights
from troth.errors import Conflict, InvalidInput, NotFound
from troth.terms import Block, Channel, PersonId, instant

SALE = {
    "relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes",
    "relation_at": days_ago(30),
}  # fmt: skip
SILENT, ENDED = 90, 3 * 365


def stage(house, person):
    with house.ws.store.look() as view:
        record = view.gather([person], None)[0].record
        return people.stage(record, view.now, SILENT, ENDED)


def types(house, person):
    return [r.event.type for r in rights.timeline(house.desk, person)]


def test_an_imported_prospect_is_known_and_not_written_to(house):
    person = house.newcomer("prospect")
    assert stage(house, person) == "prospect"
    assert house.codes(person) == ["not_customer"]


def test_a_sale_makes_a_prospect_a_customer_and_agrees_to_nothing_by_itself(house):
    person = house.newcomer("buyer")
    plain = people.Dealing("sale", instant(NOW - timedelta(days=2)), goods="household")
    people.relate(house.desk, person, plain, "till 4", OFFICER)
    assert stage(house, person) == "customer"
    assert house.codes(person) != []
    offered = people.Dealing(
        "sale", instant(NOW - timedelta(days=1)), "marula", "household", True, True
    )
    people.relate(house.desk, person, offered, "checkout", OFFICER)
    assert house.codes(person) == []


def test_a_customer_who_stays_away_lapses_and_then_the_relation_ends_by_time_alone(house):
    assert stage(house, house.newcomer("fresh", **SALE)) == "customer"
    lapsed = house.newcomer("lapsed", **{**SALE, "relation_at": days_ago(SILENT + 1)})
    ended = house.newcomer("ended", **{**SALE, "relation_at": days_ago(ENDED + 1)})
    assert stage(house, lapsed) == "lapsed"
    assert stage(house, ended) == "ended"


def test_a_contract_without_a_known_end_is_open(house):
    person = house.newcomer("member", **{**SALE, "relation_kind": "membership",
                                         "relation_at": days_ago(400)})  # fmt: skip
    assert stage(house, person) == "open"


def test_what_never_was_a_dealing_is_not_recorded(house):
    person = house.newcomer("odd")
    with pytest.raises(InvalidInput):
        people.relate(house.desk, person, people.Dealing("gift", instant(NOW)), "x", OFFICER)
    ahead = people.Dealing("sale", instant(NOW + timedelta(days=1)))
    with pytest.raises(InvalidInput):
        people.relate(house.desk, person, ahead, "x", OFFICER)
    with pytest.raises(NotFound):
        people.change_address(
            house.desk, PersonId(b"\x07" * 16), Channel.EMAIL, "x@post.example", "x", OFFICER
        )


# Changed addresses


def find(house, address):
    with house.ws.store.look() as view:
        return people.find_by_address(house.desk, view, Channel.EMAIL, address)


def test_who_moves_to_a_new_address_keeps_their_agreement_and_is_mailed_there(house):
    person = house.newcomer("mover", {})
    people.change_address(
        house.desk, person, Channel.EMAIL, "New.Home@mail.example", "portal", OFFICER
    )
    assert find(house, "new.home@mail.example") == [person]
    assert find(house, "mover@post.example") == []
    handed = house.send([person])
    assert handed.handed == 1
    assert [m.rcpt_to for m in house.mails()] == [("new.home@mail.example",)]
    assert types(house, person).count("contact.ended") == 1


def test_a_no_moves_along_to_the_new_address_and_stays_on_the_old_one(house):
    person = house.newcomer("objector", {})
    house.take("suppressions", {"email": "objector@post.example", "reason": "complaint",
                                "since": days_ago(10), "source": "provider"})  # fmt: skip
    assert house.codes(person) == ["suppressed_complaint"]
    people.change_address(
        house.desk, person, Channel.EMAIL, "fresh@mail.example", "portal", OFFICER
    )
    assert house.codes(person) == ["suppressed_complaint"], "moving is no new agreement"
    follower = house.newcomer("nextdoor", {}, email="objector@post.example")
    assert house.codes(follower) == ["suppressed_complaint"], "the old address keeps its no"


def test_a_dead_address_is_left_behind_with_its_bounce(house):
    person = house.newcomer("bounced", {})
    house.take("suppressions", {"email": "bounced@post.example", "reason": "hard_bounce",
                                "since": days_ago(10), "source": "relay"})  # fmt: skip
    assert house.codes(person) == ["suppressed_bounce"]
    people.change_address(
        house.desk, person, Channel.EMAIL, "alive@mail.example", "portal", OFFICER
    )
    assert house.codes(person) == []


def test_the_same_address_again_changes_nothing(house):
    person = house.newcomer("same", {})
    before = types(house, person)
    with pytest.raises(Conflict):
        people.change_address(
            house.desk, person, Channel.EMAIL, "SAME@post.example ", "portal", OFFICER
        )
    with pytest.raises(InvalidInput):
        people.change_address(house.desk, person, Channel.EMAIL, "no address", "portal", OFFICER)
    assert types(house, person) == before


# Who acts for whom


def test_a_company_has_its_own_rights_and_a_contact_who_is_a_person_of_their_own(house):
    company = house.newcomer("firm", {}, subject="juristic")
    contact = house.newcomer("clerk", {})
    people.link(house.desk, company, contact, "contact_of", "form", OFFICER)
    house.say(company, "objected", "marketing", ("*",), method="letter")
    assert house.codes(company) == ["objected"]
    assert house.codes(contact) == [], "the company's no is not its clerk's"
    with house.ws.store.look() as view:
        assert [(x.other, x.mine) for x in people.links(view, company)] == [(contact, True)]
        assert [(x.other, x.mine) for x in people.links(view, contact)] == [(company, False)]


def test_a_child_is_reached_only_by_a_guardians_yes(house):
    child = house.newcomer(
        "child", {}, birth_year="2015", competent_person_email="ma@post.example"
    )
    assert house.codes(child)[0] == "minor"
    guardian = house.newcomer("ma", {})
    people.link(house.desk, child, guardian, "competent_person", "form", OFFICER)
    assert house.codes(child)[0] == "minor", "a guardian on record has not agreed to anything yet"


def test_who_no_longer_acts_is_unlinked_in_both_histories(house):
    child, guardian = house.newcomer("c"), house.newcomer("g")
    people.link(house.desk, child, guardian, "agent", "mandate 7", OFFICER)
    people.unlink(house.desk, child, guardian, "mandate ended", OFFICER)
    with house.ws.store.look() as view:
        assert people.links(view, child) == people.links(view, guardian) == []
    assert types(house, child).count("person.linked") == 2
    assert types(house, guardian).count("person.linked") == 2
    with pytest.raises(NotFound):
        people.unlink(house.desk, child, guardian, "again", OFFICER)
    with pytest.raises(InvalidInput, match="act for themselves"):
        people.link(house.desk, child, child, "agent", "x", OFFICER)
    with pytest.raises(InvalidInput, match="no such relation"):
        people.link(house.desk, child, guardian, "neighbour", "x", OFFICER)


def test_an_erased_person_acts_for_nobody_and_is_named_in_nobodys_links(house):
    child, guardian = house.newcomer("c2"), house.newcomer("g2")
    people.link(house.desk, child, guardian, "competent_person", "form", OFFICER)
    house.ws.erase(guardian, "rq-1")
    with house.ws.store.look() as view:
        assert people.links(view, child) == []
    with pytest.raises((NotFound, Conflict)):
        people.link(house.desk, child, guardian, "agent", "x", OFFICER)


# Shared mailboxes, and two records that are one human being


def test_two_people_of_one_mailbox_are_two_and_a_no_of_one_binds_the_mailbox(house):
    one = house.newcomer("one", {}, email="home@post.example")
    two = house.newcomer("two", {}, email="home@post.example")
    assert set(find(house, "home@post.example")) == {one, two}
    handed = house.send([one, two])
    assert handed.handed == 2
    token = house.stop_token()
    preferences.unsubscribe(house.desk, token)
    assert house.codes(one)
    assert house.codes(two)


def test_two_people_of_one_phone_are_two_and_a_no_on_the_number_binds_both(house):
    one = house.newcomer("p-one", {"channels": "sms"}, phone="+27 72 000 0001")
    two = house.newcomer("p-two", {"channels": "sms"}, phone="072 000 0001")
    with house.ws.store.look() as view:
        found = people.find_by_address(house.desk, view, Channel.SMS, "+27720000001")
        points = [g.contact.sup for g in view.gather([one, two], Channel.SMS)]
    assert set(found) == {one, two}
    assert len(set(points)) == 1
    by_sms = house.campaign(channel=Channel.SMS)
    assert house.codes(one, by_sms) == house.codes(two, by_sms) == []
    with house.ws.store.look() as view:
        point = view.gather([one], Channel.SMS)[0].contact
    block = Block("unsubscribe", "purpose", "offers")
    preferences.suppress_point(
        house.desk, Channel.SMS, point.bi, point.sup, block, "shop", OFFICER
    )
    assert house.codes(one, by_sms) == house.codes(two, by_sms) == ["suppressed_unsubscribe"]


def test_two_records_become_one_with_the_stricter_answer_and_can_be_two_again(house):
    keep, other = house.newcomer("keep", {}), house.newcomer("twin", {})
    house.say(other, "withdrawn", "offers", ("email",), method="phone")
    merging.merge(house.desk, keep, other, "same person, new number", OFFICER)
    assert house.codes(keep) == ["withdrawn"]
    merging.unmerge(house.desk, keep, other, "two sisters", OFFICER)
    assert house.codes(keep) == []


def test_a_person_who_comes_back_after_erasure_is_new_and_meets_their_no(house):
    person = house.newcomer("gone", {})
    house.say(person, "objected", "marketing", ("*",), method="letter")
    house.ws.erase(person, "rq-2")
    assert house.newcomer("gone", {}) is None, "the same file brings nobody back"
    again = house.newcomer("gone", {"proof": "form:new"}, language="af")
    assert again != person
    assert house.codes(again) != []


def test_rows_turned_away_for_want_of_a_zone_come_in_once_the_file_is_given_one(house):
    row = {"external_id": "late", "email": "late@post.example", **BLANK,
           "relation_at": "2026-10-01T12:00:00"}  # fmt: skip
    path = house.folder / "zoneless.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS["customers"])
        writer.writeheader()
        writer.writerow(row)
    app.import_file(house.ws, "customers", path)
    assert house.person("late") is None
    app.import_file(house.ws, "customers", path, app.Extras(zone="Africa/Johannesburg"))
    assert house.person("late") is not None
