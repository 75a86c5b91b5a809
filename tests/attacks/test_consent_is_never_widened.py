"""Tricks with times, levels, files and addresses that would make a no into a yes."""

from datetime import timedelta

import pytest
from marula import (
    BLANK,
    COLUMNS,
    NOW,
    YES,
    House,
    days_ago,
    registry_hash,
    registry_head,
)

from troth import app
from troth.capabilities import people, preferences
from troth.errors import InvalidInput
from troth.kernel import gate
from troth.terms import Action, Actor, Block, Channel, PurposeKind, Role, UseRequest, instant

SALE = {
    "relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes",
    "relation_goods": "household",
}  # fmt: skip
LEVEL_2 = {
    "purpose": "personalise", "channels": "", "notice": "personalise@2", "level": "2",
    "categories": "identity.name;interests.declared",
}  # fmt: skip


def later(**wait):
    return (NOW + timedelta(**wait)).isoformat()


def row_file(house: House, row: dict[str, str]):
    """Write one consent row into a file that can be imported more than once."""
    path = house.folder / "again.csv"
    texts = [row.get(name, "") for name in COLUMNS["consents"]]
    path.write_text(",".join(COLUMNS["consents"]) + "\n" + ",".join(texts) + "\n")
    return lambda: app.import_file(house.ws, "consents", path).outcomes


def say_yes(house: House, person, **more):
    house.say(person, "given", notice="offers@3", method="checkbox", proof="form:2", **more)


def test_a_yes_by_a_clock_ahead_of_ours_does_not_outlive_the_withdrawal_after_it(house):
    person = house.newcomer("early", {"occurred_at": later(seconds=290)})
    house.at(NOW + timedelta(seconds=60))
    house.say(person, "withdrawn")
    house.at(NOW + timedelta(seconds=400))
    assert house.codes(person) == ["withdrawn"]


def test_a_yes_far_ahead_of_our_clock_is_not_taken_in(house):
    person = house.newcomer("ahead", {"occurred_at": later(hours=2)})
    assert house.codes(person)
    with pytest.raises(InvalidInput):
        say_yes(house, person, occurred_at=instant(NOW + timedelta(hours=2)))
    assert house.codes(person)


def test_an_older_yes_recorded_late_lifts_no_younger_suppression(house):
    person, other = (
        house.newcomer("lifts", {}),
        house.newcomer("shares", {}, email="lifts@post.example"),
    )
    house.send([person])
    preferences.unsubscribe(house.desk, house.stop_token())
    say_yes(house, person, occurred_at=instant(NOW - timedelta(days=50)))
    assert house.codes(person)
    assert house.codes(other) == ["suppressed_unsubscribe"]
    house.at(NOW + timedelta(minutes=1))
    say_yes(house, person)
    assert house.codes(person) == []


@pytest.mark.parametrize("status", ["imported", "requested", "deferred", "refused", "withdrawn"])
def test_what_is_no_yes_raises_no_level(house, status):
    person = house.newcomer("level", {}, LEVEL_2)
    house.at(NOW + timedelta(minutes=1))
    house.say(person, "withdrawn", "personalise", (), level=0, categories=("identity.name",))
    house.at(NOW + timedelta(minutes=10))
    act = {**LEVEL_2, "status": status, "level": "5", "occurred_at": later(minutes=5)}
    house.consents("level", act)
    assert house.record(person).level == 0
    assert house.codes(person) == ["level_zero"]


def test_a_level_named_under_another_purpose_or_without_a_yes_changes_nothing(house):
    person = house.newcomer("level", {}, LEVEL_2)
    house.consents("level", {"level": "5", "proof": "form:3"})
    assert house.record(person).level == 2
    with pytest.raises(InvalidInput):
        house.say(person, "withdrawn", "personalise", (), level=4)
    with pytest.raises(InvalidInput):
        house.say(person, "refused", level=0)
    assert house.record(person).level == 2


def test_an_unproven_choice_of_level_zero_still_stops_everything(house):
    person = house.newcomer(
        "zero", {}, LEVEL_2, {**LEVEL_2, "level": "0", "proof": "", "occurred_at": days_ago(1)}
    )
    assert house.codes(person) == ["level_zero"]


def test_a_withdrawal_of_somebody_not_known_yet_is_taken_in_once_they_are(house):
    take = row_file(house, {"external_id": "late", **YES, "status": "withdrawn"})
    assert take()["unknown_person"] == 1
    person = house.newcomer("late", **SALE)
    assert house.codes(person) == []
    take()
    assert house.codes(person) == ["withdrawn"]
    size = len(house.chain(person))
    take()
    assert len(house.chain(person)) == size, "each act is taken in once"


