"""The story of a visitor: nobody, then somebody who said yes, then perhaps a customer."""

from datetime import timedelta

import marula
import pytest
from site_shop import later, opened

from troth.capabilities import merging
from troth.errors import Conflict

PLANTED = ("Zanele", "Planted", "rooibos", "Rooibos", "loaf", "baking")


@pytest.fixture
def shop(tmp_path):
    found = opened(tmp_path)
    yield found
    found.ws.close()


def customer(shop, name="sam", categories="identity.name;interests.declared", level="2", **facts):
    act = {"purpose": "personalise", "channels": "", "notice": "personalise@2",
           "categories": categories, "level": level}  # fmt: skip
    return shop.house.newcomer(
        name, *([act] if categories else []), given_name="Zanele", interests="baking", **facts
    )


def test_before_a_yes_nothing_is_set_kept_or_recorded(shop):
    browser, before = shop.browser(), shop.size()
    assert browser.look_at("1001").status_code == 204
    answer = browser.slot()
    assert "set-cookie" not in answer.headers
    assert browser.token("0" * 32)[1].status_code == 200
    assert "set-cookie" not in browser.token("0" * 32)[1].headers
    assert shop.size() == before
    assert browser.say(given=False).json()["state"] == "nobody"
    assert shop.size() == before


def test_a_yes_makes_a_visitor_with_a_chain_of_their_own(shop):
    browser = shop.browser()
    answer = browser.say()
    assert answer.json() == {"state": "given", "purpose": "site", "notice": "site@1"}
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" in cookie
    assert int(cookie.split("max-age=")[1].split(";")[0]) < 396 * 86_400
    visitor = shop.visitor(browser)
    assert shop.types(visitor.person) == ["person.created", "notice.served", "consent.given"]


