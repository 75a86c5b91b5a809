"""What the house infers is said to whom it is about, and stopped by them: on the site as in mails."""

from datetime import timedelta

import marula
import pytest
from site_shop import opened

from troth.app import inferred
from troth.app.owndata import Eyes
from troth.capabilities import people
from troth.kernel.vault import Shredded
from troth.terms import Actor, Role


@pytest.fixture
def shop(tmp_path):
    found = opened(tmp_path)
    yield found
    found.ws.close()


def said(shop, person):
    found = inferred.inferred(shop.ws, Eyes(person, person), marula.ITEMS)
    return {each.key: each for each in found.kinds}


def looking(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("1001", "1002")
    browser.say("personalise")
    return browser, shop.visitor(browser).person


def test_what_somebody_looked_at_is_named_as_used_only_once_they_agreed_and_not_after(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("1001")
    person = shop.visitor(browser).person
    assert not said(shop, person)["viewed"].used
    browser.say("personalise")
    viewed = said(shop, person)["viewed"]
    assert (viewed.used, viewed.entries, viewed.found) == (True, 1, ["Rooibos tea"])
    assert browser.slot().json()["used"] == ["views.13w"]
    inferred.close(shop.ws, person, "views.13w", Actor(Role.PERSON, person.hex()))
    assert not said(shop, person)["viewed"].used
    assert browser.slot().json()["used"] == []


def test_a_list_of_excluded_goods_that_may_not_be_opened_shuts_all_that_was_looked_at(shop):
    browser, person = looking(shop)
    assert browser.slot().json()["items"]
    people.set_exclusions(shop.house.desk, person, {"tea"}, Actor(Role.PERSON, person.hex()))
    shown = browser.slot().json()
    assert not shown.get("items")


def test_deleting_what_was_looked_at_shows_it_nowhere_and_new_looks_are_taken_in(shop):
    browser, person = looking(shop)
    me = Actor(Role.PERSON, person.hex())
    with shop.ws.store.look() as view:
        old = view.sealed([person], ["views/"])[person]
    people.delete(shop.house.desk, person, people.Choice("kind", categories=("views",)), me,
                  shop.ws.settle)  # fmt: skip
    assert not browser.slot().json().get("items")
    browser.look_at("1003")
    assert browser.slot().json()["items"] == ["Plain flour"]
    with shop.ws.store.look() as view, pytest.raises(Shredded):
        shop.house.desk.vault.reopen_chunk(person, old[0], view.now)
    assert shop.ws.verify() == []


def test_no_mail_names_goods_somebody_excluded_even_where_the_list_may_not_be_opened(shop):
    house = shop.house
    asked = {"purpose": "personalise", "channels": "", "level": "3", "notice": "personalise@2",
             "categories": "identity.name;purchases.13w"}  # fmt: skip
    person = house.newcomer("closed", {}, asked)
    house.take("events", *(
        {"external_id": "closed", "at": marula.days_ago(days), "kind": "purchase", "item": item,
         "group": item, "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for days, item in ((2, "1001"), (3, "1002"))
    ))  # fmt: skip
    house.send([person])
    assert "Bought once since" in house.mails()[-1].path.read_text()
    people.set_exclusions(house.desk, person, {"1001"}, Actor(Role.PERSON, person.hex()))
    house.at(marula.NOW + timedelta(days=8))
    assert house.send([person], house.campaign("second")).handed == 1
    text = house.mails()[-1].path.read_text()
    assert "Rooibos tea" not in text
    assert "Bought" not in text