def test_a_no_dated_after_now_binds_at_once(house):
    person = house.newcomer("clock", {})
    row_file(
        house,
        {"external_id": "clock", **YES, "status": "withdrawn", "occurred_at": later(hours=1)},
    )()
    assert house.codes(person) == ["withdrawn"]


def test_a_signal_that_claims_a_yes_is_unproven_and_holds_up_no_other_row(house):
    person = house.newcomer(
        "signal", {"given_by": "signal"}, {"status": "refused", "channels": "sms"}
    )
    assert house.codes(person)
    assert [e.payload.status for e in house.chain(person)[-2:]] == ["imported", "refused"]


def test_a_registry_file_older_than_the_last_or_of_another_registry_frees_nobody(house):
    person = house.newcomer("listed", {})
    other = registry_hash("x@post.example")
    house.take("registry", registry_hash("listed@post.example"), head=registry_head(days_ago(5)))
    house.take("registry", other, head=registry_head(days_ago(10)))
    house.take("registry", other, head=registry_head(days_ago(3)), registry="US")
    house.take("registry", other, head=registry_head(later(days=400)))
    assert "registry_block" in house.codes(person)
    house.take("registry", other, head=registry_head(days_ago(1)))
    assert house.codes(person) == []


def test_a_temporary_suppression_does_not_hide_a_lasting_one(house):
    person = house.newcomer("blocked", {})
    for until in (instant(NOW + timedelta(days=1)), 0):
        block = Block("complaint", "all", "", instant(NOW), until)
        preferences.suppress(house.desk, Channel.EMAIL, "blocked@post.example", block, "desk")
    house.at(NOW + timedelta(days=2))
    assert house.codes(person) == ["suppressed_complaint"]


def test_a_one_click_stop_is_recorded_though_an_older_no_has_the_same_second_as_the_yes(house):
    person = house.newcomer("second", {})
    house.say(person, "withdrawn")
    house.at(NOW + timedelta(seconds=100))
    say_yes(house, person, occurred_at=instant(NOW))
    assert house.codes(person) == []
    house.send([person])
    preferences.unsubscribe(house.desk, house.stop_token())
    assert "withdrawn" in house.codes(person)


def test_sends_within_one_second_count_against_how_often_a_person_is_written_to(house):
    person = house.newcomer("often", {})
    with house.ws.store.look() as view:
        allowed, _ = house.desk.house(view).caps[PurposeKind.MARKETING]
    for n in range(allowed + 2):
        house.send([person], house.campaign(f"again{n}"))
    assert house.delivered()["often@post.example"] == allowed
    assert house.codes(person) == ["frequency_cap"]


@pytest.mark.parametrize("text", [
    "cased.person@post.example", "CASED.PERSON@POST.EXAMPLE",
    "\uff23ased.person@post.example", " cased.person@POST.example ",
])  # fmt: skip
def test_a_suppression_meets_an_address_however_it_is_spelled(house, text):
    person = house.newcomer("cased", {}, email="Cased.Person@Post.Example")
    house.take("suppressions", {"email": text, "reason": "unsubscribe", "source": "desk"})
    assert house.codes(person) == ["suppressed_unsubscribe"]


def test_one_address_in_two_spellings_is_one_person(house):
    rows = [{"email": f"bob@{host}.example", **BLANK} for host in ("m\u00fcller", "xn--mller-kva")]
    house.take("customers", *rows)
    with house.ws.store.look() as view:
        found = people.find_by_address(house.desk, view, Channel.EMAIL, "bob@m\u00fcller.example")
    assert len(found) == 1


def test_customers_known_by_telephone_alone_are_each_their_own(house):
    for digit in "12":
        house.take("customers", {"phone": f"+2711000000{digit}", **BLANK})
    with house.ws.store.look() as view:
        found = {
            person
            for digit in "12"
            for person in people.find_by_address(
                house.desk, view, Channel.SMS, f"+2711000000{digit}"
            )
        }
    assert len(found) == 2


def test_acting_as_one_person_opens_nothing_of_another(house):
    mine, theirs = house.newcomer("mine"), house.newcomer("theirs")
    with house.ws.store.look() as view:
        for whose, expected in ((mine, gate.Permit), (theirs, gate.Refusal)):
            me = Actor(Role.PERSON, mine.hex())
            asked = frozenset({"identity.name"})
            request = UseRequest(me, whose, "service", Action.READ, None, asked, view.now)
            claim = house.desk.claim(request, house.desk.house(view))
            (gathered,) = view.gather([whose], None)
            facts = house.desk.facts(view, request, claim, gathered)
            assert type(gate.decide(request, facts)) is expected


def test_a_future_sale_opens_no_customer_exception(house):
    person = house.newcomer("fair", **{**SALE, "relation_at": later(days=900)})
    assert house.codes(person)
    assert house.preview([person]).reachable == 0
    assert house.send([person]).handed == 0