def test_what_was_looked_at_is_one_event_a_batch_and_sealed(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("1001", "1002")
    browser.look_at("1003")
    person = shop.visitor(browser).person
    assert shop.types(person)[3:] == ["behaviour.recorded", "behaviour.recorded"]
    told = shop.house.chain(person)[-1].payload
    assert told.count == 1
    assert told.kinds == ("view",)
    assert list(told.chunks.values()) == [2]  # one chunk, written a second time
    raw = b"".join(p.read_bytes() for p in shop.house.folder.glob("data/record.db*"))
    assert b"1001" not in raw.replace(b"-1001", b"") or b'"1001"' not in raw


def test_no_note_is_taken_of_sensitive_goods(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("6661")
    body = {"events": [{"kind": "search", "group": "wine"}, {"kind": "list", "group": "wine"}]}
    browser.client.post("/api/v1/site/events", json=body, headers=browser.headers())
    assert "behaviour.recorded" not in shop.types(shop.visitor(browser).person)


def test_a_slot_follows_what_was_agreed_and_no_further(shop):
    browser = shop.browser()
    assert browser.slot().json()["used"] == []
    browser.say()
    browser.look_at("1001")
    assert browser.slot().json()["used"] == []  # remembering is agreed, choosing by it is not
    browser.say("personalise")
    shown = browser.slot().json()
    assert shown["used"] == ["views.13w"]
    assert shown["items"] == ["Rooibos tea"]
    browser.say("personalise", given=False)
    assert browser.slot().json()["used"] == []


def test_a_use_is_an_event_once_a_visit_whether_permitted_or_refused(shop):
    browser = shop.browser()
    browser.say()
    person = shop.visitor(browser).person
    for _ in range(3):
        browser.slot()
    assert shop.types(person).count("use.refused") == 2  # one for each purpose that was asked
    browser.say("personalise")
    browser.look_at("1001")
    for _ in range(3):
        browser.slot()
    assert shop.types(person).count("use.permitted") == 1
    shop = later(shop, marula.NOW + timedelta(minutes=31))
    again = shop.browser()
    again.kept = browser.kept
    again.slot()
    assert shop.types(person).count("use.permitted") == 2


def test_taking_the_yes_back_stops_at_once_and_takes_the_cookie(shop):
    browser = shop.browser()
    browser.say()
    browser.say("personalise")
    browser.look_at("1001")
    person, kept = shop.visitor(browser).person, browser.kept
    answer = browser.say(given=False)
    assert answer.json()["state"] == "ended"
    assert browser.kept == ""
    browser.kept = kept  # a browser that kept it all the same
    before = shop.size()
    assert browser.look_at("1002").status_code == 204
    assert browser.slot().json()["used"] == []
    assert shop.size() == before
    assert shop.types(person)[-1] == "consent.withdrawn"


def test_forgetting_is_the_visitors_wish_and_destroys_the_keys(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("1001")
    person = shop.visitor(browser).person
    answer = browser.say(given=False, forget=True)
    assert answer.json()["forgotten"] == 1
    assert "retention.applied" in shop.types(person)
    with shop.ws.store.look() as view:
        assert view.sealed([person], ["views/"]) == {}
        scope = shop.house.chain(person)[-1].payload.scopes[0]
        assert shop.house.desk.vault.keys.destroyed(person, view.now, scope)


def test_without_a_yes_to_being_recognised_nothing_is_linked(shop):
    known, browser = customer(shop), shop.browser()
    browser.say()
    found = shop.identify(browser, "sam")
    assert found["linked"] is False
    assert found["why"] == ["no_consent"]
    visitor = shop.visitor(browser)
    assert visitor.person == visitor.keeper
    assert "person.merged" not in shop.types(known)
    assert shop.types(visitor.person)[-1] == "use.refused"
    assert not any(word in browser.slot().text for word in PLANTED)


def test_a_visitor_who_agreed_becomes_known_at_sign_in_and_can_be_parted_again(shop):
    known, browser = customer(shop), shop.browser()
    browser.say()
    browser.say("recognise")
    assert shop.identify(browser, "sam") == {"linked": True, "why": []}
    visitor = shop.visitor(browser)
    assert visitor.keeper == known
    for chain in (known, visitor.person):
        assert "person.merged" in shop.types(chain)
    assert "Zanele" in browser.slot().json()["heading"]
    merging.unmerge(shop.house.desk, known, visitor.person, "not them", marula.OFFICER)
    assert "Zanele" not in browser.slot().text
    assert shop.visitor(browser).keeper == visitor.person


def test_of_two_answers_the_stricter_one_stands_after_recognition(shop):
    known, browser = customer(shop), shop.browser()
    shop.house.say(known, "withdrawn", "site", ("*",))
    browser.say()
    browser.say("recognise")
    shop.identify(browser, "sam")
    before = shop.types(known).count("behaviour.recorded")
    browser.look_at("1001")
    assert shop.types(known).count("behaviour.recorded") == before


def test_a_browser_of_somebody_else_is_never_linked_twice(shop):
    customer(shop)
    other, browser = customer(shop, "thabo"), shop.browser()
    browser.say()
    browser.say("recognise")
    shop.identify(browser, "sam")
    assert shop.identify(browser, "thabo") == {"linked": False, "why": ["another_person"]}
    assert "person.merged" not in shop.types(other)
    assert not any(word in browser.slot().text for word in PLANTED)


def test_a_signal_opts_out_the_known_person_once_a_day_and_shows_the_default(shop):
    known, browser = customer(shop), shop.browser()
    browser.say()
    browser.say("recognise")
    shop.identify(browser, "sam")
    assert "Zanele" in browser.slot().text
    for _ in range(3):
        assert "Zanele" not in browser.slot(sec_gpc="1").text
        browser.look_at("1001", sec_gpc="1")
    assert shop.types(known).count("consent.opted_out") == 1
    assert "Zanele" not in browser.slot().text


@pytest.mark.parametrize("value", ["true", "0", "1;q=1", ""])
def test_what_is_not_exactly_the_signal_is_none(shop, value):
    browser = shop.browser()
    browser.say()
    person = shop.visitor(browser).person
    browser.slot(sec_gpc=value)
    assert "consent.opted_out" not in shop.types(person)


def test_a_yes_under_the_signal_is_not_taken(shop):
    browser = shop.browser(**{"sec-gpc": "1"})
    assert browser.say().json()["state"] == "off"
    assert browser.kept == ""


def test_a_customer_at_each_level_sees_that_level_and_no_planted_value_above_it(shop):
    whole = "identity.name;interests.declared;purchases.13w;purchases.52w"
    for level, name in ((0, "a"), (1, "b"), (2, "c"), (3, "d")):
        known = customer(shop, name, whole, str(level))
        bought = {"external_id": name, "at": marula.days_ago(20), "kind": "purchase",
                  "item": "1002", "group": "bread", "amount_minor": "1", "currency": "ZAR",
                  "units": "1"}  # fmt: skip
        shop.house.take("events", bought)
        browser = shop.browser()
        browser.say()
        browser.say("recognise")
        assert shop.identify(browser, name)["linked"]
        text = browser.slot().text
        assert ("Zanele" in text) is (level >= 2), (level, text)
        assert ("baking" in text) is (level == 2)
        assert ("Seed loaf" in text) is (level >= 3)
        assert known


def test_the_erased_are_nobody_on_the_site_too(shop):
    known, browser = customer(shop), shop.browser()
    browser.say()
    browser.say("recognise")
    shop.identify(browser, "sam")
    shop.ws.erase(known, "rq-1")
    assert browser.slot().json()["used"] == []
    assert browser.look_at("1001").status_code == 204
    assert shop.visitor(browser) is None
    assert shop.identify(browser, "sam")["linked"] is False


def test_the_story_would_notice_a_link_without_a_yes(shop):
    known, browser = customer(shop), shop.browser()
    browser.say()
    visitor = shop.visitor(browser).person
    merging.merge(shop.house.desk, known, visitor, "planted", marula.OFFICER)
    assert "Zanele" in browser.slot().text
    with pytest.raises(Conflict):
        merging.merge(shop.house.desk, known, visitor, "again", marula.OFFICER)
